"""The builder, on a tiny book: what it runs, what it leaves, what it refuses."""

import json
import os
import shutil

import jupytext.cli
import nbformat
import pytest
from book_root import FINISH, PARAMETERS, REPO, make_root, write_chapter
from photo_tables import fill

from book import expectations, freshness
from book.build import build
from book.common import BuildError
from book.discover import chapters_of, check_pair, select
from book.execute import read_about
from ssgan_core.process import cores


@pytest.fixture
def root(tmp_path):
    freshness._digest.cache_clear()
    freshness._listing.cache_clear()
    return make_root(tmp_path / "root")


def page(root, name):
    return root / "book" / "chapters" / f"{name}.ipynb"


def key(root, name="01_first", **parameters):
    freshness._digest.cache_clear()
    freshness._listing.cache_clear()
    chapter = next(c for c in chapters_of(root) if c.name == name)
    return freshness.key_of(chapter, {"profile": "quick"} | parameters)


def test_a_build_leaves_page_and_record_and_a_second_one_runs_nothing(root, capsys):
    build(root, "smoke", only="1", html=False)
    about = read_about(chapters_of(root)[0])
    assert about["parameters"] == {"profile": "smoke"}
    assert about["device"] == "a CPU"
    record = json.loads(page(root, "01_first").with_suffix(".json").read_text())
    assert record["values"] == {"accuracy": 0.8}
    notebook = nbformat.read(page(root, "01_first"), as_version=4)
    nbformat.validate(notebook)
    assert "papermill" not in notebook.metadata
    assert [c.id for c in notebook.cells] == [f"cell-{i:03d}" for i in range(4)]
    assert not list((root / "book" / "logs").glob("*.ipynb"))
    first = page(root, "01_first").read_bytes()
    capsys.readouterr()

    build(root, "smoke", only="1", html=False)
    assert "01_first: up to date" in capsys.readouterr().out

    page(root, "01_first").unlink()
    build(root, "smoke", only="1", html=False)
    assert page(root, "01_first").read_bytes() == first, "two equal runs give equal bytes"


MEETS = """import os, pathlib, time
folder = pathlib.Path("met")
folder.mkdir(exist_ok=True)
(folder / "{name}").write_text(os.environ["OMP_NUM_THREADS"])
end = time.monotonic() + 60
while time.monotonic() < end and len(list(folder.iterdir())) < 2:
    time.sleep(0.05)
assert len(list(folder.iterdir())) == 2
"""


def add_chapter(root, name, code, **options):
    toc = root / "_toc.yml"
    toc.write_text(f"{toc.read_text()}  - file: book/chapters/{name}\n")
    write_chapter(root, name, code + FINISH.format(name=name), **options)


@pytest.mark.skipif(cores() < 2, reason="two chapters take two cores")
def test_chapters_run_two_at_a_time_with_their_share_of_the_cores(root, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    for name in ("01_first", "02_second"):
        write_chapter(root, name, MEETS.format(name=name) + FINISH.format(name=name))
    build(root, "smoke", html=False)
    assert {file.read_text() for file in (root / "met").iterdir()} == {str(cores() // 2)}


def test_a_chapter_that_times_runs_alone_and_after_the_others(root, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    note = """import os, pathlib
done = sorted(path.stem for path in pathlib.Path("book/chapters").glob("*.json"))
print(os.environ["OMP_NUM_THREADS"], done)
"""
    write_chapter(root, "01_first", note + FINISH.format(name="01_first"), tags=["measures-speed"])
    add_chapter(root, "03_third", note, tags=["measures-speed"])
    build(root, "smoke", html=False)
    logs = [(root / f"book/logs/{name}.log").read_text() for name in ("01_first", "03_third")]
    assert [log.splitlines()[0] for log in logs] == [
        f"{cores()} ['02_second']",
        f"{cores()} ['01_first', '02_second']",
    ]


def test_of_chapters_side_by_side_one_that_fails_stops_no_other(root):
    write_chapter(root, "01_first", "1 / 0")
    with pytest.raises(BuildError, match=r"^01_first: cell 4: ZeroDivisionError"):
        build(root, "smoke", html=False)
    assert not page(root, "01_first").exists() and page(root, "02_second").exists()


def test_a_failing_chapter_leaves_no_page_and_one_clear_line(root):
    write_chapter(root, "02_second", FINISH.format(name="02_second"))
    html = root / "_build/html/book/chapters/02_second.html"
    html.parent.mkdir(parents=True)
    html.write_text("an older page")
    page(root, "02_second").parent.mkdir(parents=True)
    page(root, "02_second").write_text("an older page")
    write_chapter(root, "02_second", 'print("before")\nraise ValueError("photos: no cats\\nin x")')

    with pytest.raises(BuildError) as caught:
        build(root, "smoke", only="02", html=False)

    assert str(caught.value).splitlines() == [
        "02_second: cell 4: ValueError: photos: no cats in x (see book/logs/)"
    ]
    assert not page(root, "02_second").exists()
    assert not html.exists()
    assert not list((root / "book/chapters").glob("02*"))
    assert (root / "book/logs/02_second.ipynb").exists()
    assert "before" in (root / "book/logs/02_second.log").read_text()


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("pass", "Run.finish is missing"),
        ("import os; os._exit(1)", "DeadKernelError"),
    ],
)
def test_a_chapter_that_breaks_its_contract_fails(root, code, message):
    write_chapter(root, "01_first", code)
    with pytest.raises(BuildError, match=f"^01_first: .*{message}"):
        build(root, "smoke", only="first", html=False)
    assert not page(root, "01_first").exists()


def test_what_a_chapter_writes_to_stderr_is_a_note_and_no_part_of_the_page(root, capsys):
    noise = "import os, sys\nprint('\\noh no', file=sys.stderr)\nos.system('echo 1>&2 from C')\n"
    write_chapter(root, "01_first", noise + FINISH.format(name="01_first"))
    write_chapter(
        root, "02_second", "import sys\nprint(file=sys.stderr)\n" + FINISH.format(name="02_second")
    )
    build(root, "smoke", html=False)
    notes = [line for line in capsys.readouterr().out.splitlines() if "note" in line]
    assert sorted(notes) == [
        "[1/2]   note: cell 4 wrote to stderr: oh no (book/logs/01_first.log)",
        "[2/2]   note: cell 4 wrote to stderr: an empty line (book/logs/02_second.log)",
    ]
    for name in ("01_first", "02_second"):
        outputs = nbformat.read(page(root, name), as_version=4).cells[-1].outputs
        assert [(o.name, o.text) for o in outputs] == [("stdout", "accuracy 0.8\n")]
    log = (root / "book/logs/01_first.log").read_text()
    assert "oh no" in log and "from C" in log


def test_chapters_not_selected_get_a_placeholder_or_keep_a_page_that_is_up_to_date(root):
    build(root, "smoke", only="01", html=False)
    placeholder = nbformat.read(page(root, "02_second"), as_version=4)
    text = placeholder.cells[0].source
    assert text.startswith("(ch-02)=\n# Chapter 02_second")
    assert "make book ONLY=02" in text

    build(root, "quick", only="02", html=False)  # the smoke page of chapter 1 is still true
    first, second = (read_about(chapter) for chapter in chapters_of(root))
    assert (first["parameters"], second["parameters"]) == (
        {"profile": "smoke"},
        {"profile": "quick"},
    )
    (root / "ssgan_core/helper.py").write_text("ACCURACY = 0.9\n")
    freshness._digest.cache_clear()
    build(root, "quick", only="02", html=False)
    assert not read_about(chapters_of(root)[0])


def test_a_number_outside_its_band_fails_the_build(root):
    (root / "book/expectations.toml").write_text(
        '["01_first".smoke.embedded]\naccuracy = [0.9, 1]\nloss = [0, 1]\n'
    )
    with pytest.raises(BuildError) as caught:
        build(root, "smoke", only="01", html=False)
    assert str(caught.value).splitlines() == [
        "01_first, smoke, embedded data: accuracy = 0.8 is outside [0.9, 1]",
        "01_first, smoke, embedded data: loss is missing, expected in [0, 1]",
    ]


def test_bands_are_by_profile_and_data_and_reach_nested_values(root):
    path = root / "book/expectations.toml"
    path.write_text('["01_first".quick.real]\n"ours.mean" = [0.5, 0.6]\n')

    def faults(value, profile="quick", real=True):
        settings = {"photos": "folder"} if real else {}
        metrics = {"chapter": "01_first", "profile": profile, "settings": settings}
        return expectations.check(root, metrics | {"values": {"ours": {"mean": value}}}).faults

    assert faults(0.55) == []
    assert faults(0.7, profile="full") == faults(0.7, real=False) == []
    assert "ours.mean = 0.7 is outside [0.5, 0.6]" in faults(0.7)[0]
    assert faults([0.5, 0.7]) == [], "repeated runs count by their mean"
    assert "ours.mean is missing" in faults([])[0]
    path.write_text("nonsense")
    with pytest.raises(BuildError, match=r"expectations\.toml"):
        faults(0.7)


def test_recorded_runs_outside_their_bands_fail_the_build(root):
    (root / "book/expectations.toml").write_text(
        '[recorded.long]\n"ours.last" = [0.5, 0.6]\n"other.last" = [0, 1]\n'
        '[recorded."long/10-*"]\n"ours.last" = [0.8, 1]\n'
    )
    for folder, value in {"10-a": 0.9, "10-b": 0.8, "20-a": 0.1}.items():
        path = root / "book/recorded/long" / folder / "metrics.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"values": {"ours": {"last": [value]}}}))
    (checked,) = expectations.check_recorded(root).values()
    assert str(checked) == "2 of 3 held", "the mean of all runs, and of those named by a pattern"
    with pytest.raises(BuildError, match=r"^recorded long: other\.last is missing.* in \[0, 1\]$"):
        build(root, "smoke", html=False)
    path.write_text("{")
    with pytest.raises(BuildError, match=r"20-a/metrics\.json is no record of a training"):
        expectations.check_recorded(root)


def test_the_key_changes_with_what_the_chapter_depends_on_and_nothing_else(root, tmp_path):
    before = key(root)
    (root / "ssgan_core/other.py").write_text("# not imported by the chapter")
    assert key(root) == before

    seen = {before}
    (root / "ssgan_core/helper.py").write_text("ACCURACY = 0.81\n")
    seen.add(key(root))
    (root / "ssgan_core/figure.js").write_text("// a script that the package puts into pages")
    seen.add(key(root))
    (root / "requirements.lock").write_text("nothing==2\n")
    seen.add(key(root))
    write_chapter(root, "01_first", FINISH.format(name="01_first") + "\n# more")
    seen.add(key(root))
    seen.add(key(root, profile="full"))
    figure = {"mystnb": {"figure": {"caption": "another one"}}}
    edit(root / "notebooks/01_first.ipynb", lambda n: n["cells"][2]["metadata"].update(figure))
    seen.add(key(root))
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "cat.0.jpg").write_bytes(b"a")
    seen.add(key(root, photos=str(photos)))
    (photos / "cat.1.jpg").write_bytes(b"a")
    seen.add(key(root, photos=str(photos)))
    assert len(seen) == 9


def test_recorded_runs_count_for_the_chapters_that_read_them(root):
    def record(name):
        folder = root / "book/recorded" / name
        folder.mkdir(parents=True)
        (folder / "metrics.json").write_text("{}")

    before = key(root)
    record("a")
    assert key(root) == before
    write_chapter(root, "01_first", "# reads what lies in book/recorded", tags=["reads-recorded"])
    reads = key(root)
    record("b")
    assert key(root) != reads


def test_a_chapter_that_reads_the_others_runs_after_them_and_again_when_they_change(root, capsys):
    reads = "import pathlib\nprint(len(list(pathlib.Path('book/chapters').glob('*.json'))))\n"
    write_chapter(root, "01_first", reads + FINISH.format(name="01_first"), tags=["reads-chapters"])
    build(root, "smoke", html=False)
    ran = [line for line in capsys.readouterr().out.splitlines() if line.startswith("[")]
    assert ran[0].split()[1].rstrip(":") == "02_second"
    first = chapters_of(root)[0]
    assert nbformat.read(first.page, as_version=4).cells[-1].outputs[0].text.startswith("1\n")
    build(root, "smoke", html=False)
    assert "01_first: up to date" in capsys.readouterr().out
    write_chapter(root, "02_second", FINISH.format(name="02_second").replace("a CPU", "a GPU"))
    freshness._digest.cache_clear()  # as a new process
    build(root, "smoke", html=False)
    assert "up to date" not in capsys.readouterr().out


def test_code_that_does_not_parse_is_named_before_anything_runs(root):
    write_chapter(root, "01_first", "def broken(:")
    with pytest.raises(BuildError, match=r"01_first: invalid syntax: def broken\(:"):
        build(root, "smoke", html=False)
    write_chapter(root, "01_first", "return 1")
    with pytest.raises(BuildError, match=r"01_first: 'return' outside function: return 1"):
        build(root, "smoke", html=False)


def test_photos_go_only_to_chapters_that_have_the_parameter(root, tmp_path):
    (root / "pictures").mkdir()
    without = PARAMETERS.replace("photos = None  # folder of photos\n", "")
    write_chapter(root, "02_second", FINISH.format(name="02_second"), without)
    build(root, "smoke", photos="pictures", html=False)
    first, second = (read_about(chapter) for chapter in chapters_of(root))
    assert first["parameters"] == {"profile": "smoke", "photos": "pictures"}
    assert second["parameters"] == {"profile": "smoke"}


@pytest.fixture
def labels(root):
    """A chapter that takes a labeled set; photos, and a set of them."""
    more = f"{PARAMETERS}\nlabeled_set = None  # labels"
    write_chapter(root, "01_first", FINISH.format(name="01_first"), more)
    fill(root / "pets", [f"{kind}/{i}.jpg" for kind in ("cat", "dog") for i in range(40)])
    rows = [f"{kind}/{i}.jpg,{kind}" for kind in ("cat", "dog") for i in (1, 2)]
    (root / "my.csv").write_text("\n".join(["path,label", *rows]))
    return {"photos": "pets", "labels": "my.csv"}


def test_a_labeled_set_goes_to_chapters_that_take_one_and_its_content_counts(root, labels, capsys):
    (root / "book/expectations.toml").write_text('["01_first".smoke.real]\naccuracy = [0.9, 1]\n')
    build(root, "smoke", html=False, **labels)  # outside the band, which does not count for it
    first, second = (read_about(chapter) for chapter in chapters_of(root))
    assert first["parameters"] == {"profile": "smoke", "photos": "pets", "labeled_set": "my.csv"}
    assert second["parameters"] == {"profile": "smoke", "photos": "pets"}
    build(root, "smoke", html=False, **labels)
    assert "01_first: up to date" in capsys.readouterr().out
    table = (root / "my.csv").read_text().replace("dog/2", "dog/3")
    (root / "my.csv").write_text(table)
    freshness._digest.cache_clear()  # as a new process
    build(root, "smoke", html=False, **labels)
    assert "01_first: up to date" not in capsys.readouterr().out
    (root / "my.csv").unlink()
    freshness._digest.cache_clear()
    build(root, "smoke", only="02", photos="pets", html=False)
    assert not read_about(chapters_of(root)[0]), "a page of labels that are gone"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": "gone.csv"}, "LABELS=gone.csv: No such file or directory; accepted: a CSV"),
        ({"labels": "pets"}, "LABELS=pets: Is a directory; accepted: a CSV (path,label)"),
        ({"photos": "others"}, "LABELS=my.csv, on PHOTOS=others: The labeled set "),
        ({"photos": None}, "LABELS=my.csv, on drawn pets, as PHOTOS is not given: The labeled "),
    ],
)
def test_a_labeled_set_that_fits_no_photos_is_refused_before_anything_runs(
    root, labels, change, message
):
    fill(root / "others", [f"{kind}.{i}.jpg" for kind in ("cat", "dog") for i in range(60, 99)])
    with pytest.raises(BuildError) as caught:
        build(root, "smoke", **labels | change)
    assert str(caught.value).startswith(message)
    assert len(str(caught.value).splitlines()) == 1 and len(str(caught.value)) < 600
    assert not (root / "book/chapters").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"profile": "fast"}, "PROFILE=fast: accepted are smoke, quick, full"),
        ({"photos": "nowhere"}, "PHOTOS=nowhere: No such file or directory; accepted: a folder"),
        ({"photos": "_toc.yml"}, "PHOTOS=_toc.yml: Not a directory; accepted: a folder"),
        ({"mnist": "_toc.yml/x"}, "MNIST=_toc.yml/x: Not a directory; accepted: a folder"),
        ({"mnist": "x" * 300}, "MNIST=xxx"),
        ({"labels": "~nobody-here/x"}, "LABELS=~nobody-here/x: No such user; accepted: a CSV"),
        ({"mnist": "~nobody-here/x"}, "MNIST=~nobody-here/x: No such user; accepted: a folder"),
        ({"only": "01,9"}, "ONLY=01,9: no chapter '9'; accepted are 01_first, 02_second"),
    ],
)
def test_bad_input_is_refused_before_anything_runs(root, options, message):
    with pytest.raises(BuildError) as caught:
        build(root, **options)
    assert str(caught.value).startswith(message)
    assert len(str(caught.value).splitlines()) == 1
    assert not (root / "book/chapters").exists()


def test_a_folder_may_start_at_home_and_hold_any_name(root, tmp_path, monkeypatch):
    photos = tmp_path / "home/cats $x {y}'s"
    photos.mkdir(parents=True)
    (photos / os.fsdecode(b"cat.\xe9.jpg")).write_bytes(b"a")
    (photos / "gone.jpg").symlink_to("nowhere")
    monkeypatch.setenv("HOME", str(photos.parent))
    build(root, "smoke", photos="~/cats $x {y}'s", only="1", html=False)
    assert read_about(chapters_of(root)[0])["parameters"]["photos"] == str(photos)


def test_chapters_are_selected_by_number_or_name(root):
    chapters = chapters_of(root)
    for word in ("1", "01", "first", "01_first", "01, 1"):
        assert select(chapters, word) == chapters[:1]
    assert select(chapters, "2,first") == select(chapters, None) == chapters


def edit(path, change):
    """A notebook, read, changed and written as an editor does it."""
    notebook = json.loads(path.read_text())
    change(notebook)
    path.write_text(json.dumps(notebook))


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda n: n["cells"][1].update(source='profile = "quick"\nseed = 1'), "cell 2"),
        (lambda n: n["cells"][0].update(source=["# Title\n", "\n", "Text."]), "cell 1"),
        (lambda n: n["cells"][1]["metadata"].update(tags=["other"]), "cell 2"),
        (lambda n: n["cells"][2]["metadata"].update(mystnb={"image": {"alt": "x"}}), "cell 3"),
        (lambda n: n["cells"].pop(), "cell 3"),
        (lambda n: n["cells"].append(n["cells"][0] | {"id": "new"}), "cell 4"),
        (lambda n: n["cells"][2].update(cell_type="markdown"), "cell 3"),
    ],
)
def test_pairs_that_differ_are_refused_with_the_cell_and_both_lines(root, change, where):
    chapter = chapters_of(root)[0]
    check_pair(chapter)
    edit(chapter.source, change)
    with pytest.raises(BuildError) as caught:
        check_pair(chapters_of(root)[0])
    said, markdown, notebook = str(caught.value).splitlines()
    assert said.startswith(f"notebooks/01_first.md and .ipynb differ in {where}; take over")
    assert markdown.startswith("  .md:    ") and notebook.startswith("  .ipynb: ")
    assert markdown.split(": ", 1)[1].strip() != notebook.split(": ", 1)[1].strip()


def test_both_lines_of_a_difference_are_shown(root):
    markdown = root / "notebooks/01_first.md"
    markdown.write_text(markdown.read_text().replace("Chapter 01", "A chapter"))
    with pytest.raises(BuildError) as caught:
        check_pair(chapters_of(root)[0])
    assert str(caught.value).splitlines()[1:] == [
        "  .md:    # A chapter_first",
        "  .ipynb: # Chapter 01_first",
    ]


def left_by_an_editor(notebook):
    notebook["metadata"] = {
        "kernelspec": {"display_name": ".venv (3.11.7)", "language": "julia", "name": "other"},
        "language_info": {"name": "python", "version": "3.11.7"},
        "vscode": {"interpreter": {"hash": "abc"}},
    }
    notebook["cells"][1]["metadata"] |= {
        "collapsed": True,
        "jupyter": {"outputs_hidden": True},
        "vscode": {"languageId": "python"},
        "editable": False,
    }
    notebook["cells"][2]["metadata"]["tags"] = []
    empty = {"cell_type": "code", "execution_count": None, "id": "new", "metadata": {}}
    notebook["cells"].append(empty | {"outputs": [], "source": []})


def stripped(notebook):
    notebook["metadata"] = {}


@pytest.mark.parametrize("change", [left_by_an_editor, stripped])
def test_what_editors_leave_in_a_notebook_is_no_difference(root, change):
    build(root, "smoke", only="1", html=False)
    first, before = page(root, "01_first").read_bytes(), key(root)
    edit(root / "notebooks/01_first.ipynb", change)
    check_pair(chapters_of(root)[0])
    assert key(root) == before
    page(root, "01_first").unlink()
    build(root, "smoke", only="1", html=False)
    assert page(root, "01_first").read_bytes() == first


def test_empty_lines_at_the_end_of_a_cell_are_no_difference(root):
    before = key(root)
    edit(root / "notebooks/01_first.ipynb", lambda n: n["cells"][2]["source"].append("\n\n"))
    check_pair(chapters_of(root)[0])
    assert key(root) == before


def test_what_editors_leave_does_not_reach_the_markdown(root):
    """With the configuration of this book's notebooks, which `jupytext --sync` reads."""
    shutil.copy(REPO / "notebooks/jupytext.toml", root / "notebooks")
    write_chapter(root, "01_first", "print(1)", tags=["reads-recorded"])
    markdown = root / "notebooks/01_first.md"
    before = markdown.read_text().split("---\n")[2:]
    edit(root / "notebooks/01_first.ipynb", left_by_an_editor)
    edit(root / "notebooks/01_first.ipynb", lambda n: n["cells"].pop())
    edit(root / "notebooks/01_first.ipynb", lambda n: n["cells"][2].update(source="print(2)"))
    edit(root / "notebooks/01_first.ipynb", lambda n: n["cells"][2]["metadata"].update(tags=["a"]))
    jupytext.cli.jupytext(["--sync", "--quiet", str(root / "notebooks/01_first.ipynb")])
    text = "---\n".join(before).replace("print(1)", "print(2)").replace("reads-recorded", "a")
    assert markdown.read_text().split("---\n", 2)[2] == text
    check_pair(chapters_of(root)[0])


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("01_first.ipynb", "<<<<<<< HEAD\n{}", "notebooks/01_first.ipynb is no notebook (NotJSON"),
        ("01_first.ipynb", "{}", "notebooks/01_first.ipynb is no notebook ("),
        ("01_first.ipynb", '{"cells": [{}], "metadata": {}, "nbformat": 4}', "notebooks/01_first"),
        ("01_first.md", "---\na: [\n---\n# x", "notebooks/01_first.md is no notebook (ParserErr"),
        ("01_first.md", "```{code-cell}\n:tags: [a\n```", "notebooks/01_first.md is no notebook"),
    ],
)
def test_a_file_that_is_no_notebook_is_named(root, name, text, message):
    (root / "notebooks" / name).write_text(text)
    with pytest.raises(BuildError) as caught:
        build(root)
    assert str(caught.value).startswith(message)
    assert len(str(caught.value).splitlines()) == 1


def test_a_toc_entry_without_a_source_is_named(root):
    (root / "notebooks/02_second.md").unlink()
    with pytest.raises(BuildError, match=r"notebooks/02_second\.md is missing"):
        chapters_of(root)
