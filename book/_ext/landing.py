"""The landing page's first screen: the result (`{headline}`) and the idea at work (`{hero}`).

The result comes from the trainings under `book/recorded`, the animation from the executed page of
chapter 03; where that has not been run, a drawing of the idea stands.
"""

import base64
import html
import io
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
from docutils import nodes
from PIL import Image
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from book.result import CHOSEN, RANDOM, ROWS

if TYPE_CHECKING:
    import pandas as pd

PHOTOS_ADD = "The unlabeled photos add"
QUESTIONS = {
    PHOTOS_ADD: ("ssgan-contrast-minus-gan", "supervised-augmented"),
    "A GAN beside them adds": ("ssgan-contrast", "ssgan-contrast-minus-gan"),
}
NOTHING = "Nothing has been recorded for this version of the book."
FILMED = "03_the_complement_generator"
HERO = "hero"  # tag of its cell


def headline(shelf: Path) -> str:
    """HTML of the recorded result: a row a method, two sentences, what was gained and where."""
    from ssgan_core.intervals import format_ci, gains  # brings PyTorch: only this page pays
    from ssgan_core.results import origin_in_words
    from ssgan_core.ssgan.study import recorded_runs

    runs, chosen = (recorded_runs(shelf / name, list(ROWS)) for name in (RANDOM, CHOSEN))
    if runs.empty:
        return f'<p class="headline">{NOTHING}</p>'
    own = {method: runs[runs.method == method] for method in ROWS}
    rows = "".join(
        _row(ROWS[method], found, chosen[chosen.method == method]) for method, found in own.items()
    )
    gained = gains(runs, QUESTIONS)
    photos, gan = gained.values()
    first = "What unlabeled photos add has not been recorded."
    if photos.each:
        alone, ours = (format_ci(own[name]["last"]) for name in reversed(QUESTIONS[PHOTOS_ADD]))
        first = (
            f"With {runs.labeled_set.iloc[0]}, unlabeled photos take a classifier of cats and dogs "
            f"from {alone} to {ours} without a GAN."
        )
    second = "What a GAN adds has not been recorded."
    if gan.each:
        second = f"A GAN beside them changes that by {gan}."
    large = "".join(
        f"<div><dt>{title}</dt><dd><strong>{found}</strong> {found.sentence}</dd></div>"
        for title, found in gained.items()
        if found.each
    )
    facts = [
        "Test accuracy, from guessing to all right; a dot is a run",
        "an open one, not counted here, a run with hand-picked labels",
        f"{int(runs['size'].iloc[0])} px",
        origin_in_words(runs),
    ]
    return (
        f'<figure class="headline"><figcaption>{first} {second}</figcaption><ul>{rows}</ul>'
        f"<dl>{large}</dl><p>{html.escape(', '.join(facts))}</p></figure>"
    )


def _row(name: str, runs: "pd.DataFrame", chosen: "pd.DataFrame") -> str:
    """A method's label, its runs as dots on a scale from 1/2 to 1, and what they come to."""
    from ssgan_core.intervals import format_ci

    if runs.empty:
        return f"<li><span>{name}</span><span></span><span>not recorded</span></li>"

    def count(found: "pd.DataFrame") -> str:
        return "one run" if len(found) == 1 else f"{len(found)} runs"

    def dots(found: "pd.DataFrame", kind: str) -> str:
        places = (200 * found["last"] - 100).clip(0)
        return "".join(f'<i class="{kind}" style="left:{place:.1f}%"></i>' for place in places)

    about = f"{count(runs)}, {runs.steps.mean():,.0f} steps"
    more = f"<small>hand-picked {format_ci(chosen['last'])}, {count(chosen)}</small>"
    mean = max(200 * runs["last"].mean() - 100, 0)
    return (
        f"<li><span>{name}<small>{about}</small></span>"
        f'<span class="scale" aria-hidden="true"><b style="width:{mean:.1f}%"></b>'
        f"{dots(runs, 'random')}{dots(chosen, 'chosen')}</span>"
        f"<span>{format_ci(runs['last'])}{more if len(chosen) else ''}</span></li>"
    )


def hero(page: Path) -> str | None:
    """HTML of the animation that chapter 03's page holds, with its last frame where nothing is to
    move: in print and for whoever asks for reduced motion; None where there is none."""
    cells = nbformat.read(page, as_version=4).cells if page.exists() else []
    for cell in cells:
        for output in cell.get("outputs", []) if HERO in cell.metadata.get("tags", []) else []:
            if moving := output.get("data", {}).get("image/gif"):
                alt = html.escape(output.metadata["image/gif"]["alt"])
                with Image.open(io.BytesIO(base64.b64decode(moving))) as film:
                    film.seek(film.n_frames - 1)
                    film.convert("RGB").save(last := io.BytesIO(), "PNG", optimize=True)
                still = base64.b64encode(last.getvalue()).decode()
                return "".join(
                    f'<img class="{name}" src="data:image/{kind};base64,{data}" alt="{alt}">'
                    for name, kind, data in (("moving", "gif", moving), ("still", "png", still))
                )
    return None


class Headline(SphinxDirective):
    """What the recorded trainings on photographs found."""

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()  # runs may have come that Sphinx does not know of
        return [nodes.raw("", headline(Path(self.env.srcdir, "book/recorded")), format="html")]


class Hero(SphinxDirective):
    """Chapter 03's animation; the body, a drawing say, where it was not run."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()
        if found := hero(Path(self.env.srcdir, "book/chapters", f"{FILMED}.ipynb")):
            return [nodes.raw("", found, format="html")]
        return self.parse_content_to_nodes()


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("headline", Headline)
    app.add_directive("hero", Hero)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
