"""Bands that the book's numbers must lie in before it is published."""

import json
import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, FiniteFloat, ValidationError

from book.common import BuildError


def _ascending(band: tuple[float, float]) -> tuple[float, float]:
    if band[0] > band[1]:
        raise ValueError("the lowest value comes first")
    return band


Band = Annotated[tuple[FiniteFloat, FiniteFloat], AfterValidator(_ascending)]
Profile = Literal["smoke", "quick", "full"]
Data = Literal["embedded", "real"]


class Bands(BaseModel, extra="allow"):
    """What `book/expectations.toml` says: bands of the recorded experiments, and of chapters."""

    recorded: dict[str, dict[str, Band]] = {}
    __pydantic_extra__: dict[str, dict[Profile, dict[Data, dict[str, Band]]]]


class Checked(NamedTuple):
    """How many bands there are, and of each that is not held one sentence."""

    count: int
    faults: list[str]

    def __str__(self) -> str:
        return f"{self.count - len(self.faults)} of {self.count} held" if self.count else "no bands"


def check(root: Path, metrics: Mapping[str, Any]) -> Checked:
    """One chapter's numbers against the bands of its profile and data.

    A dot in a metric goes down into nested values; a list of repeated runs counts by its mean. Of
    somebody's own labeled set nothing is expected.
    Raises BuildError where `book/expectations.toml` cannot be read.
    """
    chapter, profile, settings = (metrics[name] for name in ("chapter", "profile", "settings"))
    data = "real" if settings.get("photos") or settings.get("mnist") else "embedded"
    bands = _read(root / "book/expectations.toml").__pydantic_extra__
    own = settings.get("labeled_set")
    here = {} if own else bands.get(chapter, {}).get(profile, {}).get(data, {})
    return Checked(
        len(here), _faults(f"{chapter}, {profile}, {data} data", here, metrics["values"])
    )


def check_recorded(root: Path) -> dict[str, Checked]:
    """The recorded runs of every experiment that has bands against them, all runs by their mean.

    Raises BuildError where `book/expectations.toml` or a record cannot be read.
    """
    found: dict[str, Checked] = {}
    for runs, bands in _read(root / "book/expectations.toml").recorded.items():
        name = runs.split("/")[0]
        count, faults = found.get(name, Checked(0, []))
        more = _faults(f"recorded {runs}", bands, _recorded_values(root / "book/recorded", runs))
        found[name] = Checked(count + len(bands), faults + more)
    return found


def _recorded_values(shelf: Path, runs: str) -> dict[str, dict[str, list[Any]]]:
    """Method → column → what the records below the folders `runs` hold, one list of all runs."""
    values: dict[str, dict[str, list[Any]]] = {}
    for path in sorted(shelf.glob(f"{runs}/**/metrics.json")):
        try:
            for method, columns in json.loads(path.read_text(encoding="utf-8"))["values"].items():
                for column, each in columns.items():
                    values.setdefault(method, {}).setdefault(column, []).extend(each)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise BuildError(f"{path} is no record of a training: {error!r}") from None
    return values


def _faults(where: str, bands: Mapping[str, Band], values: Any) -> list[str]:
    faults = []
    for metric, (low, high) in bands.items():
        value = lookup(values, metric)
        if value is None:
            faults.append(f"{where}: {metric} is missing, expected in [{low:g}, {high:g}]")
        elif not low <= value <= high:
            faults.append(f"{where}: {metric} = {value:g} is outside [{low:g}, {high:g}]")
    return faults


def _read(path: Path) -> Bands:
    try:
        return Bands.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BuildError(
            f"book/expectations.toml: {where} is {first['input']!r}; accepted under "
            "[chapter.quick.embedded] and [recorded.experiment]: metric = [lowest, highest]"
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
