"""The one training loop: seeds, evaluations, checkpoints, and a stop that loses nothing.

It knows no problem. A problem gives it `parts` (all that a checkpoint holds), `step` and
`evaluate`; see `ssgan_core.dcgan.training` for the shortest example.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm

from ssgan_core.checkpoint import resume_checkpoint, save_checkpoint
from ssgan_core.device import average, broadcast, own_random_numbers, rank
from ssgan_core.errors import InputError
from ssgan_core.process import on_stop

SAVE_SECONDS = 120.0  # between two checkpoints
LONG = 1e9  # seconds, the most that a line of progress speaks of
SPREAD = 0x9E3779B1  # odd, near 2³² divided by the golden ratio: multiples spread evenly (Knuth)


class Kept(dict):
    """Plain values and tensors that a checkpoint holds beside the networks."""

    def state_dict(self) -> dict[str, Any]:
        return dict(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            here = self.get(name)
            self[name] = value.to(here.device) if isinstance(here, Tensor) else value


Part = nn.Module | torch.optim.Optimizer | Kept  # what a checkpoint can hold


def parts_of(learner: object) -> dict[str, Part]:
    """The networks and optimizers among a dataclass's fields, by their names."""
    return {name: part for name, part in vars(learner).items() if isinstance(part, Part)}


def run(
    parts: Mapping[str, Part],
    step: Callable[[int, float], Mapping[str, Tensor]],
    evaluate: Callable[[int, float], Mapping[str, float]],
    identity: Mapping[str, Any],
    *,
    steps: int | None = None,
    max_minutes: float | None = None,
    evaluations: int | Sequence[float] = 10,
    seed: int = 0,
    checkpoint: Path | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> pd.DataFrame:
    """Train, and return a row for each evaluation.

    A row holds `step`, `seconds` (of the clock, those of earlier runs that it goes on from
    counted), what `evaluate(steps so far, progress)` found, and the mean of each term that
    `step(number, progress)` returned since the last evaluation, over the steps that had it.

    Training ends after `steps` or after `max_minutes`, whichever comes first; `progress` goes from
    0 to 1 along that one. `evaluations` is their number, evenly spread, or the progress at which
    each takes place. Checkpoints are written after each evaluation, every two minutes and at
    Ctrl-C, SIGTERM or SIGHUP. `identity` holds plain values that, with those above, say which
    training this is; its `name` is for messages.

    Every random number of a step depends on the seed and the step alone, so a training that goes
    on from its checkpoint computes, on a CPU and with `steps` alone, exactly what it would have
    computed uninterrupted. PyTorch's generators are afterwards as they were before.

    Raises InputError for neither steps nor minutes, or a checkpoint of another training or of other
    code; FloatingPointError where a term is no longer a number, and the last checkpoint is kept;
    KeyboardInterrupt after such a signal, which it names, once the step is done and all is saved.
    """
    if not steps and not max_minutes:
        raise InputError("neither steps nor max_minutes says when training ends; give one")
    ends = {"steps": steps, "max_minutes": max_minutes, "evaluations": evaluations, "seed": seed}
    identity = {**identity, **ends}
    if isinstance(evaluations, int):
        evaluations = [(i + 1) / evaluations for i in range(evaluations)]
    name, report = identity["name"], report if rank() == 0 else lambda line: None
    so_far = Kept(step=0, seconds=0.0, evaluated=0, sums={}, rows=[])
    parts = {**parts, "loop": so_far}
    if saved := resume_checkpoint(checkpoint, identity):
        try:
            _load(parts, saved)
        except torch.OutOfMemoryError:
            raise
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise InputError(
                f"{checkpoint} was written by another version of the package and does not fit "
                "this one; remove it, or give another folder"
            ) from error
    started, last_saved = time.perf_counter() - so_far["seconds"], time.perf_counter()

    def progress() -> float:
        by_time = so_far["seconds"] / (60 * max_minutes) if max_minutes else 0.0
        return min(1.0, max(by_time, so_far["step"] / steps if steps else 0.0))

    if saved and progress() < 1:
        report(f"{name}: goes on from step {so_far['step']:,}")
    asked = False
    with own_random_numbers(), graceful_stop() as stop:
        while progress() < 1 or so_far["evaluated"] < len(evaluations):
            seed_step(seed, so_far["step"])
            for term, value in step(so_far["step"], progress()).items():
                total, count = so_far["sums"].get(term, (0.0, 0))
                so_far["sums"][term] = (total + value.double(), count + 1)
            so_far["step"] += 1
            now = time.perf_counter()
            so_far["seconds"], late, asked = broadcast(
                now - started, now - last_saved > SAVE_SECONDS, bool(stop)
            )
            done = progress()
            due = sum(at <= done + 1e-9 for at in evaluations)
            if not (due > so_far["evaluated"] or late or asked):
                continue
            means = _means(name, so_far)
            if due > so_far["evaluated"]:
                row = {key: so_far[key] for key in ("step", "seconds")}
                so_far["rows"].append(row | dict(evaluate(so_far["step"], done)) | means)
                so_far.update(evaluated=due, sums={})
                so_far["seconds"] = broadcast(time.perf_counter() - started)[0]
            if checkpoint and rank() == 0:
                states = {part: held.state_dict() for part, held in parts.items()}
                save_checkpoint(checkpoint, states | {"identity": identity})
            last_saved = time.perf_counter()
            report(_status(name, so_far, steps, progress()))
            if asked:
                break
        if asked or stop:  # also by a signal that came with the last evaluation
            where = f"saved in {checkpoint}; the same command goes on from there"
            report(f"{name}: stopped, {where if checkpoint else 'nothing saved'}")
            raise KeyboardInterrupt(*stop)
    return pd.DataFrame(so_far["rows"])


def _load(parts: Mapping[str, Part], saved: Mapping[str, Any]) -> None:
    for name, part in parts.items():
        state = saved[name]
        if isinstance(part, torch.optim.Optimizer):  # rates as this device wants them
            state = state | {"param_groups": part.state_dict()["param_groups"]}
        part.load_state_dict(state)


def _means(name: str, so_far: Mapping[str, Any]) -> dict[str, float]:
    """Mean of each term since the last evaluation; FloatingPointError where one is not finite."""
    sums = so_far["sums"].items()
    means = {term: average(total / count).item() for term, (total, count) in sums}
    if not np.isfinite(list(means.values())).all():
        raise FloatingPointError(
            f"{name}: not finite before step {so_far['step']}: {means}; a lower learning rate "
            "or another seed may help"
        )
    return means


def _status(title: str, so_far: Mapping[str, Any], steps: int | None, progress: float) -> str:
    """Progress in a line: step, time, and the numbers of the last evaluation."""
    total = f"/{steps:,}" if steps else ""
    words = [f"step {so_far['step']:,}{total}", f"{so_far['seconds']:.0f} s"]
    if 0 < progress < 1:
        left = min(so_far["seconds"] * (1 - progress) / progress, LONG)
        words.append(f"{tqdm.format_interval(left)} to go")
    if so_far["rows"]:
        last, untold = so_far["rows"][-1], ("step", "seconds", "epoch")
        words += [f"{name} {value:.3f}" for name, value in last.items() if name not in untold]
    return f"{title}: " + ", ".join(words)


@contextlib.contextmanager
def graceful_stop() -> Iterator[list[str]]:
    """Turn the first Ctrl-C, SIGTERM or SIGHUP into a request; a second one interrupts at once.

    The request is that signal's name in the list.
    """
    asked: list[str] = []

    def ask(name: str) -> None:
        if asked:
            raise KeyboardInterrupt(name)
        asked.append(name)

    with on_stop(ask):
        yield asked


def seed_step(seed: int, step: int) -> None:
    """Seed torch's default generators with a number that this seed and step give.

    On a CPU only its low 32 bits count. The steps of a seed follow one another there, and those of
    different seeds begin far apart. Step −1 is for what comes before training.
    """
    torch.manual_seed((seed * SPREAD + step + 1) % 2**32)
