"""Runs compared: which pair, in what they differ, what the book expects; bad input."""

import json

import pandas as pd
import pytest

from ssgan_core import compare as module
from ssgan_core.compare import differences, find_records, in_groups, main, pairs
from ssgan_core.errors import InputError
from ssgan_core.results import read_record

SETTINGS = {"profile": "quick", "size": 64, "labels": 100, "labeled_set": None, "draws": 1}
DATA = {"name": "drawn pets", "checksum": "abcdef0123"}


def write(path, values, seed=0, chapter="train", data=DATA, **settings):
    """A record as `Run.finish` writes it; values are method → accuracies or all its columns."""
    told = {
        name: {"last": found} if isinstance(found, list) else found
        for name, found in values.items()
    }
    metrics = {
        "chapter": chapter,
        "profile": "quick",
        "values": told,
        "settings": SETTINGS | {"seed": seed} | settings,
        "data": data,
        "git": "c0ffee",
        "device": "a processor",
        "finished": f"2026-01-01 {path}",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(metrics))
    return path


def read(*paths):
    rows = []
    for path in paths:
        metrics, found = read_record(path)
        whence = {"about": module.about(metrics), "place": "here", "path": str(path)}
        rows += [row | whence for row in found]
    runs = in_groups(pd.DataFrame(rows))
    return runs, runs.drop_duplicates("group").set_index("group")


@pytest.fixture
def four(tmp_path):
    """Two methods, each with two sets of labels, two seeds."""
    for kind, labels, gan, alone in (
        ("random", {}, (0.7, 0.8), (0.6, 0.7)),
        ("mine", {"labeled_set": "sets/mine.csv"}, (0.9, 0.9), (0.7, 0.8)),
    ):
        for method, found in (("alone", alone), ("gan", gan)):
            for seed, accuracy in enumerate(found):
                folder = tmp_path / kind / method / str(seed)
                write(folder / "metrics.json", {method: [accuracy]}, seed, **labels)
    return tmp_path


def test_groups_pair_with_the_same_labels_and_with_the_same_method(four, capsys):
    assert main([str(four / "random"), str(four / "mine")]) == 0
    out = capsys.readouterr().out
    names = ["1 alone, 100 random labels", "2 gan, 100 random labels", "3 alone, mine"]
    assert [line[: len(name)] for line, name in zip(out.splitlines()[1:], names, strict=False)] == (
        names
    )
    told = {line[:5]: line for line in out.splitlines() if line[1:4] == " − "}
    assert list(told) == ["2 − 1", "3 − 1", "4 − 3", "4 − 2"]
    assert "+10.0 ± 0.0 points" in told["2 − 1"] and "adds" in told["2 − 1"]
    assert "+15.0 ± 63.5 points" in told["4 − 3"] and "open" in told["4 − 3"]
    assert "Settings that differ" not in out and "other data" not in out


def test_what_differs_is_said_and_nothing_is_refused(tmp_path):
    one = write(tmp_path / "a/metrics.json", {"ours": {"last": [0.7], "steps": [100]}})
    two = write(tmp_path / "b/metrics.json", {"ours": {"last": [0.8], "steps": [300]}}, size=128)
    runs, groups = read(one, two)
    assert list(groups.index) == ["1 ours, 100 random labels", "2 ours, 100 random labels"]
    row = differences(runs, groups).loc["2 − 1"]
    assert row["settings that differ"] == "size" and row["steps"] == "300 : 100"
    assert row["difference"] == "+10.0 points" and row["verdict"] == "–"


def test_a_group_pairs_with_one_of_its_own_settings_before_others(tmp_path):
    paths = [
        write(tmp_path / f"{size}{name}/metrics.json", {name: [0.7]}, size=size)
        for size in (64, 128)
        for name in ("alone", "gan")
    ]
    _, groups = read(*paths)
    told = [tuple(name.split()[0] for name in pair) for pair in pairs(groups)]
    assert told == [("2", "1"), ("3", "1"), ("4", "3"), ("4", "2")]


def test_runs_on_other_data_stand_side_by_side_unpaired(tmp_path, capsys):
    write(tmp_path / "a/metrics.json", {"ours": [0.7]})
    write(tmp_path / "b/metrics.json", {"ours": [0.8]}, data=DATA | {"checksum": "other"})
    assert main([str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "Runs on other data are not paired" in out and " − " not in out
    assert "drawn pets abcdef" in out and "drawn pets other" in out


def test_an_edited_csv_of_one_name_is_another_set(tmp_path):
    options = {"labeled_set": "my.csv"}
    paths = [
        write(tmp_path / f"{k}/metrics.json", {"a": [0.7]}, data=DATA | {"labels_checksum": k},
              **options)
        for k in ("1111111", "2222222")
    ]  # fmt: skip
    _, groups = read(*paths)
    assert list(groups.index) == ["1 a, my (111111)", "2 a, my (222222)"]


def test_a_run_made_twice_is_told_apart_and_one_given_twice_counts_once(tmp_path, capsys):
    a, b = (write(tmp_path / k / "metrics.json", {"ours": [0.7]}).parent for k in "ab")
    assert main([str(a), str(b), str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert f"1 ours, 100 random labels, {a} " in out and f"2 ours, 100 random labels, {b} " in out
    assert "\n2 − 1" in out and "3 ours" not in out
    assert main([str(tmp_path)]) == 0
    assert f"2 ours, 100 random labels, {b}/metrics.json " in capsys.readouterr().out


def test_photos_that_only_one_reads_right_are_counted(tmp_path, capsys):
    for name, marks in (("alone", "1100000000"), ("gan", "1011111111")):
        last = [marks.count("1") / 10]
        write(tmp_path / name / "metrics.json", {name: {"last": last, "correct": [marks]}})
    assert main([str(tmp_path)]) == 0
    assert "+70.0 points" in (out := capsys.readouterr().out) and "8 : 1 (p = 0.039)" in out


@pytest.mark.parametrize(
    ("marks", "data", "message"),
    [
        ([5], {}, r"`correct` is \[5\]; accepted: a 0 or 1 for each test image"),
        ("", {}, "`correct` is ''; accepted"),
        (11, {}, "`correct` is 11; accepted"),
        ("1x", {}, "`correct` is '1x'; accepted"),
        ("10", {"test_photos": "a b c"}, "`correct` is '10'.*for each of 3 test photos"),
    ],
)
def test_what_does_not_tell_photo_by_photo_what_was_right_is_refused(
    marks, data, message, tmp_path
):
    values = {"ours": {"last": [0.5], "correct": [marks]}}
    path = write(tmp_path / "metrics.json", values, data=DATA | data)
    with pytest.raises(InputError, match=f"metrics.json is no record of a training.*{message}"):
        read_record(path)


def test_photos_are_not_paired_where_a_labeled_set_has_moved_some(tmp_path, capsys):
    """Its test is its own then, of as many photos or not."""
    for name, data in (("a", {}), ("b", {"moved": {"test": 2}, "labels_checksum": "b"})):
        for seed in (0, 1):
            values = {"ours": {"last": [0.5], "correct": ["10"]}}
            path = tmp_path / f"{name}{seed}/metrics.json"
            write(path, values, seed, data=DATA | data, labeled_set=f"{name}.csv")
    assert main([str(tmp_path)]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("2 − 1")]
    assert "+0.0 ± 0.0 points" in line and " : " not in line


def test_records_of_every_kind_are_read(tmp_path, capsys):
    """What of a chapter's values is no method is left out; a record without one says so."""
    values = {"ours": [0.5, 0.7], "distance": {"last": 4.0}, "probe": {"ours": [0.1]}, "n": 3}
    write(tmp_path / "08/metrics.json", values, chapter="08_a_chapter", draws=2)
    write(tmp_path / "02/metrics.json", {"coverage": {"mean": 1}}, chapter="02_a_gan")
    assert main([str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "02/metrics.json tells no method's test accuracy" in out
    assert "1 ours, 100 random labels" in out and "60.0" in out and "2 ours" not in out


def test_an_executed_notebook_leads_to_its_record(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "project_root", lambda: tmp_path)
    record = write(tmp_path / "runs/08_a/quick-12/metrics.json", {"ours": [0.5]})
    notebook = tmp_path / "out.ipynb"
    said = [["runs/08_a/quick-12/metrics.json\n", "3 s"], "as runs/*/metrics.json tells"]

    def executed(*texts):
        outputs = [{"output_type": "stream", "text": text} for text in texts]
        notebook.write_text(json.dumps({"cells": [{"source": ""}, {"outputs": outputs}]}))

    executed(said[0])
    assert find_records(str(notebook)) == [record]
    mine = write(tmp_path / "runs/08_a/quick-our own-12/metrics.json", {"ours": [0.5]})
    executed("no line's end", "runs/08_a/quick-our own-12/metrics.json, 3 s on a CPU\n")
    assert find_records(str(notebook)) == [mine]
    executed()
    assert main([str(notebook)]) == 2
    executed("runs/08_a/quick-34/metrics.json")
    assert main([str(notebook)]) == 2


@pytest.fixture
def book(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "project_root", lambda: tmp_path / "project")
    folder = tmp_path / "project/book"
    folder.mkdir(parents=True)
    bands = '[08_a.quick.embedded]\n"ours.last" = [0.5, 0.7]\n"deep.er" = [1, 2]\n'
    (folder / "expectations.toml").write_text(bands)
    return folder


def test_a_chapters_numbers_are_held_against_the_books(book, tmp_path, capsys):
    values = {"ours": [0.7, 0.9], "deep": {"er": 1.5}}
    mine = write(tmp_path / "mine/metrics.json", values, chapter="08_a", seed=3)
    assert main([str(mine)]) == 0
    lines = capsys.readouterr().out.partition("08_a against the book:\n")[2].splitlines()
    assert lines[1].split() == ["ours.last", "0.8", "0.5", "to", "0.7", "OUTSIDE"]
    assert lines[2].split() == ["deep.er", "1.5", "1", "to", "2", "inside"]
    assert lines[3].startswith("Why, the book's own run could tell, which is not there: ")
    failed = write(tmp_path / "failed/metrics.json", {"ours": [0.6, None]}, chapter="08_a")
    assert main([str(failed)]) == 0
    assert "nan" in (out := capsys.readouterr().out) and "OUTSIDE" in out
    asked = write(tmp_path / "asked/metrics.json", {"other": [0.6]}, chapter="08_a")
    assert main([str(asked)]) == 0
    assert "08_a against the book: no band is set for what it measured" in capsys.readouterr().out
    theirs = write(book / "chapters/08_a.json", {"ours": [0.6, 0.7]}, chapter="08_a", size=32)
    assert main([str(mine)]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[-1] == (
        "What differs from the book's run: size 64, seed 3, not size 32, seed 0"
    )
    assert "0.65" in out
    assert main([str(theirs)]) == 0
    assert "against the book" not in capsys.readouterr().out


def test_no_band_is_said_and_a_training_is_no_chapter(book, tmp_path, capsys):
    write(tmp_path / "a/metrics.json", {"ours": [0.7]}, chapter="08_a", photos="path")
    write(tmp_path / "b/metrics.json", {"other": [0.7]})
    assert main([str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    out = capsys.readouterr().out
    assert (
        "08_a against the book: no band is set for what it measured, with quick and real data"
        in out
    )
    assert out.count("against the book") == 1


def test_a_figure_and_a_table_are_written_where_the_person_is(four, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    figure, table = tmp_path / "c.svg", tmp_path / "runs.csv"
    assert main([str(four), "--out", "c.svg", "--csv", "runs.csv"]) == 0
    assert "<svg" in figure.read_text() and "100 random labels" in figure.read_text()
    rows = pd.read_csv(table)
    assert len(rows) == 8 and rows.group.nunique() == 4
    gan = rows[(rows.method == "gan") & (rows.labeled_set == "mine")]
    assert gan.seed.tolist() == [0, 1] and gan["last"].tolist() == [0.9, 0.9]


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("nowhere", "nowhere does not exist; accepted: a folder of runs, a metrics.json"),
        ("empty", "empty holds no metrics.json, nor does a folder in it"),
        ("text", "metrics.json is no record of a training (JSONDecodeError"),
        ("list", "metrics.json is no record of a training (TypeError"),
        ("words", "metrics.json is no record of a training (ValueError"),
        ("model.pt", "model.pt is no record of a training (UnicodeDecodeError"),
        ("a.ipynb", "a.ipynb is no notebook (KeyError"),
        ("", "a path is empty; give a file or a folder"),
    ],
)
def test_what_is_no_record_is_one_line(place, words, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    for name, content in (("text", "no"), ("list", "[]")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.json").write_text(content)
    write(tmp_path / "words/metrics.json", {"ours": ["high"]})
    (tmp_path / "model.pt").write_bytes(b"\x80\x02")
    (tmp_path / "a.ipynb").write_text("{}")
    assert main([str(tmp_path / place) if place else ""]) == 2
    out, err = capsys.readouterr()
    assert not out and words in err and len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (
            ["--out", "c.doc"],
            "c.doc cannot be written: its name ends in '.doc'; accepted: .png",
        ),
        (["--out", "c"], "c cannot be written: its name ends in ''; accepted: .png"),
    ],
)
def test_a_figure_of_no_known_kind_is_refused(option, words, four, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([str(four), *option]) == 2
    err = capsys.readouterr().err
    assert words in err and len(err.splitlines()) == 1


def test_nothing_to_draw_is_said(tmp_path, capsys):
    write(tmp_path / "metrics.json", {"coverage": {"mean": 1}})
    assert main([str(tmp_path), "--out", str(tmp_path / "c.png")]) == 2
    assert "c.png is not written" in capsys.readouterr().err
