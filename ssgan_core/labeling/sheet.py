"""One HTML file on which a person labels the photos that were chosen: no server, no network."""

from __future__ import annotations

import base64
import hashlib
import json
import shlex
from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from torchvision.io import encode_jpeg
from torchvision.transforms.v2.functional import resize

from ssgan_core.errors import InputError, explain
from ssgan_core.paths import whole_file
from ssgan_core.photos.decode import decode_jpeg_rgb, quiet
from ssgan_core.photos.files import PhotoCollection

SIDE, SUBSTITUTE_SIDE = 176, 112  # pixels of the longer side
SUBSTITUTES = 2  # photos that can take the place of one that is unclear
QUALITY = 72
CHAPTER = "notebooks/08_further_than_the_article.ipynb"


def thumbnail(data: bytes, side: int) -> str:
    """A JPEG file made small, upright, its longer side `side` pixels, as a data URI.

    Raises InputError, the end of a sentence, where the file cannot be decoded.
    """
    image = decode_jpeg_rgb(data)
    height, width = image.shape[1:]
    scale = side / max(height, width)
    size = [max(1, round(scale * height)), max(1, round(scale * width))]
    small = encode_jpeg(resize(image, size, antialias=True), quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(small.numpy().tobytes()).decode()


def write_sheet(
    out: Path,
    photos: PhotoCollection,
    groups: Iterable[np.ndarray],
    classes: Sequence[str],
    how: str,
    given: str,
    split: str = "labeled",
) -> list[tuple[str, str]]:
    """Write the labeling sheet of groups of rows to one HTML file, whole or not at all.

    The first photo of a group is shown, the next two wait for it to be called unclear. `classes`
    are the names to label with, none where the person is to type them; no photo's class is in the
    file but for what its name tells. `how` says in words how the photos were chosen, `given` is the
    photo folder as it stands in the command that is shown at the end. `split`, the third column of
    what is exported, says what the labels are for: to learn from (`labeled`), or to measure by.

    Returns the photos that could not be decoded, (path, reason): the next of their group stand in
    for them. Raises InputError where a group has no other, and where the file cannot be written.
    """
    corrupt: list[tuple[str, str]] = []
    with quiet():
        shown = [_shown(photos, group, corrupt) for group in groups]
    csv = out.with_suffix(".csv").name
    identity = json.dumps([photos.checksum, [[photo["path"] for photo in slot] for slot in shown]])
    data = {
        "id": hashlib.sha256(identity.encode()).hexdigest()[:16],
        "how": how,
        "classes": list(classes),
        "fixed": bool(photos.classes),
        "csv": csv,
        "split": split,
        "command": f"papermill {CHAPTER} out.ipynb -p photos {shlex.quote(given)} "
        f"-p labeled_set {shlex.quote(csv)}",
        "photos": shown,
    }
    # no text may close the script element that holds the data
    text = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    page = (files(__package__) / "sheet.html").read_text("utf-8").replace("{{data}}", text)
    try:
        with whole_file(out) as partial:
            partial.write_text(page, encoding="utf-8", newline="\n")
    except OSError as error:
        raise InputError(f"The sheet {out} cannot be written: {explain(error)}.") from error
    return corrupt


def _shown(
    photos: PhotoCollection, group: np.ndarray, corrupt: list[tuple[str, str]]
) -> list[dict[str, Any]]:
    """The first photos of a group that can be decoded, with their thumbnails."""
    shown: list[dict[str, Any]] = []
    for row in group.tolist():
        path = photos.table["path"][row]
        try:
            side = SUBSTITUTE_SIDE if shown else SIDE
            shown.append({"path": path, "image": thumbnail(photos.read(row), side)})
        except InputError as fault:
            corrupt.append((path, str(fault)))
        if len(shown) > SUBSTITUTES:
            break
    if not shown:
        raise InputError(
            f"'{photos.table['path'][group[0]]}' in {photos.root} cannot be decoded, and no other "
            f"photo stands in for it; remove it, or choose fewer."
        )
    return shown
