"""Bands that the book's numbers must lie in before it is published."""

import tomllib
from pathlib import Path
from statistics import mean
from typing import Any

from book.common import BuildError


def check(root: Path, chapter: str, about: dict[str, Any], metrics: dict[str, Any]) -> list[str]:
    """Faults of one chapter's numbers against `book/expectations.toml`, one sentence each.

    The file holds, under `[chapter.profile.embedded]` or `[chapter.profile.real]`, lines
    `metric = [lowest, highest]`; a dot in a quoted metric goes down into nested values, and a
    list of repeated runs counts by its mean.
    """
    path = root / "book" / "expectations.toml"
    try:
        bands = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise BuildError(f"book/expectations.toml: {error}") from None
    profile = about["parameters"]["profile"]
    data = "real" if about["real"] else "embedded"
    faults = []
    for metric, (low, high) in bands.get(chapter, {}).get(profile, {}).get(data, {}).items():
        where = f"{chapter}, {profile}, {data} data: {metric}"
        value = lookup(metrics["values"], metric)
        if value is None:
            faults.append(f"{where} is missing, expected in [{low:g}, {high:g}]")
        elif not low <= value <= high:
            faults.append(f"{where} = {value:g} is outside [{low:g}, {high:g}]")
    return faults


def lookup(values: Any, metric: str) -> float | None:
    """The number at a dotted path, the mean of a list of numbers; None where there is none."""
    for part in metric.split("."):
        values = values.get(part) if isinstance(values, dict) else None
    if isinstance(values, list):
        return mean(values) if values else None
    return values
