"""Settings of all tests."""

import os
import shutil
import signal
from functools import partial

import pytest
from book_root import chapter_names, make_book, run_smoke
from filelock import FileLock
from headless import PATIENCE, chromium
from hypothesis import settings

# One thread a process, here and in what tests start: `make test` runs as many as there are cores.
os.environ["OMP_NUM_THREADS"] = "1"
# Under nohup, or behind `&`, the tests of a closed terminal or of Ctrl-C would wait for ever.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
# a test that has to wait for a busy machine has not failed
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture(scope="session")
def once(tmp_path_factory):
    """`once(name, make)`: a folder that one of the processes that test makes for all of them."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def folder(name, make):
        made, partly = shared / name, shared / f"{name}.partly"
        with FileLock(f"{made}.lock"):
            if not made.exists():
                shutil.rmtree(partly, ignore_errors=True)
                make(partly)
                partly.rename(made)
        return made

    return folder


@pytest.fixture(scope="session")
def smoke(once):
    """The folder of a chapter that was run at smoke size: `out.ipynb` and `metrics.json`."""
    return lambda name: once(name, partial(run_smoke, name))


@pytest.fixture(scope="session")
def site(once, smoke):
    """The HTML of this book, all of it run at smoke size."""
    runs = {name: smoke(name) for name in reversed(chapter_names())}  # others begin with the first
    return once("book", partial(make_book, runs)) / "_build/html"


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


@pytest.fixture
def opened(browser):
    """Opens a page as a new person does whose network is off; what it complains of, any address
    that it asks for in vain, or that does not begin as `accepted` says, fails the test."""
    complaints, contexts = [], []

    def open_page(file, accepted=("file:", "data:"), query="", **options):
        context = browser.new_context(offline=True, **options)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text)
                if message.type in ("error", "warning") else None)  # fmt: skip
        page.on("requestfailed", lambda request: complaints.append(request.url))
        page.on("request", lambda request: complaints.append(request.url)
                if not request.url.startswith(accepted) else None)  # fmt: skip
        page.goto(file.as_uri() + query)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
