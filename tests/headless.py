"""Headless Chromium for tests; one that asks for it is skipped where there is none."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

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


def barriers(page: Page, **options: Any) -> list[str]:
    """What axe finds that is serious or critical once nothing fades any more, an element a line."""
    page.evaluate(
        """async () => {
            await new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn)));
            const fading = () =>
                document.getAnimations().filter((color) => color.playState !== "finished");
            while (fading().length)  // one that ends may begin others
                await Promise.allSettled(fading().map((color) => color.finished));
        }"""
    )
    options |= {"preload": False, "resultTypes": ["violations"]}
    found = Axe().run(page, options=options).response["violations"]
    return [
        f"{rule['id']}: {node['html'][:200]}: {node['failureSummary']}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]
