"""The built pages of a tiny book: the line about the run, placeholders, no network."""

import json
import re
import shutil

import pytest
from book_root import make_root

from book.build import build, refuse_raw_markup
from book.common import BuildError

# What a browser fetches by itself; links that a reader may follow are fine.
LOADS = re.compile(
    r"""<(?:script|img|iframe|audio|video|source|embed)\b[^>]*\bsrc\s*=\s*["']?(?:https?:)?//
      | <link\b[^>]*\bhref\s*=\s*["']?(?:https?:)?//
      | url\(\s*["']?(?:https?:)?//
      | @import\s+["'](?:https?:)?//
      | \b(?:fetch|importScripts|import)\(\s*["'](?:https?:)?//
      | \.src\s*=\s*["'](?:https?:)?//""",
    re.VERBOSE,
)

RESULTS = """
```{run-results}
01_first | accuracy | what was run
01_first | loss | what was not
02_second | accuracy | another chapter
```

```{recorded-results}
```
"""
EXPERIMENTS = "".join(
    f'[{name}]\nabout = "{about}"\n{data}command = "one"\n[{name}.options]\n'
    f"[{name}.each]\nseed = [0, 1, 2]\n"
    for name, about, data in (
        ("long", "a long run", 'data = "photos"\n'),
        ("drawn", "on drawn pets", ""),
        ("never", "never run", 'data = "photos"\n'),
    )
)
BANDS = """
["01_first".smoke.embedded]
accuracy = [0.7, 0.9]
[recorded.long]
"ssgan.last" = [0.7, 0.72]
["recorded"."drawn/*"]
"ssgan.last" = [0.9, 1.0]
"ssgan.minutes" = [59, 61]
"""


def record(folder, accuracy, day="2026-01-01"):
    """The metrics of a training that ended with this accuracy."""
    folder.mkdir(parents=True)
    values = {"ssgan": {"last": [accuracy], "minutes": [60.0], "steps": [10]}}
    origin = {"device": "a CPU", "git": "abc", "finished": day, "data": {"name": "dots"}}
    metrics = origin | {"values": values, "settings": {"seed": 0}}
    (folder / "metrics.json").write_text(json.dumps(metrics))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = make_root(tmp_path_factory.mktemp("book") / "root")
    with (root / "book/index.md").open("a") as index:
        index.write(RESULTS)
    record(root / "book/recorded/long/0", 0.70)
    record(root / "book/recorded/drawn/0", 0.99)
    record(root / "book/recorded/long/1", 0.72, "2026-01-03")
    (root / "book/recorded/experiments.toml").write_text(EXPERIMENTS)
    (root / "book/expectations.toml").write_text(BANDS)
    build(root, "smoke", only="01")
    return root


def html(root, name):
    return (root / "_build/html/book" / f"{name}.html").read_text(encoding="utf-8")


def words(root, name):
    return re.sub(r"<[^>]+>|\s+", " ", html(root, name))


def test_a_page_says_how_it_was_run(root):
    text = html(root, "chapters/01_first")
    assert 'class="how-run smoke"' in text
    for fact in ("dots (01234567)", "a CPU", "abc", "2 s", "Smoke run."):
        assert fact in text
    assert text.index("<h1>") < text.index("how-run") < text.index("tag_parameters")


def test_a_chapter_that_did_not_run_has_a_page_that_says_so(root):
    text = html(root, "chapters/02_second")
    assert "Not run in this build" in text
    assert "how-run" not in text


def test_what_was_run_is_listed(root):
    row = "01_first +smoke +dots +a CPU +2026-01-02 +2 s +Python 3.0, torch 2.0 +1 of 1 held"
    assert re.search(row, words(root, "index"))


def test_what_is_recorded_and_wanted_is_listed(root):
    for row in (
        "long +a long run +2 of 3 +a CPU +2026-01-01 to 2026-01-03 +1 of 1 held",
        "drawn +on drawn pets +1 of 3 +a CPU +2026-01-01 +2 of 2 held",
        "never +never run +0 of 3 +– +– +no bands",
    ):
        assert re.search(row, words(root, "index"))


def test_results_of_the_runs_are_shown_and_none_is_made_up(root):
    text = words(root, "index")
    for row in (
        "what was run +80.0 % +1 +smoke, dots",
        "what was not +not part of this run",
        "another chapter +not run in this build",
    ):
        assert re.search(row, text)


def test_recorded_runs_are_shown_and_none_is_made_up(root):
    text = words(root, "index")
    assert re.search("a long run +ssgan +71.0 ± 12.7 % +2 +a CPU", text)
    assert len(re.findall("never run|on drawn pets", text)) == 2, "in the table of the wanted alone"


def test_no_page_loads_anything_from_a_network(root):
    files = [
        path
        for suffix in ("html", "css", "js")
        for path in (root / "_build/html").rglob(f"*.{suffix}")
    ]
    assert any(path.name == "tex-svg-full.js" for path in files), "MathJax comes with the book"
    found = {
        f"{path.relative_to(root)}: {match[0][:200]}"
        for path in files
        for match in LOADS.finditer(path.read_text(encoding="utf-8", errors="replace"))
    }
    assert not found


def test_no_page_leaks_the_folder_it_was_built_in(root):
    for path in (root / "_build/html").rglob("*.html"):
        assert str(root) not in path.read_text(encoding="utf-8"), path.name


def test_a_warning_of_sphinx_fails_the_build(root, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(root, broken)
    index = broken / "book/index.md"
    index.write_text(index.read_text() + "\n{ref}`nowhere`\n")
    with pytest.raises(BuildError, match="nowhere"):
        build(broken, pages_only=True)


def test_markup_that_a_page_shows_as_text_fails_the_build(tmp_path):
    page = tmp_path / "07_baseline.html"
    page.write_text("<p>The best was <code>{glue}</code>, a set {a, b}.</p>")
    with pytest.raises(BuildError, match=r"07_baseline: the page shows \{glue\} as text"):
        refuse_raw_markup(tmp_path)
    page.write_text("<p>The best was 83.2 %, a set {a, b}.</p>")
    refuse_raw_markup(tmp_path)


@pytest.mark.parametrize(
    "load",
    [
        '<script defer src="https://cdn.example/a.js">',
        '<link rel="stylesheet" href="//cdn.example/a.css">',
        "background: url(https://cdn.example/a.png)",
        '@import "https://cdn.example/a.css"',
        'fetch("https://cdn.example/a.json")',
        'script.src="https://cdn.example/a.js"',
    ],
)
def test_the_search_for_loads_finds_each_kind(load):
    assert LOADS.search(load)


def test_the_search_for_loads_lets_links_pass():
    assert not LOADS.search('<a href="https://arxiv.org/abs/1705.09783"><img src="a.png"></a>')
