"""Photos that are damaged or made to do harm: no crash, no hang, no memory, the same for all."""

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from photos.hostile import mutate
from PIL import Image

from ssgan_core.pets.collection import draw_pet
from ssgan_core.photos.loader import has_dali

SECONDS, KILOBYTES = 5, 1_000_000  # the most that a batch of 16 takes


def originals():
    """Drawn pets as baseline and progressive JPEG, gray and in color, with EXIF."""
    exif = Image.Exif()
    exif[274] = 6
    for index, options in enumerate(
        [{}, {"progressive": True}, {"exif": exif}, {"subsampling": 0}, {"restart_marker_rows": 1}]
    ):
        image, _ = draw_pet(seed=0, index=index, size=160)
        file = io.BytesIO()
        (image.convert("L") if index == 3 else image).save(file, "JPEG", quality=90, **options)
        yield file.getvalue()


def decode(folder, backend):
    script = Path(__file__).with_name("hostile.py")
    done = subprocess.run(
        [sys.executable, script, folder, backend], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{backend}: exit {done.returncode}\n{done.stderr[-2000:]}"
    assert done.stderr == ""
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    "count", [80, pytest.param(500, marks=pytest.mark.scale, id="five hundred")]
)
def test_hostile_photos(tmp_path, count):
    rng = np.random.default_rng(0)
    whole = list(originals())
    for number in range(count):
        file = tmp_path / ("dog" if number % 2 else "cat") / f"{number:04d}.jpg"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(mutate(whole[number % len(whole)], rng))
    found = {name: decode(tmp_path, name) for name in ["torchvision"] + ["dali-cpu"] * has_dali()}
    for name, result in found.items():
        assert result["slowest_s"] < SECONDS, name
        assert result["kilobytes"] < KILOBYTES, name
        assert result["faults"] == found["torchvision"]["faults"], name
    assert 0.2 * count < len(result["faults"]) < 0.9 * count
    print({name: result | {"faults": len(result["faults"])} for name, result in found.items()})
