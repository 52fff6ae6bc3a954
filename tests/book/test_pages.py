"""The built pages of a tiny book: the line about the run, placeholders, no network."""

import importlib.util
import json
import re
import shutil

import nbformat
import numpy as np
import pytest
from book_root import FINISH, REPO, make_root, write_chapter
from headless import PATIENCE, chromium

from book.build import build, refuse_raw_markup
from book.common import BuildError
from book.discover import chapters_of
from ssgan_core.intervals import format_ci, gain
from ssgan_core.plots import animation
from ssgan_core.ssgan.study import recorded_runs


def extension(name):
    """A module of the book's extensions, which are no package."""
    spec = importlib.util.spec_from_file_location(name, REPO / f"book/_ext/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


landing = extension("landing")

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
:::::{div} first-screen
```{headline}
```

::::{div} in-the-plane
:::{hero}
A drawing.
:::

{ref}`why? <ch-01>`
::::
:::::

{ref}`ch-01`: {ran}`01`. {ref}`ch-02`: {ran}`02`.

```{run-results}
01_first | accuracy | what was run
01_first | loss | what was not
02_second | accuracy | another chapter
```

```{recorded-results}
```
"""
EXPERIMENTS = "".join(
    f'[{name}]\nabout = "{about}"\n{data}command = "ssgan_core.train"\n[{name}.options]\n'
    f"[{name}.each]\n{by} = [0, 1, 2]\n"
    for name, about, data, by in (
        ("long", "a long run", 'data = "photos"\n', "seed"),
        ("drawn", "on drawn pets", "", "seed"),
        ("never", "never run", 'data = "photos"\n', "seed"),
        ("sets", "by their labels", 'data = "photos"\n', "labels"),
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


def record(folder, accuracy, method="ssgan", seed=0, day="2026-01-01"):
    """The metrics of a training that ended with this accuracy."""
    folder.mkdir(parents=True)
    values = {method: {"last": [accuracy], "minutes": [60.0], "steps": [10]}}
    origin = {"device": "a CPU", "git": "abc", "finished": day, "data": {"name": "dots"}}
    metrics = origin | {"values": values, "settings": {"seed": seed, "size": 8, "labels": 4}}
    (folder / "metrics.json").write_text(json.dumps(metrics))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = make_root(tmp_path_factory.mktemp("book") / "root")
    with (root / "book/index.md").open("a") as index:
        index.write(RESULTS)
    record(root / "book/recorded/long/0", 0.70)
    record(root / "book/recorded/drawn/0", 0.99)
    record(root / "book/recorded/sets/0", 0.98)
    record(root / "book/recorded/long/1", 0.72, day="2026-01-03")
    for name, last in {"supervised-augmented": 0.6, "ssgan-contrast-minus-gan": 0.9}.items():
        for seed in (0, 1):
            folder = root / f"book/recorded/cats-and-dogs/{seed}-{name}"
            record(folder, last + 0.01 * seed, name, seed)
    record(root / "book/recorded/cats-and-dogs-curated/0", 0.95, "ssgan-contrast-minus-gan")
    (root / "book/recorded/experiments.toml").write_text(EXPERIMENTS)
    (root / "book/expectations.toml").write_text(BANDS)
    write_chapter(root, "01_first", FINISH.format(name="01_first"), tags=["reads-recorded"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GITHUB_REPOSITORY", "somebody/book")
        build(root, "smoke", only="01")
    return root


def shown(page):
    """The text of a page, without its markup."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def html(root, name):
    return (root / "_build/html/book" / f"{name}.html").read_text(encoding="utf-8")


def words(root, name):
    return re.sub(r"<[^>]+>|\s+", " ", html(root, name))


def test_a_page_says_how_it_was_run(root):
    text = html(root, "chapters/01_first")
    assert 'class="how-run smoke"' in text
    facts = ("dots (01234567)", "a CPU", "abc", "2026-01-02", "Python 3.12.1, PyTorch 2.9.0", "2 s")
    for fact in (*facts, "Smoke run."):
        assert fact in text
    assert "; runs in 2 s at smoke." in shown(text).replace(" .", ".")
    assert text.index("<h1>") < text.index("how-run") < text.index("tag_parameters")


def test_a_published_page_leads_to_its_repository_and_issues_and_nowhere_else(root):
    buttons = re.findall(r'<a href="(https://[^"?]+)[^"]*" target="_blank"', html(root, "index"))
    assert buttons == [f"https://github.com/somebody/book{end}" for end in ("", "/issues/new")]


def test_a_chapter_that_did_not_run_has_a_page_that_says_so(root):
    text = html(root, "chapters/02_second")
    assert "Not run in this build" in text
    assert "how-run" not in text


def test_what_was_run_is_listed(root, tmp_path):
    text = words(root, "index")
    assert re.search("01_first +smoke +dots +a CPU +2026-01-02 +2 s +1 of 1 held", text)
    assert "All with Python 3.12.1, torch 2.9.0." in text
    record = json.loads((root / "book/chapters/01_first.json").read_text())
    (tmp_path / "book/chapters").mkdir(parents=True)
    for name, version in (("01_first", "3.12.1"), ("02_second", "3.13.0")):
        path = tmp_path / f"book/chapters/{name}.json"
        path.write_text(json.dumps(record | {"python": version, "values": {}}))
    (tmp_path / "book/expectations.toml").write_text("")
    (table,) = extension("run_facts").chapters_table(tmp_path)
    assert "Python 3.12.1, torch 2.9.0" in str(table) and "Python 3.13.0" in str(table)


def test_what_is_recorded_and_wanted_is_listed(root):
    for row in (
        "long +a long run +2 of 3 +a CPU +2026-01-01 to 2026-01-03 +1 of 1 held",
        "drawn +on drawn pets +1 of 3 +a CPU +2026-01-01 +2 of 2 held",
        "never +never run +0 of 3 +– +– +no bands",
    ):
        assert re.search(row, words(root, "index"))


def test_the_line_leads_to_recorded_results_where_the_page_shows_some(root):
    text = html(root, "chapters/01_first")
    assert '<a href="#recorded">' in text
    assert re.search(r'<div class="cell tag_reads-recorded[^>]* id="recorded"', text)
    record = json.loads((root / "book/chapters/01_first.json").read_text())
    run_facts = extension("run_facts")
    assert "href" not in run_facts.banner(record)
    for profile in run_facts.MEANING:
        assert "of a full run" not in run_facts.banner(record | {"profile": profile})


def test_chapters_bear_their_numbers_in_titles_links_and_the_sidebar(root):
    index = html(root, "index")
    for number, name in enumerate(("01_first", "02_second"), 1):
        told = rf"{number} Chapter {name}"
        assert re.search(rf"<h1>{told}<", html(root, f"chapters/{name}"))
        links = rf'href="chapters/{name}.html(?:#[\w-]+)?"[^>]*>\s*(?:<[^>]+>\s*)*{told}'
        assert len(re.findall(links, index)) >= 2


def test_a_chapter_is_listed_with_how_long_it_ran(root):
    text = shown(html(root, "index"))
    assert "1 Chapter 01_first : 2 s at smoke" in text
    assert "2 Chapter 02_second : not run in this build" in text


def test_the_landing_page_names_every_chapter_and_its_time():
    text = (REPO / "book/index.md").read_text(encoding="utf-8")
    listed = re.findall(r"^- \{ref\}`ch-(\d+)`: .+\. \{ran\}`(\d+)`$", text, re.M)
    assert listed == [(c.number, c.number) for c in chapters_of(REPO)]


def test_the_headline_says_what_is_recorded(root):
    text = shown(html(root, "index"))
    ours, alone = format_ci([0.9, 0.91]), format_ci([0.6, 0.61])
    assert f"of cats and dogs from {alone} to {ours} without a GAN" in text
    assert "With 4 random labels" in text
    assert f"labels alone 2 runs, 10 steps {alone}" in text
    assert f"unlabeled photos, no GAN 2 runs, 10 steps {ours} hand-picked 95.0 %, one run" in text
    assert "the article's GAN not recorded" in text
    assert "What a GAN adds has not been recorded." in text and "A GAN beside them adds" not in text
    assert "The unlabeled photos add +30.0 ± 0.0 points" in text
    assert "8 px, 4 runs of 10 steps and " in text
    assert " minutes on a CPU; commit abc; 2026-01-01" in text


def test_the_headline_of_this_book_has_the_numbers_of_its_records():
    shelf = REPO / "book/recorded"
    text, runs = shown(landing.headline(shelf)), recorded_runs(shelf / "cats-and-dogs")
    for method, name in landing.ROWS.items():
        own = runs[runs.method == method]
        about = f"{len(own)} runs, {own.steps.mean():,.0f} steps"
        assert f"{name} {about} {format_ci(own['last'])}" in text
    for title, (method, other) in landing.QUESTIONS.items():
        found = gain(runs[runs.method == method], runs[runs.method == other])
        assert f"{title} {found} {found.sentence}" in text


def test_without_records_the_headline_is_one_sentence(tmp_path):
    assert landing.headline(tmp_path) == f'<p class="headline">{landing.NOTHING}</p>'


def test_the_animation_is_that_of_the_executed_chapter_with_its_end_as_a_still(tmp_path):
    frames = [np.full((12, 12, 3), value, dtype=np.uint8) for value in (0, 255)]
    data, metadata = animation(frames, "a <belt>", 100)._repr_mimebundle_()
    output = nbformat.v4.new_output("display_data", data, metadata=metadata)
    cell = nbformat.v4.new_code_cell("x", outputs=[output], metadata={"tags": ["hero"]})
    page = tmp_path / "03.ipynb"
    assert landing.hero(page) is None
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), page)
    image = r'<img class="(\w+)" src="data:image/(\w+);base64,[^"]+" alt="([^"]+)">'
    found, alt = re.findall(image, landing.hero(page)), "a &lt;belt&gt;"
    assert found == [("moving", "gif", alt), ("still", "png", alt)]
    cell.metadata.tags = []
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), page)
    assert landing.hero(page) is None


def test_where_chapter_03_was_not_run_the_drawing_stands(root):
    assert "A drawing." in shown(html(root, "index"))


def test_the_first_screen_fits_a_telephone(root):
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 375, "height": 800}, reduced_motion="reduce")
        page.set_default_timeout(PATIENCE)
        page.goto((root / "_build/html/book/index.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= 375
        assert page.is_visible(".headline .scale b") and not page.is_visible(".headline .scale i")
        assert page.is_visible("text=unlabeled photos, no GAN")
        page.set_viewport_size({"width": 1300, "height": 800})
        assert page.is_visible(".headline .scale i") and not page.is_visible(".headline .scale b")


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
    assert re.search("a long run +ssgan +71.0 ± 12.7 % +2 +10 +a CPU", text)
    told = re.findall("never run|on drawn pets|by their labels", text)
    assert len(told) == 3, "in the table of the wanted alone"


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
    page.write_text("<p>The training of `article` ended at 71 %.</p>")
    with pytest.raises(BuildError, match="07_baseline: the page shows `article` as text"):
        refuse_raw_markup(tmp_path)
    page.write_text("<p>The best was 83.2 %, a set {a, b}.</p><pre>of `width`\n</pre>")
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


def test_a_number_and_its_interval_stay_on_one_line():
    unbroken = extension("unbroken").unbroken
    told = "it gains +7.8 ± 2.0 points of 71.3 ± 2.4 %, or 5 points; 3 ± x, 12 pointsmen"
    assert unbroken(told) == (
        "it gains +7.8\xa0±\xa02.0\xa0points of 71.3\xa0±\xa02.4\xa0%, or 5\xa0points; "
        "3 ± x, 12 pointsmen"
    )
