"""Compare runs: accuracies with intervals, paired differences, and in what else the runs differ.

python -m ssgan_core.compare runs/a runs/b --out comparison.png --csv runs.csv
"""

import argparse
import json
import re
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ssgan_core.command_line import run_command
from ssgan_core.errors import InputError, apart
from ssgan_core.intervals import gains, interval_table
from ssgan_core.paths import output_file, project_root, resolve_path, whole_file
from ssgan_core.results import labeled_set, read_record
from ssgan_core.ssgan.study import settings_then

# Settings that the columns `method`, `labeled_set`, `seed` and `data` tell, or that change no run.
TOLD = {"recipe", "method", "generator", "labeled_set", "labels", "seed", "draws", "photos",
        "mnist", "out"}  # fmt: skip
COLUMNS = ("group", "method", "labeled_set", "seed", "last", "best", "last_raw", "probe", "steps",
           "minutes", "data", "device", "git", "finished", "path")  # fmt: skip
PAIRED = (
    "Paired by seed; the 95 % intervals cover other draws, and other test photos where both sides "
    "tell which they read right. Of single draws, p is McNemar's: of other test photos alone."
)


def find_records(place: str) -> list[Path]:
    """The records that a place holds: all `metrics.json` of a folder, an executed notebook's, or a
    file that is one itself. InputError where there is none."""
    path = resolve_path(place)
    if path.is_dir():
        if found := sorted(path.rglob("metrics.json")):
            return found
        raise InputError(f"{place} holds no metrics.json, nor does a folder in it")
    if not path.exists():
        raise InputError(
            f"{place} does not exist; accepted: a folder of runs, a metrics.json, or a chapter "
            "that was executed"
        )
    return [_record_of(path)] if path.suffix == ".ipynb" else [path]


def _record_of(notebook: Path) -> Path:
    """The record that an executed chapter has written, which its last cell names."""
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        outputs = [out for cell in cells for out in cell.get("outputs", ())]
        text = "\n".join("".join(out.get("text", "")) for out in outputs)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{notebook} is no notebook ({type(error).__name__}: {error})") from error
    named = re.findall(r"^(runs/.+/metrics\.json)(?:,|$)", text, re.MULTILINE)
    if not named:
        raise InputError(f"{notebook} names no metrics.json: its last cell has not been executed")
    path = project_root() / named[-1]
    if not path.exists():
        raise InputError(f"{notebook} was executed, but its record {path} is no longer there")
    return path


def about(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """What decides a run beside its method, labels and seed: its settings and its data."""
    kept = {k: v for k, v in metrics["settings"].items() if k not in TOLD and v is not None}
    data = metrics["data"]
    return kept | {"data": f"{data['name']} {str(data.get('checksum'))[:6]}"}


def in_groups(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs with their `group`, `2 ssgan, 100 random labels`, in which runs differ in the seed
    alone; where a seed comes twice, the name tells whence a run comes too."""
    names = runs["method"] + ", " + runs["labeled_set"]
    keys = names + runs["about"].map(lambda one: json.dumps(one, sort_keys=True))
    for whence in ("place", "path"):
        again = pd.DataFrame({"key": keys, "seed": runs["seed"]}).duplicated(keep=False)
        twice = keys.isin(keys[again])
        keys = keys.mask(twice, keys + runs[whence])
        names = names.mask(twice, runs["method"] + ", " + runs["labeled_set"] + ", " + runs[whence])
    numbers = pd.Series(keys.factorize()[0] + 1, runs.index).astype(str)
    return runs.assign(group=numbers + " " + names)


def pairs(groups: pd.DataFrame) -> list[tuple[str, str]]:
    """Which groups to compare: each with the first of the same labels and with the first of the
    same method, of its own settings where there is one, and never on other data."""
    found, first = {}, {}
    for name, group in groups.iterrows():
        for column in ("labeled_set", "method"):
            key = column, group[column], group["about"]["data"]
            alike = first.setdefault((*key, str(group["about"])), name)
            other = alike if alike != name else first.setdefault(key, name)
            if other != name:
                found[name, other] = None
    return list(found)


def differences(runs: pd.DataFrame, groups: pd.DataFrame) -> pd.DataFrame:
    """What groups gain over others, a row a pair, and in which settings the two differ.

    Of the test photos that only one of them reads right are told how many, and McNemar's p where
    there is a single draw.
    """
    asked = {" − ".join(name.split()[0] for name in pair): pair for pair in pairs(groups)}
    # Of two sets of labels the seed pairs the draws.
    paired, rows = runs.drop(columns="labeled_set").assign(method=runs["group"]), {}
    for title, found in gains(paired, asked).items():
        mine, other = (groups.loc[name, "about"] for name in asked[title])
        p = "" if np.isnan(found.mcnemar) else f" (p = {found.mcnemar:.2g})"
        rows[title] = {
            "difference": str(found),
            "draws": len(found.each),
            "verdict": found.verdict if len(found.each) > 1 else "–",
            "only one right": "{} : {}".format(*found.alone) + p if found.alone else "–",
            "steps": found.by_steps if found.unequal else "",
            "settings that differ": ", ".join(
                key for key in dict.fromkeys([*mine, *other]) if mine.get(key) != other.get(key)
            ),
        }
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table.loc[:, (table != "").any()]


def against_book(metrics: Mapping[str, Any]) -> str:
    """A chapter's numbers against the bands that the book expects, and in what the run differs from
    the book's own; empty for the book's own run and for what is no chapter's."""
    chapter, profile, root = metrics.get("chapter"), metrics.get("profile"), project_root() / "book"
    expected = root / "expectations.toml"
    bands = tomllib.loads(expected.read_text("utf-8")) if expected.exists() else {}
    if str(chapter) not in bands:
        return ""
    kept = root / f"chapters/{chapter}.json"
    book = read_record(kept)[0] if kept.exists() else None
    if metrics == book:
        return ""
    settings = metrics["settings"]
    data = "real" if settings.get("photos") or settings.get("mnist") else "embedded"
    here, rows = bands[chapter].get(str(profile), {}).get(data, {}), {}
    theirs = _means(book, here) if book else {}
    for name, value in _means(metrics, here).items():
        low, high = here[name]
        rows[name] = {
            "yours": f"{value:.3g}",
            "band": f"{low:g} to {high:g}",
            "": "inside" if low <= value <= high else "OUTSIDE",
        }
        if book:
            rows[name]["the book's"] = f"{theirs.get(name, np.nan):.3g}"
    told = f"{chapter} against the book:"
    if not rows:
        return f"{told} no band is set for what it measured, with {profile} and {data} data"
    told += f"\n{pd.DataFrame.from_dict(rows, orient='index').to_string()}"
    if book:
        mine, others = (
            about(run)
            | {"labels": labeled_set(run), "seed": run["settings"]["seed"]}
            | {name: run[name] for name in ("device", "git")}
            for run in (metrics, book)
        )
        differ = apart(mine, dict.fromkeys(mine) | others, str) or "nothing"
        return f"{told}\nWhat differs from the book's run: {differ}"
    if "OUTSIDE" in told:
        told += f"\nWhy, the book's own run could tell, which is not there: {kept}"
    return told


def _means(metrics: Mapping[str, Any], names: Iterable[str]) -> dict[str, float]:
    """The numbers at those of the dotted names that a record has, the mean of a list; NaN for what
    is no number."""
    values = pd.json_normalize(metrics["values"]).to_dict("records")[0]
    measured = {name: pd.Series(values[name], dtype=float) for name in names if name in values}
    return {name: found.mean(skipna=False) for name, found in measured.items()}


def compare(places: Sequence[str], out: str | None = None, csv: str | None = None) -> None:
    """Print the comparison of all records at some places; draw it, and write a row a run."""
    table = output_file(csv, ".csv") if csv else None
    figure = output_file(out, ".png", ".svg", ".pdf") if out else None
    records, rows = {}, []
    for place in places:
        for path in find_records(place):
            metrics, found = read_record(path, settings_then)
            if metrics in records.values():  # the same run, found by another way
                continue
            records[path] = metrics
            whence = {"about": about(metrics), "place": place, "path": str(path)}
            rows += [row | whence for row in found]
            if not found:
                print(f"{path} tells no method's test accuracy, so it is compared with no other")
    if rows:
        runs = in_groups(pd.DataFrame(rows))
        _tell(runs)
        if table:
            columns = [name for name in COLUMNS if name in runs]
            with whole_file(table) as partial:
                runs[columns].to_csv(partial, index=False)
        if figure:
            _draw(runs, figure)
    elif out or csv:
        raise InputError(f"no record there tells a test accuracy; {out or csv} is not written")
    for metrics in records.values():
        if told := against_book(metrics):
            print(f"\n{told}")


def _tell(runs: pd.DataFrame) -> None:
    """Print the groups' accuracies, the settings that differ, and what gains over what."""
    groups = runs.drop_duplicates("group").set_index("group")
    print(interval_table(runs.assign(method=runs["group"])).rename_axis(None).to_string())
    settings = pd.DataFrame(groups["about"].tolist(), groups.index.str.split().str[0], dtype=object)
    settings = settings.fillna("–").astype(str)
    if len(differ := settings.columns[settings.nunique() > 1]):
        print(f"\nSettings that differ:\n{settings[differ].rename_axis(None).to_string()}")
    if len(table := differences(runs, groups)):
        print(f"\n{table.to_string()}\n{PAIRED}")
    if settings["data"].nunique() > 1:
        print("Runs on other data are not paired: they have other labels and other test photos.")


def _draw(runs: pd.DataFrame, path: Path) -> None:
    from ssgan_core import plots  # brings matplotlib, which only a figure needs

    plots.use_style()
    names = runs["group"].str.replace(", ", ",\n")
    figure = plots.accuracy_dots(runs.assign(method=names))
    with whole_file(path) as partial:
        figure.savefig(partial, format=path.suffix[1:].lower())


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; `run_command` says what it returns."""

    def call() -> None:
        parser = argparse.ArgumentParser(prog="python -m ssgan_core.compare", description=__doc__)
        parser.add_argument(
            "places", nargs="+", help="folders of runs, metrics.json files, executed chapters"
        )
        parser.add_argument("--out", help="figure to draw, .png, .svg or .pdf")
        parser.add_argument("--csv", help="table to write, a row a run")
        given = parser.parse_args(arguments)
        compare(given.places, given.out, given.csv)

    return run_command(call)


if __name__ == "__main__":
    sys.exit(main())
