"""Chapter 03 read and run in JupyterLab as `make lab` starts it, in headless Chromium."""

import json
import os
import re
import shutil
import subprocess
import sys
import time

import pytest
from book_root import REPO

CHAPTER = "03_the_complement_generator"
SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},  # all cells are there
    "apputils-extension/notification": {"fetchNews": "false"},
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory, smoke):
    """Address of a JupyterLab in a folder with the chapter at smoke size, and a rerun of it."""
    root = tmp_path_factory.mktemp("lab")
    (root / "notebooks").mkdir()
    for suffix in (".ipynb", ".md"):
        text = (REPO / "notebooks" / CHAPTER).with_suffix(suffix).read_text("utf-8")
        text = re.sub(r'profile = (\\?")quick', r"profile = \1smoke", text)
        (root / "notebooks" / CHAPTER).with_suffix(suffix).write_text(text, "utf-8")
    shutil.copy(REPO / "notebooks/jupytext.toml", root / "notebooks")
    shutil.copy(smoke(CHAPTER) / "out.ipynb", root)
    own = root / ".jupyter"
    for name, value in SETTINGS.items():
        file = own / f"settings/@jupyterlab/{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(value))
    places = {
        "JUPYTER_CONFIG_DIR": own,
        "JUPYTER_DATA_DIR": own / "data",
        "JUPYTER_RUNTIME_DIR": own / "runtime",
        "JUPYTERLAB_SETTINGS_DIR": own / "settings",
        "JUPYTERLAB_WORKSPACES_DIR": own / "workspaces",
        "PYTHONPATH": REPO,
    }
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", "--allow-root", "--no-browser", "--port=0",
         "--IdentityProvider.token="],
        cwd=root, env=os.environ | {name: str(place) for name, place in places.items()},
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while not (started := list((own / "runtime").glob("jpserver-*.json"))):
            assert server.poll() is None, "JupyterLab has ended"
            time.sleep(0.2)
        time.sleep(0.5)  # the file is being written
        yield json.loads(started[0].read_text())["url"].rstrip("/")
    finally:
        server.terminate()
        server.wait()


@pytest.fixture
def notebook(lab, browser):
    """Opens a notebook in a window of its own."""
    contexts = []

    def open_notebook(path):
        contexts.append(browser.new_context(viewport={"width": 1400, "height": 1000}))
        page = contexts[-1].new_page()
        page.set_default_timeout(600_000)
        page.goto(f"{lab}/lab/tree/{path}?reset")
        page.locator(".jp-Notebook h1").wait_for()
        return page

    yield open_notebook
    for context in contexts:
        context.close()


def test_a_rerun_lies_in_view_and_its_figures_are_stills_until_it_is_trusted(lab, notebook):
    page = notebook("out.ipynb")
    still = page.locator(".interactive img").first
    still.wait_for()
    assert page.locator(".interactive input").count() == 0
    assert page.locator(".jp-DirListing").get_by_text("out.ipynb").is_visible()


def test_a_chapter_reads_well_and_runs_from_top_to_bottom(notebook):
    page = notebook(f"notebooks/{CHAPTER}.ipynb")
    for part in (
        ".jp-Notebook .katex-display",
        "aside:has-text('Exercise')",
        "details:has-text('Solution')",
    ):
        page.locator(part).first.wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    page.wait_for_function(
        "() => [...document.querySelectorAll('.jp-CodeCell .jp-InputArea-prompt')]"
        ".every((prompt) => /\\d/.test(prompt.textContent))"
    )
    assert page.locator("[data-mime-type*=error], [data-mime-type*=stderr]").count() == 0
    slider = page.locator(".interactive #logit-0")
    told = slider.get_attribute("aria-valuetext")
    slider.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext") != told
