"""Buttons that open a chapter elsewhere: on its source notebook, not on the executed copy.

Only a published book has a repository to open: its address comes from the environment that
GitHub's runners set. A local build shows no button that could not work.
"""

import os
from typing import Any

from sphinx.application import Sphinx


def _repository(app: Sphinx, config: Any) -> None:
    if repository := os.environ.get("GITHUB_REPOSITORY"):
        server = os.environ.get("GITHUB_SERVER_URL", "https://github.com")
        config.html_theme_options |= {
            "repository_url": f"{server}/{repository}",
            "repository_branch": os.environ.get("GITHUB_REF_NAME", "main"),
            "use_repository_button": True,
            "launch_buttons": {"colab_url": "https://colab.research.google.com"},
        }


def _to_sources(app: Sphinx, page: str, template: str, context: dict, doctree: Any) -> None:
    def rewrite(buttons: list[dict[str, Any]]) -> None:
        for button in buttons:
            rewrite(button.get("buttons", []))
            if button.get("url"):
                button["url"] = button["url"].replace("/book/chapters/", "/notebooks/")

    rewrite(context.get("header_buttons", []))


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("config-inited", _repository)
    app.connect("html-page-context", _to_sources, priority=1000)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
