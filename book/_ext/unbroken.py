"""A number and its interval stay on one line, in sentences and in the cells of tables."""

import re
from typing import Any

from sphinx.application import Sphinx

SPACED = re.compile(r"(?<=\d) (±) (\d[\d.,]*)(?: (points?\b|%))?|(?<=\d) (points?\b|%)")


def unbroken(text: str) -> str:
    """The text with spaces that do not break in `+7.8 ± 2.0 points`, `71.3 ± 2.4 %`, `5 points`."""
    return SPACED.sub(
        lambda m: "".join(f"\N{NO-BREAK SPACE}{part}" for part in m.groups() if part), text
    )


def _keep_together(app: Sphinx, page: str, template: str, context: dict, doctree: Any) -> None:
    if body := context.get("body"):
        context["body"] = unbroken(body)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", _keep_together)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
