"""Nothing is loaded from a network, nor asked for in vain where a page is opened from a disk."""

import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

SCRIPT = "tex-svg-full.js"
# The search would fetch the pages that it found, to show some of their words.
NO_SUMMARY = 'DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY &&= location.protocol !== "file:";'


def _configure(app: Sphinx, config: Any) -> None:
    config.mathjax_path = f"mathjax/{SCRIPT}"
    config.mathjax_options = {"defer": "defer"}
    app.add_js_file(None, body=NO_SUMMARY)
    _leave_out_thebe(app)


def _leave_out_thebe(app: Sphinx) -> None:
    """Take back what jupyter-book brings to run cells in the page: there is no server to do so."""
    app.registry.css_files[:] = [file for file in app.registry.css_files if "thebe" not in file[0]]
    for listeners in list(app.events.listeners.values()):
        for listener in list(listeners):
            if listener.handler.__module__ == "sphinx_thebe":
                app.disconnect(listener.id)


def _copy(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        package = metadata.distribution("sphinx-mathjax-offline")
        script = package.locate_file(f"sphinx-mathjax-offline/static/mathjax/{SCRIPT}")
        folder = Path(app.outdir, "_static", "mathjax")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(str(script), folder / SCRIPT)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("config-inited", _configure)
    app.connect("build-finished", _copy)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
