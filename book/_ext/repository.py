"""Buttons to the repository and its issues, where there is one.

A published book has an address, which GitHub's runners tell in the environment. A local build shows
no button that could not work, and none opens a notebook elsewhere: it would have to install there
what it imports, and from where no file of this book knows.
"""

import os
from typing import Any

from sphinx.application import Sphinx


def _buttons(app: Sphinx, config: Any) -> None:
    if repository := os.environ.get("GITHUB_REPOSITORY"):
        server = os.environ.get("GITHUB_SERVER_URL", "https://github.com")
        config.html_theme_options |= {
            "repository_url": f"{server}/{repository}",
            "use_repository_button": True,
            "use_issues_button": True,
        }


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("config-inited", _buttons)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
