"""Bands that the book's numbers must lie in before it is published."""

import math
import tomllib
from pathlib import Path
from statistics import mean
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, FiniteFloat, TypeAdapter, ValidationError

from book.common import BuildError


def _ascending(band: tuple[float, float]) -> tuple[float, float]:
    if band[0] > band[1]:
        raise ValueError("the lowest value comes first")
    return band


Band = Annotated[tuple[FiniteFloat, FiniteFloat], AfterValidator(_ascending)]
Bands = TypeAdapter(
    dict[str, dict[Literal["smoke", "quick", "full"],
                   dict[Literal["embedded", "real"], dict[str, Band]]]]
)  # fmt: skip


def check(root: Path, chapter: str, about: dict[str, Any], metrics: dict[str, Any]) -> list[str]:
    """Faults of one chapter's numbers against `book/expectations.toml`, one sentence each.

    The file holds, under `[chapter.profile.embedded]` or `[chapter.profile.real]`, lines
    `metric = [lowest, highest]`; a dot in a quoted metric goes down into nested values, and a
    list of repeated runs counts by its mean. Of somebody's own labeled set nothing is expected.
    Raises BuildError for a file that is not so.
    """
    bands = _read(root / "book" / "expectations.toml")
    if about["parameters"].get("labeled_set"):
        return []
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


def _read(path: Path) -> dict[str, Any]:
    try:
        return Bands.validate_python(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BuildError(
            f"book/expectations.toml: {where} is {first['input']!r}; accepted under "
            "[chapter.quick.embedded]: metric = [lowest, highest]"
        ) from None
    except (OSError, ValueError) as error:  # no TOML, no UTF-8
        raise BuildError(f"book/expectations.toml: {error}") from None


def lookup(values: Any, metric: str) -> float | None:
    """The number at a dotted path, the mean of a list of numbers; None where there is none."""
    for part in metric.split("."):
        values = values.get(part) if isinstance(values, dict) else None
    numbers = values if isinstance(values, list) else [values]
    if not numbers or any(type(n) not in (int, float) or not math.isfinite(n) for n in numbers):
        return None
    return mean(numbers)
