"""Train the digit networks over many label draws at once; resumable, and the same every time."""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from sklearn.semi_supervised import LabelSpreading
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ssgan_core.checkpoint import (
    checksum,
    resume_checkpoint,
    save_checkpoint,
    seed_step,
)
from ssgan_core.digits.density import Density
from ssgan_core.digits.images import CLASSES, Digits
from ssgan_core.digits.networks import digits_pair
from ssgan_core.digits.step import (
    EMA_EVERY,
    Recipe,
    baseline_step,
    draw_batch,
    train_step,
)
from ssgan_core.hardware import Hardware

CHECKPOINT_EVERY = 60.0  # seconds
WALL = 100  # generated digits kept for each picture of the wall


@dataclass
class Trained:
    """What R runs give, all at the last step.

    `logits` (R, N, outputs) are those of the test images under the averaged weights; `accuracy`
    and `last_accuracy` are test accuracies of the averaged and of the last weights.  `history`
    (one row a look: step, seconds, mean test accuracies, mean loss terms) and `walls` (step to
    generated images of run 0) are there to be drawn; nothing is chosen by them.
    """

    logits: Tensor
    accuracy: list[float]
    last_accuracy: list[float]
    history: list[dict[str, float]] = field(default_factory=list)
    walls: dict[int, Tensor] = field(default_factory=dict)
    seconds: float = 0.0


def train(
    digits: Digits,
    rows: Tensor,
    recipe: Recipe,
    seed: int = 0,
    checkpoint: Path | None = None,
    looks: int = 8,
    progress: Callable[[str], None] = print,
    hardware: Hardware | None = None,
) -> Trained:
    """Train R runs side by side, run r with the labeled rows `rows[r]` (R, n).

    Everything random is a function of (seed, step).  The state is saved to `checkpoint` once a
    minute, so that the same call goes on after a kill and ends with the same numbers; a finished
    run is read back from it.  The test set is looked at `looks` times for the history.

    Raises
    ------
    InputError
        The checkpoint is another training's.
    """
    hardware = hardware or Hardware.detect()
    identity = {
        "recipe": {name: str(value) for name, value in vars(recipe).items() if name != "form"},
        "outputs": recipe.form.outputs,
        "digits": digits.checksum,
        "labeled": [*rows.shape, checksum(rows)],
        "looks": looks,
        "seed": seed,
    }
    device, runs = hardware.device, len(rows)
    with hardware.own_random_numbers():
        seed_step(seed, -1)
        networks = digits_pair(digits.side, runs, recipe.form.outputs)
        networks[1].standardize(digits.images[:500])
    generator, discriminator = (network.to(device) for network in networks)
    averaged = AveragedModel(discriminator, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema))
    images, labels, rows = (part.to(device) for part in (digits.images, digits.labels, rows))
    test_images, test_labels = digits.test_images.to(device), digits.test_labels.to(device)
    density = Density.fit(digits.images).to(device) if recipe.method == "complement" else None

    optimizers = tuple(
        torch.optim.Adam(n.parameters(), recipe.learning_rate, betas=(0.5, 0.999), fused=True)
        for n in (generator, discriminator)
    )
    state = {"generator": generator, "discriminator": discriminator, "averaged": averaged}
    state |= {f"optimizer {i}": optimizer for i, optimizer in enumerate(optimizers)}

    first, seconds, history, walls = 0, 0.0, [], {}
    if saved := resume_checkpoint(checkpoint, identity):
        first, seconds, history, walls = (
            saved[key] for key in ("step", "seconds", "history", "walls")
        )
        for name, part in state.items():
            part.load_state_dict(saved[name])

    def save(step: int) -> None:
        if checkpoint:
            parts = {name: part.state_dict() for name, part in state.items()}
            here = {"step": step, "seconds": seconds, "history": history, "walls": walls}
            save_checkpoint(checkpoint, parts | here | {"identity": identity})

    def look(network: nn.Module) -> tuple[Tensor, list[float]]:
        logits = predict(network, test_images, runs, hardware)
        right = logits[..., :CLASSES].argmax(-1) == test_labels
        return logits.cpu(), right.double().mean(1).tolist()

    def wall() -> Tensor:
        with torch.no_grad(), hardware.own_random_numbers():
            seed_step(seed, -1)
            return generator.sample(WALL)[0].cpu()

    watched = {round(recipe.steps * (i + 1) / looks) for i in range(looks)}
    last_saved = tick = time.perf_counter()
    with hardware.own_random_numbers():
        if not walls and recipe.uses_generator:
            walls[0] = wall()
        for step in range(first, recipe.steps):
            seed_step(seed, step)
            batch = draw_batch(images, labels, rows, recipe.batch)
            late = recipe.late(step)
            for optimizer in optimizers:
                optimizer.param_groups[0]["lr"] = recipe.learning_rate * recipe.rate(step)
            if recipe.uses_generator:
                networks, extra = (generator, discriminator), (late, hardware, density)
                terms = train_step(*networks, optimizers, batch, recipe, *extra)
            else:
                terms = baseline_step(discriminator, optimizers[1], batch, recipe, late, hardware)
            if (step + 1) % EMA_EVERY == 0:
                averaged.update_parameters(discriminator)
            if step + 1 in watched:
                now = time.perf_counter()
                seconds, tick = seconds + now - tick, now
                means = {
                    "accuracy": sum(look(averaged)[1]) / runs,
                    "last accuracy": sum(look(discriminator)[1]) / runs,
                    **{name: float(term.mean()) for name, term in terms.items()},
                }
                history.append({"step": step + 1, "seconds": seconds, **means})
                progress(report(recipe, history[-1]))
                if recipe.uses_generator:
                    walls[step + 1] = wall()
                tick = time.perf_counter()
            if time.perf_counter() - last_saved > CHECKPOINT_EVERY:
                now = time.perf_counter()
                seconds, tick = seconds + now - tick, now
                save(step + 1)
                last_saved = time.perf_counter()
    save(recipe.steps)
    logits, accuracy = look(averaged)
    return Trained(logits, accuracy, look(discriminator)[1], history, walls, seconds)


@torch.no_grad()
def predict(network: nn.Module, images: Tensor, runs: int, hardware: Hardware) -> Tensor:
    """Logits (R, N, outputs) of images (N, P), without noise."""
    network.eval()
    with hardware.autocast():
        parts = [network(part.expand(runs, -1, -1))[0].float() for part in images.split(1000)]
    network.train()
    return torch.cat(parts, 1)


def report(recipe: Recipe, row: dict[str, float]) -> str:
    """One line of progress."""
    rate = row["step"] / max(row["seconds"], 1e-9)
    return (
        f"{recipe.method:17} step {row['step']:6,} of {recipe.steps:,}  "
        f"test {100 * row['accuracy']:.1f} %  ({row['seconds']:.0f} s, {rate:.0f} steps/s)"
    )


def spread_labels(digits: Digits, rows: Tensor, size: int = 10_000, neighbors: int = 10) -> Tensor:
    """Test classes (R, N) by label spreading over a graph of nearest neighbors, no network at all.

    The graph joins the labeled images and, of the others, the first `size`; test images take
    the classes of their neighbors.  Source: Zhou et al. 2004, as scikit-learn has it.
    """
    predictions = []
    for labeled in rows:
        nodes = torch.cat([labeled, torch.arange(min(size, len(digits.images)))]).unique()
        classes = np.full(len(digits.images), -1)
        classes[labeled] = digits.labels[labeled]
        model = LabelSpreading(kernel="knn", n_neighbors=neighbors, max_iter=100)
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # images that no label reaches: scikit-learn divides by 0
            model.fit(digits.images[nodes].numpy(), classes[nodes])
            predictions.append(torch.from_numpy(model.predict(digits.test_images.numpy())))
    return torch.stack(predictions)
