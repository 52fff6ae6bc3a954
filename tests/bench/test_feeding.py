"""Files that people really have, and what a step waits for."""

import itertools
from pathlib import Path

import pandas as pd
import pytest
import torch

from ssgan_core.bench import feeding
from ssgan_core.bench.folders import folder_loader, open_with_pil, open_with_torchvision
from ssgan_core.bench.odd_files import odd_files, open_all, verdicts
from ssgan_core.errors import InputError
from ssgan_core.photos.decode import to_range
from ssgan_core.photos.files import scan
from ssgan_core.photos.loader import has_dali
from ssgan_core.photos.photoset import PhotoSet, decode_all

needs_dali = pytest.mark.skipif(not has_dali(), reason="DALI exists for Linux only")
FILES = odd_files()
LOADERS = [pytest.param("DALI", marks=needs_dali), "torchvision", "PIL"]


def test_photos_of_unknown_class_are_never_the_labeled_ones():
    labels = torch.tensor([-1, 0, 1, -1]).repeat(75)
    images = torch.arange(300, dtype=torch.uint8).view(-1, 1, 1, 1)
    source = PhotoSet(Path(), pd.DataFrame({"label": labels}), ("cat", "dog"), "", images=images)
    known = [next(batches)[0] for batches in [feeding.feed(source, 0)] for _ in range(8)]
    assert all((batch.labels >= 0).all() for batch in known)
    seen = torch.cat([batch.images for batch in known]).unique()
    assert len(seen) <= feeding.LABELED


# Files that people really have

PICTURE = {"plain JPEG", "grayscale", "CMYK", "turned by EXIF", "progressive"}
REFUSED = {
    "cut in half": "refused: is cut off within its picture",
    "without its last two bytes": "refused: is cut off within its picture",
    "empty": "refused: is empty",
    "PNG named .jpg": "refused: is a PNG file, not a JPEG",
    "16-bit PNG named .jpg": "refused: is a PNG file, not a JPEG",
    "text": "refused: is not a JPEG",
}


@pytest.mark.parametrize("loader", LOADERS)
def test_every_loader_does_the_same_documented_thing(tmp_path, loader):
    opened = open_all(FILES, tmp_path, loader)
    expected = dict.fromkeys(PICTURE, "the picture") | REFUSED
    assert verdicts({loader: opened}, FILES)[loader].to_dict() == expected


def test_the_plain_image_folder_does_not(tmp_path):
    # What the chapter says about it, and that `verdicts` can tell a wrong picture at all.
    opened = open_all(FILES, tmp_path, "plain ImageFolder")
    judged = verdicts({"plain": opened}, FILES)["plain"]
    assert judged["turned by EXIF"].startswith("another picture")
    assert judged["PNG named .jpg"] == judged["16-bit PNG named .jpg"] == "some picture"
    assert judged["empty"] == "refused: UnidentifiedImageError"


@pytest.mark.parametrize("opener", [open_with_pil, open_with_torchvision])
def test_a_picture_that_no_decoder_accepts_is_named(tmp_path, opener):
    good = FILES[0].data
    at = good.index(b"\xff\xc4")  # a Huffman table
    path = tmp_path / "flawed.jpg"
    path.write_bytes(good[: at + 5] + b"\xff" * 16 + good[at + 21 :])
    with pytest.raises(InputError, match=r"flawed\.jpg' cannot be decoded"):
        opener(path)


# The article's pipeline


@pytest.fixture
def folder(tmp_path):
    for number in range(10):
        path = tmp_path / ("cat" if number < 4 else "dog") / f"{number}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(FILES[number % 5].data)
    return tmp_path


@needs_dali
@pytest.mark.parametrize(
    ("last_batch", "epochs"),
    [
        ("fill", [[4, 4, 4], [4, 4]]),  # what the first epoch took too much the second lacks
        ("partial", [[4, 4, 2], [4, 4, 2]]),
        ("drop", [[4, 4], [4, 4]]),
    ],
)
def test_what_becomes_of_the_last_batch(folder, caplog, last_batch, epochs):
    from ssgan_core.bench.dali_files import file_loader

    loader = file_loader(folder, 16, 4, threads=1, last_batch=last_batch)
    for counts in epochs:
        assert [len(batch[0]["labels"]) for batch in loader] == counts
    assert not caplog.records


@needs_dali
def test_the_file_reader_gives_the_pixels_and_labels_of_the_image_folder(folder):
    from ssgan_core.bench.dali_files import file_loader

    loader = file_loader(folder, 32, 10, (-1.0, 1.0), threads=1)
    ((batch,),) = list(loader)
    ((images, labels),) = list(folder_loader(folder, 32, 10, "torchvision"))
    assert batch["labels"].flatten().tolist() == labels.tolist()
    apart = (batch["images"].cpu() - to_range(images, (-1.0, 1.0))).abs()
    assert apart[..., 2:-2, 2:-2].max() <= 2 * 3 / 255 and apart.mean() < 0.01


# What a step waits for


def test_on_demand_and_cache_feed_the_same_batches(folder, monkeypatch):
    monkeypatch.setattr(feeding, "LABELED", 4)
    photos = scan(folder)
    sources = (feeding.OnDemand(photos, 16, "torchvision"), decode_all(photos, 16, "torchvision"))
    feeds = [itertools.islice(feeding.feed(source, seed=3), 3) for source in sources]
    for one, two in zip(*feeds, strict=True):
        for batch, other, count in zip(one, two, (4, 6), strict=True):
            assert torch.equal(batch.images, other.images) and len(batch.images) == count
            assert torch.equal(batch.labels, other.labels)
        assert sorted(torch.cat([batch.rows for batch in one]).tolist()) == list(range(10))


def test_waiting_is_measured_between_asking_and_having():
    times = pd.DataFrame({"asked": [0.0, 0.4], "ready": [0.1, 0.7], "done": [0.4, 1.0]})
    waits = feeding.waiting(times)
    assert waits["waiting (ms)"] == pytest.approx(200)
    assert waits["computing (ms)"] == pytest.approx(300)
    assert waits["share of waiting"] == pytest.approx(0.4)
