"""The chapters' sentences: no result is typed into them, and terms are linked to the glossary."""

import re
from functools import cache
from pathlib import Path

import nbformat
import pytest

REPO = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((REPO / "notebooks").glob("[0-9]*.ipynb"))
each_chapter = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)

# What a result looks like. Settings (64 px, 100 labels, a rate of 0.003, w = 0.2) do not.
RESULT = re.compile(
    r"""\d[\d.,]*\s?(?:%|percent|points?\b|errors?\b|wrong\b)  # 87.3 %, 2.1 points, 93 errors
      | \d\s?±|±\s?\d                                    # 71.3 ± 2.4
      | \b0\.\d\d+                                       # an accuracy of 0.87
      | ×\s?\d+\.\d|\d\s?×(?!\s?\d)|\b\d[\d.]*\stimes\sas  # × 3.4, 3.4 times as fast
      | \b\d[\d,]*\s(?:of|out\sof)\s(?:the\s)?\d         # 17 of 20 draws
    """,
    re.VERBOSE,
)
# Numbers that look like results and are none; wherever they stand, they may be typed.
NO_RESULTS = {
    r"9[05] ?% (?:Wilson )?interval": "the level of an interval",
    r"\b(?:50|100) ?%": "a coin and the most there is",
    r"99 ?%": "what chapters 01 and 03 call solved, and then count",
    r"(?:near|be) 10 ?%": "a tenth, in chapters 02 and 05: by definition, and by equal steps",
    r"83\.2 %|72\.4 %|61\.4 %|60\.2 %": "what the article and its notebook report",
    r"right on 70 % of all|a probability of 95 %": "chapter 06 supposes it, to compute an interval",
    r"80 % (?:sure about|right)": "chapter 06 says by an example what calibrated means",
    r"that of 95 % of the test|where 5 % of real": "chapter 07's threshold of what is off the data",
    r"near 0\.67|two classes 0\.69": "chapter 07: Z / (Z + 1) and log 2 of an untrained network",
    r"published rate of 0\.003": "a learning rate that was published",
    r"hoped for × 1\.5": "chapter 11 says what was expected before it measured",
}


@cache
def prose(path):
    """The sentences of a chapter: its text and captions, plain."""
    cells = nbformat.read(path, as_version=4).cells
    text = "\n\n".join(
        cell.source
        if cell.cell_type == "markdown"
        else "\n\n".join(
            [
                cell.metadata.get("mystnb", {}).get("figure", {}).get("caption", ""),
                cell.metadata.get("mystnb", {}).get("image", {}).get("alt", ""),
            ]
        )
        for cell in cells
    )
    return plain(text)


def plain(text):
    """Text without exercises, code, math and roles.

    What a role shows comes from the run or another page; `{cite}` stays, for its sentence's sake,
    and a link to the glossary becomes `{term}`.
    """
    text = re.sub(r"\{term\}`(?:[^`<]*<)?([^`>]*)>?`", r"{\1}", text)
    for block in (
        r"^(`{3,}|:{3,})\{(exercise|solution)-start\}.*?^\1\{\2-end\}",
        r"^(`{3,})(?:\{math\}|bash|python|text).*?^\1",
        r"^(?: {4}|\|)[^\n]*",
        r"\$\$.*?\$\$",
        r"\$[^$\n]*\$",
        r"^[`:]{3,}[^\n]*",
        r"\{(?!cite|term)[\w:-]+\}`[^`]*`",
        r"(?<=\{cite\})`[^`]*`",
        r"`[^`\n]*`",
    ):
        text = re.sub(block, " ", text, flags=re.DOTALL | re.MULTILINE)
    return text


def typed_results(text):
    """Sentences that state a number like a result and cite no source for it."""
    for number in NO_RESULTS:
        text = re.sub(number, " ", text)
    sentences = re.split(r"\n\s*\n|(?<=[.?!:])\s+", text)
    return [s.strip() for s in sentences if RESULT.search(s) and "{cite" not in s]


@each_chapter
def test_no_result_is_typed_into_a_sentence(path):
    assert typed_results(prose(path)) == []


@pytest.mark.parametrize(
    "sentence",
    [
        "The network reached 87.3 % on the test images.",
        "Ours has 71.3 ± 2.4 here.",
        "It gains 2.1 points.",
        "It makes 94 errors in ten thousand.",
        "Its accuracy is 0.87.",
        "That is 3.4 times as fast.",
        "The complement solves 17 of 20 draws.",
    ],
)
def test_a_typed_result_is_found_in_every_chapter(sentence):
    for path in NOTEBOOKS:
        assert typed_results(prose(path) + "\n" + sentence) == [sentence]


def test_what_is_cited_or_a_setting_or_comes_from_the_run_is_no_typed_result():
    text = (
        "It makes 93 errors {cite}`salimans2016`. Images have 64 px and $w = 0.25$. "
        "The run reached {glue:text}`08-ssgan`. A page has 8×8 digits and `0.75` in code."
    )
    assert typed_results(plain(text)) == []


@pytest.mark.parametrize("number", NO_RESULTS)
def test_every_exception_is_needed(number):
    assert any(re.search(number, prose(path)) for path in NOTEBOOKS)


TERMS = re.findall(r"^(\S.*)$", (REPO / "book/glossary.md").read_text().split("```")[1], re.M)[1:]
# How chapters say a term where that is not the term itself or its plural. A word that has another
# meaning too counts only in the company in which it is the term.
SAID = {
    "batch normalization": r"batch norm(?:alization)?",
    "contrast": r"(?<![Ii]n )contrast",
    "draw": r"draws?(?= of (?:the )?labels)|(?<=label )draws?|(?<=each )draw|(?<=one )draw",
    "features": r"features",
    "generator": r"(?<!complement )generators?",
    "implicit K+1": r"implicit(?= (?:form|one))",
    "non-saturating loss": r"non-saturating(?: loss)?",
    "oracle complement": r"oracle(?: complement)?",
    "precision and recall": r"precision(?: and recall)?",
    "prefetching": r"prefetch(?:ing|es)?",
    "profile": r"(?<!In the )profiles?",
    "pull-away term": r"pull-away(?: term)?",
}


def said(term):
    """A pattern of the term in a text, linked or not."""
    form = SAID.get(
        term, rf"{re.escape(term)}s?" if term[-1] != "s" else re.escape(term[:-1]) + "s?"
    )
    form = rf"[{form[0].upper()}{form[0]}]{form[1:]}" if form[0].islower() else form
    return rf"\{{{re.escape(term)}\}}|(?<![\w-])(?:{form})(?![\w-])"


@each_chapter
def test_terms_are_linked_to_the_glossary_where_they_are_first_used(path):
    """Below the parameters, which end a chapter's opening, and not in the box of commands."""
    cells = nbformat.read(path, as_version=4).cells
    (opening,) = (i for i, c in enumerate(cells) if "parameters" in c.metadata.get("tags", []))
    text = "\n\n".join(c.source for c in cells[opening:] if c.cell_type == "markdown")
    text = re.sub(r"^:::\{.*?^:::$|^#+ [^\n]*", "", text, flags=re.DOTALL | re.MULTILINE)
    text = plain(text)
    firsts = {term: re.search(said(term), text) for term in TERMS}
    unlinked = [
        f"{term}: …{text[max(0, first.start() - 40) : first.end() + 20]}…"
        for term, first in firsts.items()
        if first and not first[0].startswith("{")
    ]
    assert unlinked == []


def test_the_glossary_is_read():
    assert {"batch normalization", "EMA", "weight normalization"} <= set(TERMS)
    assert re.search(said("EMA"), "the {EMA} of")[0] == "{EMA}"
    assert re.search(said("logits"), "a logit")[0] == "logit"
    assert not re.search(said("draw"), "It draws points.")
