"""Serve MathJax from an installed package, so that formulas show without a network."""

import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

SCRIPT = "tex-svg-full.js"


def _configure(app: Sphinx, config: Any) -> None:
    config.mathjax_path = f"mathjax/{SCRIPT}"
    config.mathjax_options = {"defer": "defer"}


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
