"""Drawn pets: a collection of cat and dog pictures that the package draws itself.

They are the embedded stand-in for the photographs of the article: JPEG files, one folder a class,
with the nuisances that the article names recorded for every picture in ``attributes.csv``.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from ssgan_core.errors import InputError, explain
from ssgan_core.paths import beside
from ssgan_core.pets.bodies import EXTENT, draw_body
from ssgan_core.pets.canvas import Brush
from ssgan_core.pets.looks import Look, draw_look
from ssgan_core.pets.scene import (
    draw_background,
    draw_light,
    draw_obstruction,
    draw_person,
    shadow,
)
from ssgan_core.process import cores

VERSION = 2
STAMP = ".drawn-pets"  # the file that says what a folder holds
CHUNK = 50  # pictures drawn between two words about it
CLASSES = ("cat", "dog")
# The nuisances of the article and how often each value comes up, the same for both classes.
NUISANCES: dict[str, dict] = {
    "pose": {"face": 0.44, "sitting": 0.4, "standing": 0.07, "lying": 0.09},
    "scene": {"indoor": 0.5, "outdoor": 0.5},
    "lighting": {"day": 0.74, "dim": 0.08, "warm": 0.12, "backlit": 0.06},
    "animals": {1: 0.93, 2: 0.05, 3: 0.02},
    "person": {"no": 0.93, "yes": 0.07},
    "obstruction": {"none": 0.89, "bars": 0.03, "leash": 0.05, "furniture": 0.03},
}
REPOSITORY = Path(__file__).resolve().parents[2]


def draw_pet(seed: int, index: int, size: int) -> tuple[Image.Image, dict]:
    """Draw picture number ``index`` of the collection ``seed``, ``size`` pixels square.

    A pure function: the picture depends on nothing else. Odd numbers are cats, even ones dogs.

    Returns the RGB picture and its attributes: label, breed, coat and pattern of the main animal,
    and the values of ``NUISANCES``.

    Raises InputError where seed or index is negative or size is not in 16 to 512.
    """
    _check("size", size, 16, 512)
    _check("seed", seed, 0, None)
    _check("index", index, 0, None)
    rng = np.random.default_rng([seed, index])
    values, looks = _choose(rng, CLASSES[(index + 1) % 2])
    image = Image.new("RGB", (min(max(3 * size, 192), 1024),) * 2)
    _compose(image, values, looks, rng)
    picture = image.resize((size, size), Image.Resampling.BOX)
    return draw_light(picture, values["lighting"], rng), values


def _choose(rng: np.random.Generator, label: str) -> tuple[dict, list[Look]]:
    """Choose what is on a picture: its attributes, and its animals with the main one first."""
    values = {
        name: list(shares)[rng.choice(len(shares), p=list(shares.values()))]
        for name, shares in NUISANCES.items()
    }
    looks = [draw_look(rng, label) for _ in range(values["animals"])]
    main = looks[0]
    kind = {"label": label, "breed": main.breed.name, "coat": main.coat, "pattern": main.pattern}
    return kind | values, looks


def _compose(image: Image.Image, values: dict, looks: list[Look], rng: np.random.Generator) -> None:
    """Paint background, person, animals and obstruction, back to front."""
    pose, crowd = values["pose"], len(looks)
    close = pose == "face"
    backlit = values["lighting"] == "backlit"
    draw_background(image, values["scene"], rng, 0.04 if close else 0.016)
    brush = Brush.on(image)
    half, tall = EXTENT[pose]
    fit = min(0.5 / half, 0.92 / tall) * rng.uniform(0.88, 1.0)
    scale = fit * (1.0, 0.76, 0.62)[crowd - 1]
    feet = rng.uniform(0.88, 0.97)
    if close:
        feet = 0.56 + 1.15 * scale + rng.uniform(-0.04, 0.08)
    slack = max(0.5 - half * scale, 0.02)
    x = 0.5 + rng.uniform(-0.6, 0.6) * slack if crowd == 1 else 0.5
    spread = {1: (0.0,), 2: (-0.2, 0.22), 3: (0.0, -0.28, 0.28)}[crowd]
    if backlit:
        brush.glow(rng.uniform(0.2, 0.8), rng.uniform(0.1, 0.4), 0.75, 0.75, (255, 246, 220), 0.85)
    tone = rng.uniform(0.66, 0.8) if backlit else 1.0
    front = Brush(image, brush.matrix, brush.origin, tone, 0.8 if backlit else 0.0)
    if values["person"] == "yes":
        side = rng.choice((-1, 1))
        at = (x + side * rng.uniform(0.24, 0.32), rng.uniform(0.14, 0.26))
        draw_person(front, *at, rng.uniform(0.1, 0.13), (x - side * 0.12, feet - 0.32), rng)
    necks = []
    for k in reversed(range(crowd)):
        size = scale * (1.0 if k == 0 else rng.uniform(0.85, 1.0))
        place = (x + spread[k], feet - (0.04 * k if crowd > 1 else 0))
        flip = rng.random() < 0.5
        if not close:
            shadow(brush, place[0], place[1], 0.75 * half * size)
        frame = front.moved(*place, size, 0.0, flip)
        neck = draw_body(frame, looks[k], pose, rng)
        necks.append((frame.matrix @ neck + frame.origin) / image.width)
    top = feet - rng.uniform(0.12, 0.34) * tall * scale
    draw_obstruction(front, values["obstruction"], necks[-1], top, rng)


def draw_pets(
    root: Path,
    count: int = 4000,
    size: int = 64,
    seed: int = 0,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Draw ``count`` pictures into ``root``/cat and ``root``/dog, with ``root``/attributes.csv.

    A complete collection of the same count, size and seed is left as it is; anything else in the
    way is an error. The files appear all at once, and they do not depend on ``workers``
    (processes; as many as there are processors by default). ``progress(done, count)`` is called
    now and then.

    Raises InputError where count < 2, size is not in 16 to 512, seed < 0, workers < 1, or where
    ``root`` holds something else; OSError, which names ``root``, where it cannot be written.
    """
    _check("count", count, 2, None)
    _check("size", size, 16, 512)
    _check("seed", seed, 0, None)
    workers = cores() if workers is None else workers
    _check("workers", workers, 1, None)
    root = Path(root)
    stamp = f"drawn pets v{VERSION}: count {count}, size {size}, seed {seed}\n"
    if root.exists():
        made = root / STAMP
        if made.is_file() and made.read_text() == stamp:
            return root
        raise InputError(f"{root} exists and is not the collection asked for ({stamp.strip()}).")
    try:
        with beside(root) as folder:
            for name in CLASSES:
                (folder / name).mkdir(parents=True)
            rows = _draw_all(folder, count, size, seed, workers, progress)
            pd.DataFrame(rows).to_csv(folder / "attributes.csv", index=False)
            (folder / STAMP).write_text(stamp)
            folder.rename(root)
    except OSError as error:
        if not (root / STAMP).is_file():  # not merely drawn by somebody else meanwhile
            words = f"pets cannot be drawn there: {explain(error)}"
            raise OSError(error.errno, words, str(root)) from error
    return root


def drawn_pets(count: int = 4000, size: int = 64, seed: int = 0) -> Path:
    """The folder of a drawn collection, drawn on first use.

    It lies in ``drawn-pets/`` under ``$SSGAN_DATA``, or ``data/`` of the repository.
    """
    data = Path(os.environ.get("SSGAN_DATA") or REPOSITORY / "data")
    return draw_pets(data / "drawn-pets" / f"{count}-{size}-{seed}-v{VERSION}", count, size, seed)


def _draw_all(
    folder: Path,
    count: int,
    size: int,
    seed: int,
    workers: int,
    progress: Callable[[int, int], None] | None,
) -> list[dict]:
    """Draw all pictures in chunks, and return what is on them, in order."""
    starts = range(1, count + 1, CHUNK)
    workers = min(workers, len(starts))
    rows: list[dict] = []
    with contextlib.ExitStack() as stack:
        pool = []
        for k in range(workers if workers > 1 else 0):
            given = [str(folder), size, seed, count, starts[k], workers * CHUNK]
            pool.append(stack.enter_context(_worker(given)))
        for number, first in enumerate(starts):
            if pool:
                rows += _answer(pool[number % workers])
            else:
                rows += draw_chunk(folder, size, seed, count, first)
            if progress:
                progress(len(rows), count)
    return rows


@contextlib.contextmanager
def _worker(given: list) -> Iterator[subprocess.Popen]:
    """A process that draws every so many chunks; it ends here, or with this process.

    Those of `multiprocessing` import the main module, and with it PyTorch, and outlive a parent
    that is killed. In a group of its own, it is not hit by the Ctrl-C of a terminal.
    """
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "ssgan_core.pets.worker", json.dumps(given)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        process_group=0,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def _answer(process: subprocess.Popen) -> list[dict]:
    """What a worker says of its next chunk; raises the OSError that has stopped it."""
    line = process.stdout.readline()
    if not line.endswith(b"\n"):
        raise ChildProcessError(f"a process that drew pets ended with status {process.wait()}")
    told = json.loads(line)
    if "error" in told:
        raise OSError(*told["error"])
    return told["rows"]


def draw_chunk(folder: Path, size: int, seed: int, count: int, first: int) -> list[dict]:
    """Draw the pictures of `count` from number `first` on, a chunk of them; what is on each."""
    rows = []
    for index in range(first, min(first + CHUNK, count + 1)):
        picture, attributes = draw_pet(seed, index, size)
        path = f"{attributes['label']}/{index:05d}.jpg"
        picture.save(folder / path, quality=92, subsampling=0)
        rows.append({"path": path} | attributes)
    return rows


def _check(name: str, value: int, low: int, high: int | None) -> None:
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < low or (high is not None and value > high):
        accepted = f"{low} or more" if high is None else f"{low} to {high}"
        raise InputError(f"{name} is {value!r}; it must be a whole number, {accepted}.")
