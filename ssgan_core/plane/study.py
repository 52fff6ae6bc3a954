"""Paired comparisons in the plane: the same label draws, seeds and batches for every method."""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd
import torch
from scipy import stats
from torch import Tensor

from ssgan_core.checkpoint import load_checkpoint, save_checkpoint
from ssgan_core.errors import InputError
from ssgan_core.intervals import format_ci, wilson_ci
from ssgan_core.plane.points import PlaneData, draw_many
from ssgan_core.plane.settings import Recipe
from ssgan_core.plane.training import Density, Trained, train

GOAL = 0.99


def compare(
    data: PlaneData,
    recipes: Mapping[str, Recipe],
    draws: Mapping[int, int],
    steps: int,
    seed: int,
    checkpoint: Callable[[str], Path] | None = None,
    watch: Callable | None = None,
    every: int = 0,
) -> pd.DataFrame:
    """Train every recipe on the same label draws; one row a run.

    `draws` maps labels a class to a number of draws; those of a recipe all train as one stack, and
    draw i uses seed + i, whatever the recipe. `checkpoint` gives the file in which a finished
    recipe is kept, so that a killed run goes on. Columns: method, labels (a class), draw, accuracy,
    low and between (shares of the generated points in low density and between the rings). Where
    there is a `watch` for `train`, which then gives a tensor (runs, n) each time, its moments
    (moments, n) of a run are in the column film.
    """
    width = 2 * math.lcm(*draws)
    rows = torch.cat([draw_many(data.classes, k, n, seed, width) for k, n in draws.items()])
    runs = [(labels, draw) for labels, count in draws.items() for draw in range(count)]
    frames = []
    for method, recipe in recipes.items():
        text = repr((data.checksum, recipe, dict(draws), steps, seed, every))
        name = hashlib.sha256(text.encode()).hexdigest()[:16] + ".pt"
        path = checkpoint(name) if checkpoint else None
        if kept := load_checkpoint(path) if path else None:
            frames.append(pd.DataFrame(kept).assign(method=method))
            continue
        trained = train(data, rows, recipe, steps, [seed + draw for _, draw in runs], watch, every)
        frame = pd.DataFrame(runs, columns=["labels", "draw"])
        frame.insert(0, "method", method)
        frame["accuracy"] = trained.accuracy.tolist()
        frame["low"], frame["between"] = shares(trained, data)
        if watch:
            frame["film"] = list(torch.stack(trained.snapshots, 1))
        if path is not None:
            save_checkpoint(path, frame.to_dict("list"))
        frames.append(frame)
        reached = solved(frame.accuracy)
        print(f"{method}: {reached} of {len(frame)} runs at {GOAL:.0%} or more")
    return pd.concat(frames, ignore_index=True)


def shares(trained: Trained, data: PlaneData) -> tuple[list, list]:
    """Shares of each run's generated points in low density and between the rings; NaN of none."""
    points = trained.generate(500)
    low = trained.density.low(points).float().mean(-1).tolist()
    if data.gap is None:
        return low, [math.nan] * len(points)
    radius = points.norm(dim=-1)
    between = (radius > data.gap[0]) & (radius < data.gap[1])
    return low, between.float().mean(-1).tolist()


def coverage(points: Tensor, density: Density, data: PlaneData, sectors: int = 24) -> Tensor:
    """Share (R,) of the rings that points (R, N, 2) visit.

    Each ring is cut into `sectors`; a sector counts when a point lies in it that is not in low
    density. Few sectors visited means mode collapse.
    """
    if data.gap is None:
        raise InputError(f"coverage is defined for rings, found {data.name!r}")
    angle = torch.atan2(points[..., 1], points[..., 0])
    cell = ((angle / (2 * math.pi) + 0.5) * sectors).long().clamp(0, sectors - 1)
    cell = cell + sectors * (points.norm(dim=-1) < sum(data.gap) / 2)
    cell = cell.masked_fill(density.low(points), 2 * sectors)
    visited = torch.zeros(len(points), 2 * sectors + 1).scatter_(1, cell, 1.0)
    return visited[:, :-1].mean(-1)


def solved(accuracies: Sequence[float]) -> int:
    """How many runs reach the goal of 99 %."""
    return int((pd.Series(accuracies) >= GOAL).sum())


def count_ci(accuracies: Sequence[float], unit: str = "") -> str:
    """Runs that reach the goal, and the 95 % Wilson interval of their share.

    Such as `18 of 20 (70 to 97 %)`; a `unit` such as " draws" comes after the count.
    """
    found, total = solved(accuracies), len(accuracies)
    low, high = (f"{100 * end:.0f}" for end in wilson_ci(found, total))
    return f"{found} of {total}{unit} ({low} to {high} %)"


def table(frame: pd.DataFrame) -> pd.DataFrame:
    """Draws that reach the goal, with their interval, by method and labels."""
    counts = frame.groupby(["method", "labels"], sort=False).accuracy.agg(count_ci)
    return counts.unstack(sort=False).rename_axis(columns="labels a class")


def results_table(frame: pd.DataFrame, labels: int, against: str | None = None) -> pd.DataFrame:
    """Draws that reach the goal and mean accuracy by method, with their intervals.

    With a method to compare `against`, also Fisher's p that both reach the goal equally often.
    """
    groups = frame[frame.labels == labels].groupby("method", sort=False).accuracy
    shown = pd.DataFrame({"draws at 99 %": groups.agg(count_ci), "accuracy": groups.agg(format_ci)})
    if against:
        shown["Fisher's p"] = [
            "–" if name == against else f"{fisher_p(frame, name, against, labels):.2g}"
            for name in shown.index
        ]
    return shown


def sign_test(frame: pd.DataFrame, method: str, other: str, labels: int) -> dict:
    """Paired one-sided sign test that `method` beats `other` over the draws; ties count for none.

    Two runs that both reach the goal are a tie. Returns wins, losses, ties and the exact p value of
    at least so many wins by a fair coin.
    """
    chosen = frame[frame.labels == labels].pivot(index="draw", columns="method", values="accuracy")
    difference = chosen[method].clip(upper=GOAL) - chosen[other].clip(upper=GOAL)
    wins, losses = int((difference > 0).sum()), int((difference < 0).sum())
    p = stats.binomtest(wins, wins + losses, alternative="greater").pvalue if wins + losses else 1.0
    return {"wins": wins, "losses": losses, "ties": len(difference) - wins - losses, "p": float(p)}


def fisher_p(frame: pd.DataFrame, method: str, other: str, labels: int) -> float:
    """Two-sided p value of Fisher's exact test that two methods reach the goal equally often."""
    rows = frame[frame.labels == labels]
    groups = [rows.accuracy[rows.method == name] for name in (method, other)]
    return float(stats.fisher_exact([[solved(g), len(g) - solved(g)] for g in groups]).pvalue)
