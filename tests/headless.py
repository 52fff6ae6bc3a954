"""Headless Chromium for tests; one that asks for it is skipped where there is none."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

PATIENCE = 120_000  # milliseconds, on a busy machine


@contextmanager
def chromium() -> Iterator:
    """A browser of Playwright; while it is there, nothing in this process may run asyncio."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if not path:
        pytest.skip("no Chromium on this machine")
    with sync_api.sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=path, args=options, timeout=PATIENCE)
        yield browser
        browser.close()
