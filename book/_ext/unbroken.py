"""A number and its interval stay on one line, in sentences and in the cells of tables."""

import re

SPACED = re.compile(r"(?<=\d) (±) (\d[\d.,]*)(?: (points?\b|%))?|(?<=\d) (points?\b|%)")


def unbroken(text: str) -> str:
    """The text with spaces that do not break in `+7.8 ± 2.0 points`, `71.3 ± 2.4 %`, `5 points`."""
    return SPACED.sub(
        lambda m: "".join(f"\N{NO-BREAK SPACE}{part}" for part in m.groups() if part), text
    )


def keep_together(app, pagename, templatename, context, doctree):
    """Do so in a page's body."""
    if "body" in context:
        context["body"] = unbroken(context["body"])


def setup(app):
    """Connect to Sphinx."""
    app.connect("html-page-context", keep_together)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
