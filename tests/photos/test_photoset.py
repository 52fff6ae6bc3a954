"""What a page tells of the size of photos."""

import pytest

from ssgan_core.pets.collection import draw_pets
from ssgan_core.photos.files import scan
from ssgan_core.photos.photoset import sides_in_words


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (16, "shorter sides of 32 px, reduced to 16 px"),
        (32, "shorter sides of 32 px, the size of an image"),
        (64, "shorter sides of 32 px, enlarged to 64 px, which adds pixels and no detail"),
    ],
)
def test_photos_that_are_enlarged_are_told(tmp_path, size, words):
    assert sides_in_words(scan(draw_pets(tmp_path / "pets", 6, 32, workers=1)), size) == words


def test_photos_of_several_sizes(tmp_path):
    for size in (32, 64):
        draw_pets(tmp_path / str(size), 4, size, workers=1)
    for path in (tmp_path / "64").rglob("*.jpg"):
        path.rename(tmp_path / "32" / path.parent.name / f"large-{path.name}")
    told = sides_in_words(scan(tmp_path / "32"), 48)
    assert told.startswith("shorter sides of 32 to 64 px, 50% of them enlarged to 48 px")
