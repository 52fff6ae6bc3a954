"""Headless Chromium for tests; one that asks for it is skipped where there is none."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser

from book import pdf
from ssgan_core.errors import InputError

PATIENCE = 120_000  # milliseconds, on a busy machine


def need_chromium() -> None:
    try:
        pdf.find_chromium()
    except InputError as error:
        pytest.skip(str(error))


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser of Playwright; while it is there, nothing in this process may run asyncio."""
    need_chromium()
    with pdf.chromium() as browser:
        yield browser
