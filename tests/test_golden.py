"""What the package computes and says is what `python tests/golden.py` recorded."""

import json
import re

import golden
import pytest
from book_root import REPO, chapter_names, run_smoke

FIRST, *REST = chapter_names()
RECORDED = json.loads(golden.FILE.read_text("utf-8"))
# in a value's name
TIME = re.compile(
    "seconds|times|roofline|rates|limit|waiting|demand|cache_over|share|/plain|/ours|/adam/"
)
SAME_MACHINE = RECORDED["machine"] == golden.machine()


def reads_built_chapters(name):
    """Whether a chapter shows others' records, and a book of smoke size was built here."""
    records = (REPO / "book/chapters").glob("*.json")
    return "reads-chapters" in (REPO / f"notebooks/{name}.md").read_text("utf-8") and any(
        json.loads(path.read_text("utf-8"))["profile"] == "smoke" for path in records
    )


def test_six_steps_of_every_recipe_give_the_recorded_terms_and_weights():
    found = golden.of_steps()
    assert found.keys() == RECORDED["steps"].keys()
    for name, then in RECORDED["steps"].items():
        assert found[name]["terms"].keys() == then["terms"].keys(), name
        if SAME_MACHINE:
            assert found[name] == then, name
        else:  # another processor adds in another order; the first steps of Adam magnify that
            for term, values in then["terms"].items():
                told = f"{name}: {term}"
                assert found[name]["terms"][term] == pytest.approx(values, rel=0.1, abs=0.1), told


def test_help_texts_are_the_recorded_ones():
    assert golden.of_helps() == RECORDED["helps"]


def test_commands_that_train_write_the_recorded_keys():
    assert golden.of_train() == RECORDED["keys"]


@pytest.mark.parametrize("name", chapter_names())
def test_a_chapter_at_smoke_size_says_what_it_said_and_is_silent_on_stderr(name, smoke):
    found, then = golden.of_chapter(smoke(name)), RECORDED["chapters"][name]
    kinds = [[output[0] for output in outputs] for outputs in found["outputs"]]
    assert "stderr" not in {kind for cell in kinds for kind in cell}
    assert kinds == [[output[0] for output in outputs] for outputs in then["outputs"]]
    assert found["keys"] == then["keys"]
    if SAME_MACHINE and not reads_built_chapters(name):
        assert found["outputs"] == then["outputs"]
        assert {key: found["values"].get(key) for key in then["values"]} == then["values"]


@pytest.mark.parametrize(
    "name",
    [FIRST, *(pytest.param(name, marks=pytest.mark.scale) for name in REST)],
)
def test_a_chapter_run_twice_measures_the_same(name, smoke, tmp_path):
    """All but times: of those the record has none, as they never agree."""
    run_smoke(name, tmp_path / "again")
    once, again = (golden.of_chapter(run)["values"] for run in (smoke(name), tmp_path / "again"))
    compared = RECORDED["chapters"][name]["values"].keys()
    assert {k: once[k] for k in compared} == {k: again[k] for k in compared}
    times = {key for key in once if key not in compared}
    assert all(TIME.search(key) for key in times), times


def test_a_number_is_masked_whole_however_small_and_so_is_a_commit():
    assert golden.masked("0.0003704 s") == golden.masked("0.37 s") == "# s"
    assert golden.masked("commit 41af840") == "commit #"
