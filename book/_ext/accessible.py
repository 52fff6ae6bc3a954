"""What the theme leaves in a reader's way.

The bibliography has no roles of lists, into which docutils puts what no list may hold. A wide box
that was folded can be scrolled by keyboard once it is opened: the theme looks at its width only
while the page loads.
"""

import re
from typing import Any

from sphinx.application import Sphinx

SCROLLED_BY_KEYBOARD = """
addEventListener("DOMContentLoaded", () => {
  const seen = new ResizeObserver((boxes) => {
    for (const {target} of boxes) if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
  });
  document.querySelectorAll("pre, .cell_output > .output").forEach((box) => seen.observe(box));
});
"""


def _no_roles(app: Sphinx, page: str, template: str, context: dict, doctree: Any) -> None:
    if body := context.get("body"):
        context["body"] = re.sub(r'(<div[^>]*?) role="(?:list|doc-biblioentry)"', r"\1", body)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", _no_roles)
    app.add_js_file(None, body=SCROLLED_BY_KEYBOARD)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
