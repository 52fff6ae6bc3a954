"""Settings of all tests."""

import os
import signal

import pytest
from headless import PATIENCE, chromium
from hypothesis import settings

# One thread a process, here and in what tests start: `make test` runs as many as there are cores.
os.environ["OMP_NUM_THREADS"] = "1"
# Under nohup the tests of a closed terminal would have nothing to close.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
# a test that has to wait for a busy machine has not failed
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


@pytest.fixture
def opened(browser):
    """Opens a page as a new person does; what it complains of, and any address that it asks for
    and does not begin as `accepted` says, fails the test."""
    complaints, contexts = [], []

    def open_page(file, accepted=("file:", "data:"), **options):
        context = browser.new_context(**options)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("request", lambda request: complaints.append(request.url)
                if not request.url.startswith(accepted) else None)  # fmt: skip
        page.goto(file.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
