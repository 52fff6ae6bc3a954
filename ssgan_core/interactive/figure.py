"""Figures that a reader moves: data and script lie in the page, a still where no script runs."""

import base64
import dataclasses
import html
import io
import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from PIL import Image as Picture


@dataclasses.dataclass(frozen=True)
class Interactive:
    """HTML for a browser, and the still (PNG) with its text for whatever shows no HTML."""

    html: str
    still: bytes
    alt: str

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return {"text/html": self.html, "image/png": self.still, "text/plain": self.alt}


def interactive(script: str, data: Mapping[str, Any], still: Figure, alt: str) -> Interactive:
    """The still and, in a browser that runs scripts, the figure that `script` draws in its place.

    `<script>.js` of this folder is one function of a shadow root and the data. What it draws there
    takes the place of the still, by the rules of the shadow tree, and no style or id of the page
    gets in or out: so figures share a page, and JupyterLab and the book show the same.
    """
    drawn, buffer = io.BytesIO(), io.BytesIO()
    still.savefig(drawn)
    plt.close(still)
    Picture.open(drawn).convert("RGB").quantize(128, dither=0).save(buffer, "PNG", optimize=True)
    room = files(__package__)
    code = (room / f"{script}.js").read_text("utf-8").strip()
    style = (room / "figure.css").read_text("utf-8")
    # no text may close the script element that holds the data
    given = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    picture = base64.b64encode(buffer.getvalue()).decode()
    # JupyterLab, which would take the arrow keys for itself, heeds Lumino's attribute
    page = f"""<div class="interactive" data-lm-suppress-shortcuts="true">
<img src="data:image/png;base64,{picture}" alt="{html.escape(alt)}">
<script>{{
const root = document.currentScript.parentElement.attachShadow({{ mode: "open" }});
root.innerHTML = `<style>{style}</style><div id="figure"></div>`;
(
{code}
)(root.getElementById("figure"), {given});
}}</script>
</div>"""
    return Interactive(page, buffer.getvalue(), alt)
