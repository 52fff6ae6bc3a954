"""What the runs say about themselves, shown in the book.

Beside each executed chapter lies its `metrics.json` (`book/chapters/NN_name.json`). From it come
the line "how this page was run" under every chapter's title, how long a chapter ran (role `ran`),
the status of what was run and of what was recorded (`{run-times}`) and tables of results
(`{run-results}`). The trainings recorded under `book/recorded` have a table of their own
(`{recorded-results}`).
"""

import html
import json
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective, SphinxRole

from book.expectations import check, check_recorded
from book.record import commands, experiments

CHAPTERS = "book/chapters"
TRAININGS = ("ssgan_core.train", "ssgan_core.train_digits")
REPEATED = {"seed", "recipe", "method"}  # by which runs of an experiment are means of runs alike
RECORDED = "recorded"  # where a page shows recorded runs first
MEANING = {
    "smoke": "It tests the plumbing; its numbers mean nothing.",
    "quick": "Sized for a laptop, to show how a method works.",
    "full": "The real size.",
}
UNPUBLISHED = "No run of this chapter at its real size has been published yet."
OWN = "It learned from a labeled set of somebody's own; its numbers need not be the book's."


def read_records(root: Path) -> dict[str, dict[str, Any]]:
    """Records of the executed chapters by chapter name, in order."""
    paths = sorted((root / CHAPTERS).glob("*.json"))
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in paths}


def duration(seconds: float) -> str:
    """`47 s`, `3 min 05 s`, `2 h 10 min`."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def banner(record: dict[str, Any], recorded: str | None = None, lacking: bool = False) -> str:
    """HTML of the line that says how a page was run; `recorded` is where it shows longer runs,
    `lacking` whether other chapters were published at their real size and this one was not."""
    profile = record["profile"]
    facts = {
        "Data": f"{record['data']['name']} ({record['data']['checksum'][:8]})",
        "Device": record["device"],
        "Seed": record["settings"].get("seed", "–"),
        "Date": record["finished"][:10],
        "Commit": record["git"],
        "Versions": f"Python {record['python']}, PyTorch {record['versions']['torch']}",
        "Wall time": duration(record["wall_s"]),
    }
    own = ""
    if record["settings"].get("labeled_set"):
        from ssgan_core.results import labeled_set  # brings PyTorch: only a page that needs it pays

        facts = {"Labels": labeled_set(record)} | facts
        own = f" {OWN}"
    items = "".join(
        f"<li><span>{name}</span> {html.escape(str(value))}</li>" for name, value in facts.items()
    )
    if lacking:
        own += f" {UNPUBLISHED}"
    link = f' <a href="#{recorded}">Recorded results</a> stand below.' if recorded else ""
    return (
        f'<aside class="how-run {profile}" aria-label="How this page was run">'
        f"<p><strong>{profile.capitalize()} run.</strong> {MEANING[profile]}{own}{link}</p>"
        f"<ul>{items}</ul></aside>"
    )


def _add_banner(app: Sphinx, doctree: nodes.document) -> None:
    folder, _, name = app.env.docname.rpartition("/")
    record = read_records(Path(app.srcdir)).get(name) if folder == CHAPTERS else None
    title = next(doctree.findall(nodes.title), None)
    if record and title:
        place = title.parent.index(title) + 1
        cells = (
            n for n in doctree.findall(nodes.container) if "tag_reads-recorded" in n["classes"]
        )
        if shown := next(cells, None):
            shown["ids"].append(RECORDED)
        edition = Path(app.srcdir, "book/published")
        lacking = record["profile"] != "full" and edition.is_dir()
        lacking = lacking and not (edition / f"{name}.ipynb").exists()
        line = banner(record, RECORDED if shown else None, lacking)
        title.parent.insert(place, nodes.raw("", line, format="html"))


class Ran(SphinxRole):
    """How long the chapter of a number ran, and at which size.

    In a chapter it is the chapter's own, and the text what a notebook shows, which knows no roles.
    """

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        number = self.text if self.text.isdecimal() else Path(self.env.docname).name[:2]
        for name, record in read_records(Path(self.env.srcdir)).items():
            if name.startswith(f"{number}_"):
                told = f"{duration(record['wall_s'])} at {record['profile']}"
                return [nodes.inline(text=told, classes=["ran"])], []
        return [nodes.inline(text="not run in this build", classes=["ran"])], []


def _table(rows: list[list[str]], header: list[str]) -> nodes.table:
    table = nodes.table(classes=["run-facts"])
    group = nodes.tgroup(cols=len(header))
    group += [nodes.colspec(colwidth=1) for _ in header]
    for part, lines in ((nodes.thead(), [header]), (nodes.tbody(), rows)):
        for line in lines:
            row = nodes.row()
            for cell in line:
                row += nodes.entry("", nodes.paragraph(text=cell))
            part += row
        group += part
    table += group
    return table


class RunTimes(SphinxDirective):
    """Two tables: how every chapter was run, and what of every experiment is recorded.

    Both say how many of the bands that `book/expectations.toml` sets for the numbers are held.
    """

    def run(self) -> list[nodes.Node]:
        root = Path(self.env.srcdir)
        self.env.note_reread()  # runs may have come that Sphinx does not know of
        return [*chapters_table(root), experiments_table(root)]


def chapters_table(root: Path) -> list[nodes.Node]:
    """How every chapter was run; versions stand in a line below where all had the same."""
    records = read_records(root)
    used = {name: versions(record) for name, record in records.items()}
    alike = len(set(used.values())) == 1
    rows = [
        [
            name,
            record["profile"],
            record["data"]["name"],
            record["device"],
            record["finished"][:10],
            duration(record["wall_s"]),
            str(check(root, record)),
            *([] if alike else [used[name]]),
        ]
        for name, record in records.items()
    ]
    total = sum(record["wall_s"] for record in records.values())
    header = ["chapter", "profile", "data", "device", "date", "wall time", "bands"]
    header += [] if alike else ["versions"]
    rows.append(["in all", *[""] * 4, duration(total), *[""] * (len(header) - 6)])
    line = [nodes.paragraph(text=f"All with {used.popitem()[1]}.")] if alike else []
    return [_table(rows, header), *line]


def versions(record: dict[str, Any]) -> str:
    """`Python 3.11.7, torch 2.15.0, …` of the packages that were there."""
    named = {"Python": record["python"]} | record["versions"]
    return ", ".join(f"{name} {version}" for name, version in named.items() if version)


def experiments_table(root: Path) -> nodes.table:
    rows, checked = [], check_recorded(root)
    for name, experiment in experiments(root).items():
        folders = commands(root, name, str(root))
        paths = [path for folder in folders if (path := folder / "metrics.json").exists()]
        runs = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
        days = sorted({run["finished"][:10] for run in runs})
        rows.append(
            [
                name,
                experiment["about"],
                f"{len(runs)} of {len(folders)}",
                "; ".join(dict.fromkeys(run["device"] for run in runs)) or "–",
                " to ".join(dict.fromkeys([*days[:1], *days[-1:]])) or "–",
                str(checked.get(name, "no bands")),
            ]
        )
    return _table(rows, ["experiment", "what it is", "runs", "device", "dates", "bands"])


class RunResults(SphinxDirective):
    """Table of test accuracies; each line of the body is `chapter | metric | what it is`.

    A metric is a fraction or a list of them, one a run; a dot goes down into nested values.
    """

    has_content = True

    def run(self) -> list[nodes.Node]:
        from ssgan_core.intervals import format_ci  # brings PyTorch: only a page that needs it pays

        records = read_records(Path(self.env.srcdir))
        rows = []
        for line in self.content:
            chapter, metric, meaning = (part.strip() for part in line.split("|"))
            record = records.get(chapter)
            if record is None:
                rows.append([meaning, "not run in this build", "", ""])
                continue
            value = record["values"]
            for part in metric.split("."):
                value = value.get(part) if isinstance(value, dict) else None
            if value is None:
                rows.append([meaning, "not part of this run", "", ""])
                continue
            values = value if isinstance(value, list) else [value]
            facts = [record["profile"], record["data"]["name"]]
            for setting, unit in {"size": "px", "steps": "steps", "epochs": "epochs"}.items():
                if record["settings"].get(setting):
                    facts.append(f"{record['settings'][setting]:,} {unit}")
            rows.append([meaning, format_ci(values), str(len(values)), ", ".join(facts)])
        return [_table(rows, ["", "test accuracy", "runs", "run"])]


class RecordedResults(SphinxDirective):
    """Table of the trainings recorded on real data: mean test accuracy at the last step.

    Experiments in which runs of a method differ by more than their seed stand in their chapters.
    """

    def run(self) -> list[nodes.Node]:
        from ssgan_core.intervals import interval_table
        from ssgan_core.results import read_recorded
        from ssgan_core.ssgan.study import settings_then

        shelf = Path(self.env.srcdir) / "book/recorded"
        self.env.note_reread()  # runs may have come that Sphinx does not know of
        rows = []
        for name, experiment in experiments(shelf.parents[1]).items():
            runs = read_recorded(shelf / name, settings_then)
            alike = experiment["command"] in TRAININGS and experiment["each"].keys() <= REPEATED
            if runs.empty or not alike or "data" not in experiment:  # without: drawn pets
                continue
            about = experiment["about"]
            for method, told in interval_table(runs).iterrows():
                own = runs[runs.method == method]
                facts = [str(told.runs), f"{own.steps.mean():,.0f}", "; ".join(own.device.unique())]
                rows.append([about, method, told["test accuracy"], *facts])
                about = ""  # once for all methods
        rows = rows or [["nothing has been recorded for this version of the book", *[""] * 5]]
        header = ["experiment", "method", "test accuracy", "runs", "steps a run", "device"]
        return [_table(rows, header)]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_role("ran", Ran())
    app.add_directive("run-times", RunTimes)
    app.add_directive("run-results", RunResults)
    app.add_directive("recorded-results", RecordedResults)
    app.connect("doctree-read", _add_banner)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
