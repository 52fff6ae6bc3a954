"""The ways to load photos are given the same work, and their speeds are set side by side."""

import itertools
import shutil

import numpy as np
import pytest
import torch
from at_once import AtOnce
from torchvision.transforms.v2.functional import pil_to_tensor

from ssgan_core.bench import folders, loader
from ssgan_core.bench.folders import unpack
from ssgan_core.pets.collection import draw_pets
from ssgan_core.photos import decode
from ssgan_core.photos.decode import stored_rgb
from ssgan_core.photos.files import scan
from ssgan_core.photos.loader import has_dali


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return scan(draw_pets(tmp_path_factory.mktemp("data") / "pets", 6, 96, workers=1))


def test_every_way_to_load_gives_every_image_in_the_same_form(photos, tmp_path):
    unpack(photos, np.arange(6), tmp_path)
    for way in loader.ways():
        batches = list(loader._epochs(way, photos, tmp_path, 16, 1))
        images = torch.cat([loader._images(batch).cpu() for batch in batches])
        assert images.shape == (6, 3, 16, 16) and images.dtype == torch.uint8, way
        order = images.float().mean(dim=(1, 2, 3)).sort().values
        if way == loader.ways()[0]:
            first = order
        torch.testing.assert_close(order, first, atol=1.0, rtol=0)


def test_the_benchmark_measures_and_compares(photos, tmp_path):
    unpack(photos, np.arange(6), tmp_path)
    frame = loader.with_ratios(
        loader.measure(way, photos, tmp_path, 16, threads=1, repeats=1)
        for way in (loader.FOLDER_PIL, loader.BASE, loader.CACHE)
    )
    rates = frame["images a second"]
    assert (rates > 0).all()
    assert frame["× torchvision"].tolist() == (rates / rates[1]).round(2).tolist()
    assert frame["× ImageFolder"].tolist() == (rates / rates[0]).round(2).tolist()


def test_too_little_shared_memory_leaves_a_row_out_and_says_why(photos, monkeypatch):
    """As PyTorch words it where an allocation fails, and where a worker died of it."""
    words = itertools.cycle(["allocate shared memory(shm) for file", "out of shared memory"])

    def raced(calls, *_):
        (way,) = calls
        if way in (loader.FOLDER_PIL, loader.FOLDER_TORCHVISION):
            raise RuntimeError(f"Caught RuntimeError in DataLoader worker: {next(words)}")
        return {way: 1.0}

    monkeypatch.setattr(loader, "race", raced)
    monkeypatch.setattr(loader, "ProcessPoolExecutor", AtOnce)
    told = []
    table = loader.rates(str(photos.root), (16, 24), 5, 8, 1, told.append)
    left_out = table["images a second"].isna()
    assert set(table.loader[left_out]) == {loader.FOLDER_PIL, loader.FOLDER_TORCHVISION}
    assert len(told) == 4 and left_out.sum() == 4
    space = shutil.disk_usage("/dev/shm").total / 2**20
    assert told[0] == (
        "left out: ImageFolder, PIL at 16 px: 8 worker processes hand over batches in /dev/shm, "
        f"whose {space:,.0f} MB are too few; fewer --threads, or a larger one (a container's "
        "--shm-size)"
    )


def test_each_stage_of_loading_takes_time(photos):
    costs = loader.stages(photos, 16, repeats=1)
    assert list(costs.columns) == ["PIL", "torchvision", "DALI"][: 2 + has_dali()]
    assert list(costs.index) == ["read", "check", "decode", "resize", "to float"]
    assert (costs.loc[["read", "check", "decode"]] > 0).all(axis=None)


def test_the_stage_of_decoding_does_not_walk_the_headers_again(photos, monkeypatch):
    def walked(data):
        raise AssertionError("the headers are a stage of their own")

    for module in (decode, folders):
        monkeypatch.setattr(module, "read_header", walked)
    data = photos.read(0)
    pictures = stored_rgb(data), pil_to_tensor(folders.pil_stored(data))
    assert (pictures[0].int() - pictures[1].int()).abs().float().mean() < 1
