"""The bibliography without roles of lists, into which docutils puts what no list may hold."""

import re
from typing import Any

from sphinx.application import Sphinx


def _no_roles(app: Sphinx, page: str, template: str, context: dict, doctree: Any) -> None:
    if body := context.get("body"):
        context["body"] = re.sub(r'(<div[^>]*?) role="(?:list|doc-biblioentry)"', r"\1", body)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", _no_roles)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
