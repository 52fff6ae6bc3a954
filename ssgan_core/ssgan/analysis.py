"""What a trained network goes by: whose statistics, how sure it is, where it looks."""

import contextlib
import itertools
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pandas as pd
import torch
from sklearn.calibration import calibration_curve
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from ssgan_core import losses
from ssgan_core.device import own_random_numbers
from ssgan_core.graphs import neighbor_graph, spread
from ssgan_core.photos.augment import augment
from ssgan_core.photos.features import probe
from ssgan_core.photos.files import UNKNOWN
from ssgan_core.photos.photoset import PhotoSet
from ssgan_core.ssgan.evaluate import (
    EVALUATION_BATCH,
    STATISTICS_BATCHES,
    accuracy,
    all_outputs,
    real_batches,
)
from ssgan_core.ssgan.step import WEAK, Learner, discriminator

PROBED = 1000  # photos whose classes a probe may see, of those that training saw unlabeled
SPREAD_OVER = 10_000  # unlabeled photos in the graph over which labels spread
SURE = 0.9  # a probability from which on a network counts as sure
BINS = 20  # of confidence, from 0 to 1; Guo et al. take 15


def linear_probe(
    learner: Learner, model: nn.Module, data: PhotoSet, count: int = PROBED, seed: int = 0
) -> float:
    """Test accuracy of a logistic regression on the network's features, the network left alone.

    It learns from `count` random unlabeled photos whose true class is known, or all of those, and
    from the labeled ones (Alain and Bengio 2017, arXiv:1610.01644). NaN without test photos.
    """
    if not len(data.rows("test")):
        return float("nan")
    known = data.rows("unlabeled")[data.labels("unlabeled") >= 0]
    chosen = np.random.default_rng(seed).permutation(known)[:count]
    rows, test = np.concatenate([data.rows("labeled"), chosen]), data.rows("test")
    classes = data.table["label"].to_numpy()
    seen, unseen = (all_outputs(learner, model, data, part)[1].numpy() for part in (rows, test))
    return float((probe((seen, classes[rows]), unseen) == classes[test]).mean())


def spread_labels(learner: Learner, model: nn.Module, data: PhotoSet) -> float:
    """Test accuracy of the labels spread over a graph of nearest neighbors in feature space.

    The graph joins each labeled, test and (of the first 10,000) unlabeled image with its nearest.
    Classes are then weighed so that each has the share of the images that it has of the labels
    (class mass normalization; Zhu et al. 2003, section 4). No class of an unlabeled image is looked
    at. NaN without test photos.
    """
    if not len(data.rows("test")):
        return float("nan")
    parts = [data.rows("labeled"), data.rows("test"), data.rows("unlabeled")[:SPREAD_OVER]]
    rows, truth = np.concatenate(parts), data.labels("test")
    features = StandardScaler().fit_transform(all_outputs(learner, model, data, rows)[1].numpy())
    classes = np.full(len(rows), UNKNOWN)
    classes[: len(parts[0])] = data.labels("labeled")
    mass = spread(neighbor_graph(features), classes)
    labels = np.bincount(data.labels("labeled"), minlength=mass.shape[1])
    weighed = mass * labels / mass.sum(0).clip(min=1e-12)
    tested = slice(len(parts[0]), len(parts[0]) + len(truth))
    return float((weighed[tested].argmax(1) == truth).mean())


def running_shares(passes: Sequence[str], momentum: float = 0.1) -> dict[str, float]:
    """What part of batch norm's running statistics comes from each kind of batch, in the long run.

    `passes` are the kinds in the order in which one training step sends them through the network.
    Each pass multiplies what there was by 1 − momentum and adds momentum of its own (Ioffe and
    Szegedy 2015, arXiv:1502.03167); the recurrence is run until its start is forgotten.
    """
    shares = dict.fromkeys(passes, 0.0)
    for kind in list(passes) * round(50 / momentum):
        shares = {name: (1 - momentum) * share for name, share in shares.items()}
        shares[kind] += momentum
    return shares


@contextlib.contextmanager
def statistics_of(model: nn.Module, batches: Iterable[Tensor]) -> Iterator[None]:
    """Inside, batch norm evaluates by the statistics of these images alone; then as before."""
    with buffers_kept(model):
        update_bn(batches, model)
        yield


@contextlib.contextmanager
def buffers_kept(network: nn.Module) -> Iterator[None]:
    """Puts batch norm's running statistics back, whatever was done with them inside."""
    before = [buffer.clone() for buffer in network.buffers()]
    try:
        yield
    finally:
        for buffer, old in zip(network.buffers(), before, strict=True):
            buffer.copy_(old)


@torch.no_grad()
def generated_batches(learner: Learner) -> Iterator[Tensor]:
    """As many generated images as `real_batches` has real ones, made as in training."""
    device = learner.hardware.device
    source = torch.Generator(device).manual_seed(0)
    shape = (EVALUATION_BATCH, learner.generator.noise)
    with buffers_kept(learner.generator):
        for _ in range(STATISTICS_BATCHES):
            yield learner.generated(torch.randn(shape, generator=source, device=device))


def compare_statistics(learner: Learner, data: PhotoSet) -> pd.DataFrame:
    """The last weights on the test images, by the images that batch norm's statistics come from.

    One row each for the `running` statistics that training left, and for those measured anew on
    `real` unlabeled, on `labeled` and on `generated` images alone. Columns: `generated share`,
    where the means lie between those of real images (0) and of generated ones (1); `D`, the mean
    of the discriminator's output; `accuracy`; `calibration error`. Weights and statistics are
    afterwards what they were.
    """
    model, truth = learner.classifier, data.labels("test")
    norms = [m for m in model.modules() if isinstance(m, (nn.BatchNorm2d, nn.SyncBatchNorm))]
    labeled = learner.images(data.images[torch.from_numpy(data.rows("labeled"))])
    sources = {
        "running": contextlib.nullcontext(),
        "real": statistics_of(model, real_batches(learner, data)),
        "labeled": statistics_of(model, [labeled]),
        "generated": statistics_of(model, generated_batches(learner)),
    }
    rows, means = {}, {}
    for name, statistics in sources.items():
        with statistics:
            logits, _ = all_outputs(learner, model, data, data.rows("test"))
            means[name] = [norm.running_mean.clone() for norm in norms]
            if name == "real":
                spreads = [(norm.running_var + norm.eps).sqrt() for norm in norms]
        p = logits[:, : len(data.classes)].softmax(1).numpy()
        rows[name] = {
            "D": discriminator(logits, learner.recipe).mean().item(),
            "accuracy": (p.argmax(1) == truth).mean(),
            "calibration error": calibration_error(p, truth),
        }
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("statistics")
    ends = means["real"], means["generated"]
    shares = {name: np.median(list(map(_share, of, *ends, spreads))) for name, of in means.items()}
    table.insert(0, "generated share", pd.Series(shares))
    return table


def by_weights_and_statistics(learner: Learner, data: PhotoSet) -> dict[str, float]:
    """Test accuracy of the EMA and of the last weights, each with batch-norm statistics measured
    on real images as they are (`clean`) and on weak views of them (`weak`); no training is needed.

    With the accuracy of the last weights under the running statistics, `fit`'s `last_raw`, a 2×2
    and the corner that training left. Statistics are afterwards what they were.
    """
    views = {
        "clean": lambda: real_batches(learner, data),
        "weak": lambda: (augment(images, WEAK) for images in real_batches(learner, data)),
    }
    found = {}
    with own_random_numbers():
        for weights, model in {"ema": learner.teacher, "raw": learner.classifier}.items():
            for name, batches in views.items():
                torch.manual_seed(0)
                with statistics_of(model, batches()):
                    found[f"{weights}_{name}"] = accuracy(learner, model, data, "test")
    return found


def where_generated_lie(learner: Learner, model: nn.Module, data: PhotoSet) -> pd.DataFrame:
    """How far test images and generated ones lie from real images, and how undecided both are.

    One row each. Columns: `off the data`, the share whose distance in feature space to the nearest
    unlabeled image exceeds what 95 % of the test images keep (0.05 for these by construction);
    `class entropy`, the mean entropy of the K probabilities in nats. A complement generator has a
    high share, and where it works a high entropy: its images lie between the classes (Dai et al.
    2017, arXiv:1705.09783, section 3.1).
    """
    rows = data.rows("unlabeled")[: STATISTICS_BATCHES * EVALUATION_BATCH]
    _, known = all_outputs(learner, model, data, rows)
    model.eval()
    with torch.no_grad():
        made = [model(batch) for batch in generated_batches(learner)]
    model.train()
    outputs = {
        "test images": all_outputs(learner, model, data, data.rows("test")),
        "generated": tuple(torch.cat(part).cpu() for part in zip(*made, strict=True)),
    }
    nearest = {name: torch.cdist(f, known).amin(1) for name, (_, f) in outputs.items()}
    far = nearest["test images"].quantile(0.95)
    return pd.DataFrame(
        {
            name: {
                "off the data": (nearest[name] > far).float().mean().item(),
                "class entropy": losses.conditional_entropy(logits[:, : len(data.classes)]).item(),
            }
            for name, (logits, _) in outputs.items()
        }
    ).T


def looks(learner: Learner, model: nn.Module, data: PhotoSet) -> pd.DataFrame:
    """Whether D is high only where the class is sure, and where generated images lie.

    A column for the `running` statistics that the network has, and one for those measured anew on
    `real` unlabeled images, which are then put back. Rows: how many test images have a D above
    0.9, and the share of these, of the tenth with the highest D, and of all, that have no class
    probability above 0.9 (NaN where there is no such image); and what `where_generated_lie` tells.
    """
    sources = {
        "running": contextlib.nullcontext(),
        "real": statistics_of(model, real_batches(learner, data)),
    }
    found = {}
    for name, statistics in sources.items():
        with statistics:
            logits, _ = all_outputs(learner, model, data, data.rows("test"))
            lie = where_generated_lie(learner, model, data)
        d = discriminator(logits, learner.recipe)
        unsure = (logits[:, : len(data.classes)].softmax(1).amax(1) <= SURE).double()
        found[name] = {
            "D above 0.9": (d > SURE).sum().item(),
            "unsure of the class, of these": unsure[d > SURE].mean().item(),
            "of the tenth with the highest D": unsure[d >= d.quantile(0.9)].mean().item(),
            "of all": unsure.mean().item(),
            "generated off the data": lie.loc["generated", "off the data"],
            "entropy of their class": lie.loc["generated", "class entropy"],
            "of a test image's": lie.loc["test images", "class entropy"],
        }
    return pd.DataFrame(found)


def _share(mean: Tensor, real: Tensor, generated: Tensor, spread: Tensor) -> float:
    """Where a layer's means (C,) lie on the line from real (0) to generated (1)."""
    line = (generated - real) / spread
    return (((mean - real) / spread) @ line / (line @ line)).item()


def reliability(probabilities: np.ndarray, labels: np.ndarray) -> pd.DataFrame:
    """Confidence against accuracy: probabilities (N, K), true classes (N,), one row a bin.

    Confidence is the largest of the K probabilities. Columns: mean `confidence` and `accuracy` of
    the images in a bin, and their `share` of all; bins without images are left out.
    """
    confidence = probabilities.max(1).astype(float).clip(0, 1)
    right = (probabilities.argmax(1) == labels).astype(int)
    accuracy, mean = calibration_curve(right, confidence, n_bins=BINS)
    edges = np.linspace(0, 1, BINS + 1)[1:-1]  # counted as calibration_curve does
    counts = np.bincount(np.searchsorted(edges, confidence))
    share = counts[counts > 0] / len(labels)
    return pd.DataFrame({"confidence": mean, "accuracy": accuracy, "share": share})


def calibration_error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Expected calibration error: mean distance of accuracy from confidence over the bins.

    Guo et al. 2017, arXiv:1706.04599, equation 3.
    """
    bins = reliability(probabilities, labels)
    return float((bins["share"] * (bins["accuracy"] - bins["confidence"]).abs()).sum())


def honest_calibration_error(probabilities: np.ndarray, seed: int = 0, repeats: int = 50) -> float:
    """The calibration error that chance alone gives a classifier whose probabilities are true.

    A finite test set shows some error even then: labels are drawn from the probabilities.
    """
    rng = np.random.default_rng(seed)
    total = probabilities.cumsum(1)
    draws = rng.random((repeats, len(total), 1)) * total[:, -1:]
    return float(np.mean([calibration_error(probabilities, (d > total).sum(1)) for d in draws]))


@torch.no_grad()
def occlusion_maps(
    learner: Learner, model: nn.Module, images: Tensor, labels: np.ndarray
) -> Tensor:
    """What each place of an image says for a class: images (N, 3, S, S) uint8 → (N, S, S).

    A square a quarter of the image wide, in the image's mean color, covers one place after the
    other (Zeiler and Fergus 2014, arXiv:1311.2901, section 4.2). The value is the fall of the log
    odds of class `labels` (N,), averaged over the squares that cover the place: what is positive
    speaks for the class, what is negative against it.
    """
    model.eval()
    images, target = learner.images(images), torch.as_tensor(labels, device=learner.hardware.device)

    def log_odds(batch: Tensor) -> Tensor:
        with learner.hardware.autocast():
            logits = model(batch)[0].float()
        if learner.recipe.explicit:
            logits = logits[:, :-1]
        chosen = logits.gather(1, target[:, None])
        others = logits.scatter(1, target[:, None], -torch.inf)
        return chosen[:, 0] - losses.log_z(others)

    side = images.shape[-1]
    width = side // 4
    starts = np.unique(np.linspace(0, side - width, 9).round().astype(int)).tolist()
    color = images.mean((2, 3), keepdim=True)
    whole = log_odds(images)
    falls, covers = torch.zeros(2, len(images), side, side, device=images.device)
    for top, left in itertools.product(starts, starts):
        place = (..., slice(top, top + width), slice(left, left + width))
        covered = images.clone()
        covered[place] = color
        falls[place] += (whole - log_odds(covered))[:, None, None]
        covers[place] += 1
    model.train()
    return (falls / covers).cpu()
