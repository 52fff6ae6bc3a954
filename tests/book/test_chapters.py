"""Every chapter keeps the contract: pair, parameters, rerun box, and it runs at smoke size."""

import ast
import re
import shlex
import tokenize
from io import StringIO
from pathlib import Path

import nbformat
import pytest
from book_root import run_chapter
from papermill.exceptions import PapermillExecutionError

from book.discover import Chapter, chapters_of, check_pair
from ssgan_core.errors import InputError

REPO = Path(__file__).resolve().parents[2]
NAMES = sorted(path.stem for path in (REPO / "notebooks").glob("[0-9]*.ipynb"))
pytestmark = pytest.mark.skipif(not NAMES, reason="no chapters yet")
each_chapter = pytest.mark.parametrize("chapter", [Chapter(REPO, n) for n in NAMES], ids=NAMES)


def parameters_cell(chapter):
    cells = [cell for cell in chapter.notebook.cells if cell.cell_type == "code"]
    assert "parameters" in cells[0].metadata.get("tags", []), "the first code cell has the tag"
    assert not any("parameters" in cell.metadata.get("tags", []) for cell in cells[1:])
    return cells[0].source


def test_every_chapter_is_in_the_table_of_contents():
    assert [chapter.name for chapter in chapters_of(REPO)] == NAMES


@each_chapter
def test_the_two_files_agree(chapter):
    check_pair(chapter)


@each_chapter
def test_no_outputs_are_tracked(chapter):
    nbformat.validate(chapter.notebook)
    for cell in chapter.notebook.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


@each_chapter
def test_the_title_carries_the_target_that_other_chapters_refer_to(chapter):
    assert chapter.heading.startswith(f"(ch-{chapter.number})=\n# ")


@each_chapter
def test_it_opens_with_its_question_and_three_points_and_nothing_else(chapter):
    text = chapter.notebook.cells[0].source.removeprefix(chapter.heading)
    question, learn, know, runs = text.strip().replace("\n\n", "\n").rsplit("\n", 3)
    assert "?" in question and len(question.splitlines()) <= 3
    assert learn.startswith("- **You will learn** ")
    assert know.startswith("- **You should know** ")
    assert runs.startswith("- **It runs** in {ran}`a few minutes`, as this page was made")
    assert "parameters" in chapter.notebook.cells[1].metadata["tags"]


@each_chapter
def test_parameters_are_literals_with_one_comment_each(chapter):
    source = parameters_cell(chapter)
    comments = {
        token.start[0]
        for token in tokenize.generate_tokens(StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    names = []
    for statement in ast.parse(source).body:
        assert isinstance(statement, ast.Assign)
        ast.literal_eval(statement.value)
        assert statement.end_lineno in comments, f"line {statement.lineno} has no comment"
        names.append(statement.targets[0].id)
    assert names[:2] == ["profile", "seed"]
    assert set(names) == chapter.parameters


@each_chapter
def test_the_chapter_ends_with_a_box_whose_commands_are_valid(chapter):
    boxes = [
        cell.source
        for cell in chapter.notebook.cells
        if cell.cell_type == "markdown" and ":class: rerun" in cell.source
    ]
    assert len(boxes) == 1
    commands = re.findall(r"^papermill .+$", boxes[0].replace("\\\n", " "), re.MULTILINE)
    assert commands
    for command in commands:
        words = shlex.split(command, comments=True)
        assert words[1] == f"notebooks/{chapter.name}.ipynb"
        names = [words[i + 1] for i, word in enumerate(words) if word == "-p"]
        assert set(names) <= chapter.parameters


@each_chapter
def test_figures_have_a_label_a_caption_and_a_text_for_those_who_cannot_see_them(chapter):
    for cell in chapter.notebook.cells:
        options = cell.metadata.get("mystnb", {})
        if figure := options.get("figure"):
            assert figure["name"].startswith(f"fig-{chapter.number}-")
            assert figure["caption"]
            assert "alt=" in cell.source or options["image"]["alt"]


@each_chapter
def test_what_it_refers_to_is_there_when_the_other_chapter_has_not_been_run(chapter):
    """A placeholder carries its chapter's title, named places and equations, and no figure."""
    others = "\n".join(
        f"{c.heading}\n{c.targets}" for c in chapters_of(REPO) if c.name != chapter.name
    )
    own = "\n".join(cell.source for cell in chapter.notebook.cells) + str(
        [cell.metadata.get("mystnb") for cell in chapter.notebook.cells]
    )
    text = "\n".join(c.source for c in chapter.notebook.cells if c.cell_type == "markdown")
    for target in re.findall(r"\{(?:ref|eq|numref)\}`(?:[^`<]*<)?([\w-]+)>?`", text):
        here = f"({target})=" in own or f":label: {target}" in own or f"name': '{target}'" in own
        assert here or f"({target})=" in others or f":label: {target}\n" in others, target


@each_chapter
def test_cells_that_read_recorded_runs_say_so(chapter):
    """The tag makes the page be run again when a record changes."""
    for cell in chapter.notebook.cells:
        if cell.cell_type == "code":
            reads = "read_recorded(" in cell.source or "shelf /" in cell.source
            assert ("reads-recorded" in cell.metadata.get("tags", [])) == reads, cell.source
            reads = "book/chapters" in cell.source
            assert ("reads-chapters" in cell.metadata.get("tags", [])) == reads, cell.source


@each_chapter
def test_what_only_serves_the_page_is_folded_or_left_out(chapter):
    """The story begins at once; the table of what sentences say is for who reads the notebook."""
    cells = [cell for cell in chapter.notebook.cells if cell.cell_type == "code"]
    folded = [cell.metadata.get("tags", []) for cell in cells[:2]]
    assert folded == [["parameters", "hide-input"], ["hide-cell", "settings"]]
    for cell in cells:
        assert "glue(" not in cell.source
        if re.search(r"\bsay\(", cell.source):
            assert "remove-cell" in cell.metadata.get("tags", []), cell.source


@each_chapter
def test_an_unknown_parameter_is_named(chapter):
    """By the chapter's own cells, in this process; the next test asks papermill."""
    cells = [cell.source for cell in chapter.notebook.cells if cell.cell_type == "code"][:2]
    namespace = {"In": ["", cells[0], "no_such_parameter = 1"], "no_such_parameter": 1}
    exec(cells[0], namespace)
    with pytest.raises(InputError, match="unknown parameter 'no_such_parameter'"):
        exec(cells[1], namespace)


def test_papermill_stops_at_an_unknown_parameter(tmp_path):
    with pytest.raises(PapermillExecutionError, match=r"InputError.*no_such_parameter"):
        run_chapter(NAMES[0], tmp_path / "out.ipynb", no_such_parameter=1)
