"""The whole book at smoke size as a reader meets it: in headless Chromium, with the network off."""

import re
from urllib.parse import unquote, urldefrag, urlsplit

import pytest
from book_root import REPO
from bs4 import BeautifulSoup
from headless import barriers

TOC = re.findall(r"(?:root|file): (\S+)", (REPO / "_toc.yml").read_text(encoding="utf-8"))
PAGES = [*(f"{name}.html" for name in TOC), "genindex.html", "search.html"]
WIDE, NARROW = {"width": 1300, "height": 800}, {"width": 375, "height": 800}
SEARCH = "?q=pull-away"


@pytest.fixture
def read(opened, site):
    """Opens a page of the book and all that is folded on it."""

    def open_page(name, size, **options):
        page = opened(site / name, viewport=size, query=SEARCH * (name == "search.html"), **options)
        page.evaluate(
            """async () => {
                await window.MathJax?.startup.promise;
                document.querySelectorAll("details").forEach((box) => { box.open = true; });
                document.querySelectorAll(".toggle-hidden > .toggle-button, .toggle-button-hidden")
                    .forEach((button) => button.click());
                await new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn)));
            }"""
        )
        return page

    return open_page


@pytest.mark.parametrize("name", PAGES)
def test_a_page_shows_its_formulas_and_lines_and_has_no_barrier(name, read):
    page = read(name, WIDE)
    assert page.locator("mjx-merror, [data-mjx-error]").count() == 0
    assert page.locator(".math:not(:has(mjx-container))").count() == 0
    assert barriers(page) == []
    cut = """boxes => boxes.filter((box) => box.scrollWidth > box.clientWidth + 1)
        .map((box) => box.textContent.slice(0, 200))"""
    parts = ".bd-article :is(pre, .pst-scrollable-table-container, .cell_output > .output)"
    assert page.locator(parts).evaluate_all(cut) == [], "a line or a table is cut"
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    assert barriers(page, runOnly=["color-contrast"]) == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_a_telephone_and_its_wide_parts_scroll_by_keyboard(name, read):
    page = read(name, NARROW, color_scheme="dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    assert barriers(page, rules={"color-contrast": {"enabled": False}}) == []  # takes its time
    wide = """elements => elements.filter((element) => {
        const inside = (box) => box && (["auto", "scroll"].includes(getComputedStyle(box).overflowX)
            ? box.tabIndex >= 0 : inside(box.parentElement));
        return element.getBoundingClientRect().right > innerWidth && element.checkVisibility()
            && !inside(element);
    }).map((element) => element.outerHTML.slice(0, 200))"""
    parts = ".bd-article :is(pre, table, img, svg, p, li, h1, h2, h3, mjx-container, .interactive)"
    assert page.locator(parts).evaluate_all(wide) == []


def test_search_finds_a_word_of_the_third_chapter(opened, site):
    page = opened(site / "search.html", query=SEARCH)
    page.locator("#search-results li a[href*='03_the_complement_generator']").first.wait_for()


def test_interactive_figures_move_by_keyboard_and_mouse(opened, site):
    """Every slider of every page says where it is, and that it is elsewhere now."""
    moved = 0
    for path in sorted(site.rglob("*.html")):
        if 'class="interactive"' not in path.read_text("utf-8"):
            continue
        page = opened(path, viewport=WIDE)
        for slider in page.locator(".interactive input[type=range]").all():
            told = [slider.get_attribute("aria-valuetext")]
            slider.press("Home")
            told.append(slider.get_attribute("aria-valuetext"))
            slider.click()  # its middle
            told.append(slider.get_attribute("aria-valuetext"))
            slider.press("ArrowRight")
            told.append(slider.get_attribute("aria-valuetext"))
            assert None not in told and len(set(told)) == 4, told
            moved += 1
    assert moved == 5  # two of the K-logit machine, one of the film, two of stopping


def targets(path):
    """What a file may be asked for: its ids, and the places of an empty fragment."""
    soup = BeautifulSoup(path.read_text("utf-8"), "html.parser")
    return {tag["id"] for tag in soup.select("[id]")} | {""}, soup


def test_no_link_of_a_page_leads_nowhere(site):
    pages = {path: targets(path) for path in [*site.glob("*.html"), *site.glob("book/**/*.html")]}
    dead = []
    for path, (_, soup) in pages.items():
        for tag in soup.select("[href], [src]"):
            address, fragment = urldefrag(tag.get("href") or tag["src"])
            if urlsplit(address).scheme:
                continue
            place = (path.parent / unquote(urlsplit(address).path)).resolve() if address else path
            known = pages[place][0] if place in pages else {fragment}
            if not place.exists() or unquote(fragment) not in known:
                dead.append(f"{path.relative_to(site)}: {tag.get('href') or tag['src']}")
    assert dead == []
