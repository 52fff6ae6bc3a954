"""Loaders: what comes when, the same pixels from both decoders, and files that are no photos."""

import io
import itertools
import struct
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps
from torchvision.transforms.v2.functional import pil_to_tensor, resize

from ssgan_core.bench.folders import pil_rgb
from ssgan_core.errors import InputError
from ssgan_core.photos import loader as loaders
from ssgan_core.photos import photoset
from ssgan_core.photos.decode import decode_jpeg_rgb, read_header, upright
from ssgan_core.photos.files import scan
from ssgan_core.photos.loader import Loader, PhotoStream, Schedule, choose_backend
from ssgan_core.photos.photoset import PhotoSet, decode_all

BACKENDS = ["torchvision"]
try:
    import nvidia.dali  # noqa: F401

    BACKENDS.append("dali")
except ImportError:
    pass
both = pytest.mark.parametrize("backend", BACKENDS)
needs_dali = pytest.mark.skipif("dali" not in BACKENDS, reason="DALI exists for Linux only")


def picture(seed=0, width=180, height=140):
    """A picture with what photographs have: soft light, an outline, texture and sensor noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / max(width, height)
    light = np.stack([rng.uniform(40, 200) + rng.uniform(-90, 90) * (x + y) for _ in range(3)], -1)
    cx, cy, radius = [*rng.uniform(0.3, 0.6, 2).tolist(), rng.uniform(0.1, 0.3)]
    light[(x - cx) ** 2 + (y - cy) ** 2 < radius**2] += rng.uniform(-80, 80, 3)
    light += 12 * np.sin(x * rng.uniform(40, 200) + y * rng.uniform(40, 200))[..., None]
    light += rng.normal(0, 4, light.shape)
    return Image.fromarray(light.clip(0, 255).astype(np.uint8))


def encoded(image, kind="JPEG", **options):
    file = io.BytesIO()
    image.save(file, kind, **({"quality": 90} if kind == "JPEG" else {}) | options)
    return file.getvalue()


def rotated(image):
    exif = Image.Exif()
    exif[274] = 6
    return encoded(image, exif=exif)


def flawed(data):
    """A file whose headers look sound but whose Huffman table no decoder accepts."""
    at = data.index(b"\xff\xc4")
    return data[: at + 5] + b"\xff" * 16 + data[at + 21 :]


GOOD = encoded(picture(1))
ODD = {
    "gray": encoded(picture(2).convert("L")),
    "cmyk": encoded(picture(3).convert("CMYK")),
    "rotated": rotated(picture(4)),
    "progressive": encoded(picture(5), progressive=True),
    "trailing": GOOD + b"\0" * 50,
    "tiny": encoded(picture(6, 1, 1)),
    "narrow": encoded(picture(7, 3, 200)),
}
FAULTS = {
    "zero": (b"", "is empty"),
    "text": (b"Not a picture at all.", "is not a JPEG"),
    "png": (encoded(picture(8), "PNG"), "is a PNG file, not a JPEG"),
    "png16": (
        encoded(Image.fromarray(np.full((9, 9), 40_000, dtype=np.uint16)), "PNG"),
        "is a PNG file, not a JPEG",
    ),
    "gif": (encoded(picture(8), "GIF"), "is a GIF file, not a JPEG"),
    "half": (GOOD[: len(GOOD) // 2], "is cut off within its picture"),
    "end": (GOOD[:-2], "is cut off within its picture"),
    "head": (GOOD[:100], "is cut off within its headers"),
    "huge": (GOOD.replace(b"\0\x8c\0\xb4", b"\xff\xff\xff\xff", 1), "claims 65535×65535 pixels"),
    "liar": (GOOD.replace(b"\0\x8c\0\xb4", b"\x2f\xff\x3f\xff", 1), "claims 16383×12287 pixels in"),
    "deep": (GOOD.replace(b"\x08\0\x8c", b"\x0c\0\x8c", 1), "has 12 bits a sample"),
}


def collection(folder, files):
    """A photo collection of `files` (name: bytes), all of them dogs but the first, a cat."""
    for number, (name, data) in enumerate(files.items()):
        path = folder / ("dog" if number else "cat") / f"{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return scan(folder)


def many(folder, bad, n=300):
    """`n` good files that differ and the `bad` ones among them."""
    good = {f"{i:03}": encoded(picture(i, 24, 16)) for i in range(n)}
    return collection(folder, good | {f"1{i}{name}": data for i, (name, data) in enumerate(bad)})


# What comes when


@given(
    n=st.integers(1, 60), size=st.integers(1, 70), seed=st.integers(0, 9), epoch=st.integers(0, 3)
)
def test_an_epoch_has_every_row_once(n, size, seed, epoch):
    rows = np.arange(n) * 3
    schedule = Schedule(rows, size, True, seed)
    batches = list(schedule.epoch(epoch))
    assert len(batches) == len(schedule)
    assert sorted(np.concatenate(batches)) == list(rows)
    assert all(len(batch) == size for batch in batches[:-1]) and 1 <= len(batches[-1]) <= size


@given(n=st.integers(1, 40), size=st.integers(1, 50), start=st.integers(0, 30))
def test_the_stream_is_full_batches_of_epochs_end_to_end(n, size, start):
    rows, width = np.arange(n) + 5, min(n, size)
    schedule = Schedule(rows, size, True, 7)
    drawn = np.concatenate([schedule.batch(step) for step in range(start + n)])
    assert len(drawn) == (start + n) * width
    for epoch in drawn[: len(drawn) // n * n].reshape(-1, n):
        assert sorted(epoch) == list(rows)
    # A fresh schedule at any step gives what an old one gives there.
    again = Schedule(rows, size, True, 7).batch(start)
    assert np.array_equal(again, drawn[start * width :][:width])


def test_the_schedule_follows_the_seed_and_the_epoch():
    first, second = Schedule(np.arange(50), 50, True, 0), Schedule(np.arange(50), 50, True, 1)
    assert not np.array_equal(first.batch(0), second.batch(0))
    assert not np.array_equal(first.batch(0), first.batch(1))
    assert np.array_equal(Schedule(np.arange(50), 20, False, 3).batch(0), np.arange(20))


def cached(n=1000):
    images = torch.arange(n, dtype=torch.int32).remainder(256).to(torch.uint8)
    images = images.view(n, 1, 1, 1).expand(n, 3, 2, 2)
    table = pd.DataFrame({"label": np.arange(n) % 2})
    return PhotoSet(Path(), table, ("cat", "dog"), "made up", images=images)


def test_a_thousand_images_are_counted_as_a_thousand():
    # The article's notebook counted 1,536: its last batch wrapped round to the beginning.
    loader = Loader(cached(), np.arange(1000), 64)
    for _ in range(2):
        sizes = [len(batch.images) for batch in loader]
        assert sum(sizes) == 1000 and len(sizes) == len(loader) == 16 and sizes[-1] == 40


@both
def test_a_decoding_loader_counts_the_last_batch_once(tmp_path, backend):
    photos = collection(tmp_path, {str(i): encoded(picture(i)) for i in range(10)})
    loader = Loader(PhotoStream(photos, 8, backend), np.arange(10), 4, shuffle=True)
    batches = list(loader)
    assert [len(batch.images) for batch in batches] == [4, 4, 2]
    assert sorted(torch.cat([batch.rows for batch in batches]).tolist()) == list(range(10))


def test_loops_over_a_loader_are_successive_epochs():
    loader = Loader(cached(), np.arange(1000), 300, shuffle=True, seed=2)
    seen = [torch.cat([batch.rows for batch in loader]) for _ in range(2)]
    assert not torch.equal(*seen)
    assert torch.equal(seen[1], torch.cat([batch.rows for batch in loader.epoch(1)]))


def test_images_and_labels_belong_to_the_rows():
    source = cached()
    for batch in itertools.islice(Loader(source, np.arange(90, 500), 64, shuffle=True).stream(), 9):
        assert torch.equal(batch.images, source.images[batch.rows])
        assert torch.equal(batch.labels, source.targets[batch.rows])
        assert batch.images.dtype == torch.uint8 and batch.labels.dtype == torch.int64


@both
def test_a_resumed_stream_sees_what_the_first_would_have_seen(tmp_path, backend):
    photos = collection(tmp_path, {str(i): encoded(picture(i)) for i in range(7)})
    loader = Loader(PhotoStream(photos, 8, backend), np.arange(7), 3, shuffle=True, seed=4)
    whole = list(itertools.islice(loader.stream(), 8))
    resumed = list(itertools.islice(loader.stream(5), 3))
    for old, new in zip(whole[5:], resumed, strict=True):
        assert torch.equal(old.images, new.images) and torch.equal(old.rows, new.rows)


@pytest.mark.parametrize(
    ("rows", "size", "message"),
    [([], 4, "no rows"), ([3, 1000], 4, "rows 3 to 1000.*0 to 999"), ([1], 0, "batch_size is 0")],
)
def test_a_loader_refuses_what_it_cannot_load(rows, size, message):
    with pytest.raises(InputError, match=message):
        Loader(cached(), np.array(rows, dtype=np.int64), size)


# The same pixels


@needs_dali
@pytest.mark.parametrize("size", [32, 64, 224])
def test_both_decoders_give_the_same_pixels(tmp_path, size):
    # They differ at the border of an image, where DALI repeats the edge under its filter and
    # torchvision renormalizes the filter, and by rounding elsewhere.
    shapes = [(180, 180), (180, 121), (97, 180), (500, 375), (64, 64)]
    files = {str(i): encoded(picture(i, *shapes[i % 5])) for i in range(20)}
    photos = collection(tmp_path, files | ODD)
    one, two = (decode_all(photos, size, name).images.int() for name in ("dali", "torchvision"))
    apart = (one - two).abs().float()
    assert apart.mean() <= 0.5
    assert apart.flatten().sort().values[int(0.999 * apart.numel())] <= 16
    assert apart[..., 2:-2, 2:-2].max() <= 2


@both
def test_the_pixel_range_is_black_to_white(tmp_path, backend):
    files = {
        "black": encoded(Image.new("RGB", (20, 20))),
        "white": encoded(Image.new("RGB", (20, 20), "white")),
        "photo": GOOD,
    }
    photos = collection(tmp_path, files)
    source, decoded = PhotoStream(photos, 8, backend), decode_all(photos, 8, backend)
    for low, high in [(0, 1), (-1, 1)]:
        (batch,) = Loader(source, np.arange(3), 3, pixel_range=(low, high))
        (memory,) = Loader(decoded, np.arange(3), 3, pixel_range=(low, high))
        assert batch.images.dtype == torch.float32 and batch.images.is_contiguous()
        torch.testing.assert_close(batch.images, memory.images, atol=1e-5, rtol=0)
        assert torch.all(batch.images[0] == low) and torch.all(batch.images[2] == high)


# Files that are unusual, and files that are no photos


@both
@pytest.mark.parametrize("name", ODD)
def test_unusual_photos_are_decoded(tmp_path, backend, name):
    photos = collection(tmp_path, {"first": GOOD, name: ODD[name]})
    row = photos.table.index[photos.table["path"].str.contains(name)][0]
    images = decode_all(photos, 32, backend).images
    # PIL is the judge of what the picture is.
    image = Image.open(io.BytesIO(ODD[name]))
    image = image.transpose(Image.Transpose.ROTATE_270) if name == "rotated" else image
    expected = np.asarray(image.convert("RGB").resize((32, 32), Image.Resampling.BILINEAR))
    assert np.abs(images[row].permute(1, 2, 0).int().numpy() - expected).mean() < 2


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_seen_in_the_headers(name):
    data, reason = FAULTS[name]
    assert read_header(data).fault.startswith(reason)


def test_sound_files_have_no_fault():
    faults = [read_header(data).fault for data in (GOOD, *ODD.values())]
    assert faults == [None] * (len(ODD) + 1)


@given(st.binary(max_size=300), st.integers(0, len(GOOD)))
def test_any_bytes_are_judged_without_an_error(junk, cut):
    for data in (junk, b"\xff\xd8" + junk, GOOD[:cut] + junk):
        header = read_header(data)
        assert header.fault != "" and 1 <= header.orientation <= 8


def with_segments(*segments):
    """A lying picture of 120×80 with APP1 segments before its tables."""
    data = encoded(picture(9, 120, 80))
    at = data.index(b"\xff\xdb")
    added = (b"\xff\xe1" + struct.pack(">H", len(s) + 2) + s for s in segments)
    return data[:at] + b"".join(added) + data[at:]


XMP = b"http://ns.adobe.com/xmp/extension/\0" + b"A" * 40
EXIF = b"Exif\0\0II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x112, 3, 1, 6, 0, 0)
ORIENTED = {
    "plain": (with_segments(), 1),
    "exif": (with_segments(EXIF), 6),
    "xmp before": (with_segments(XMP, EXIF), 6),
    "a text that lies nowhere": (
        with_segments(
            b"Exif\0\0II*\0" + struct.pack("<IHHHIIHHIHHI", 8, 2, 0x10F, 2, 80000, 9999, 0x112,
                                           3, 1, 6, 0, 0)
        ), 6
    ),
    "big end first": (
        with_segments(b"Exif\0\0MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x112, 3, 1, 8, 0, 0)), 8
    ),
    "32 bits": (
        with_segments(b"Exif\0\0II*\0" + struct.pack("<IHHHIII", 8, 1, 0x112, 4, 1, 3, 0)), 3
    ),
    "two of them": (with_segments(EXIF, EXIF.replace(b"\6\0", b"\3\0")), 6),
    "no such turn": (with_segments(EXIF.replace(b"\6\0\0\0", b"\x63\0\0\0")), 1),
    "a table beyond the end": (with_segments(b"Exif\0\0II*\0\xff\xff\xff\xff"), 1),
    "more entries than bytes": (with_segments(b"Exif\0\0II*\0\x08\0\0\0\xff\xff"), 1),
    "no tables": (with_segments(b"Exif\0\0"), 1),
}  # fmt: skip


@pytest.mark.parametrize("name", ORIENTED)
def test_every_decoder_turns_a_photo_as_its_header_says(tmp_path, name):
    data, orientation = ORIENTED[name]
    assert read_header(data) == (None, 120, 80, orientation)
    lying = Image.open(io.BytesIO(data))
    expected = upright(torch.from_numpy(np.asarray(lying).copy()).permute(2, 0, 1), orientation)
    assert torch.equal(decode_jpeg_rgb(data), expected)
    assert torch.equal(pil_to_tensor(pil_rgb(data)), expected)
    photos = collection(tmp_path, {"first": GOOD, "this": data})
    for backend in BACKENDS:
        images = decode_all(photos, 32, backend).images
        apart = images[1].float() - resize(expected, [32, 32], antialias=True)
        assert apart.abs().mean() < 2, backend
        (batch,) = Loader(PhotoStream(photos, 32, backend), np.arange(2), 2, pixel_range=(0, 255))
        assert (batch.images[1] - images[1]).abs().max() < 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_as_pil_turns_them(orientation):
    image = Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4))
    exif = Image.Exif()
    exif[274] = orientation
    tagged = Image.open(io.BytesIO(encoded(image, "PNG", exif=exif)))
    turned = np.asarray(ImageOps.exif_transpose(tagged))
    assert (
        upright(torch.from_numpy(np.asarray(image).copy()), orientation).tolist() == turned.tolist()
    )


def test_a_photo_of_a_telephone_is_no_bomb():
    header = GOOD.replace(b"\0\x8c\0\xb4", struct.pack(">HH", 12240, 16320), 1)
    assert read_header(header + bytes(200_000) + b"\xff\xd9").fault is None


@both
def test_corrupt_files_are_left_out_and_listed(tmp_path, capfd, backend):
    bad = [("zero", b""), ("flawed", flawed(GOOD)), ("half", GOOD[: len(GOOD) // 2])]
    photos = many(tmp_path, bad)
    decoded = decode_all(photos, 16, backend)
    names = [path.rsplit("/", 1)[-1] for path, _ in decoded.corrupt]
    assert names == ["10zero.jpg", "11flawed.jpg", "12half.jpg"]
    assert [reason for _, reason in decoded.corrupt][::2] == [
        "is empty",
        "is cut off within its picture",
    ]
    assert len(decoded) == len(decoded.images) == len(decoded.targets) == 300
    assert capfd.readouterr().err == ""
    # Rows and images still belong together.
    assert list(decoded.table.index) == list(range(300))
    for row in (0, 11, 12, 13, 200, 299):
        alone = Image.open(io.BytesIO(decoded.read(row))).resize(
            (16, 16), Image.Resampling.BILINEAR
        )
        assert np.abs(decoded.images[row].permute(1, 2, 0).int().numpy() - alone).mean() < 2


@needs_dali
def test_both_decoders_leave_out_the_same_files(tmp_path):
    photos = many(tmp_path, [("flawed", flawed(GOOD)), ("text", b"hello"), ("cmyk", ODD["cmyk"])])
    one, two = (decode_all(photos, 16, name) for name in ("dali", "torchvision"))
    assert one.corrupt == two.corrupt and len(one.corrupt) == 2
    assert one.checksum == two.checksum


@both
def test_more_than_one_in_a_hundred_corrupt_is_an_error(tmp_path, backend):
    photos = many(tmp_path / "many", [(f"bad{i}", b"") for i in range(4)])
    with pytest.raises(InputError, match=r"^4 of the 304 files .*1%.* accepted.*10bad0.jpg' is"):
        decode_all(photos, 8, backend)
    few = collection(tmp_path / "few", {"a": GOOD, "b": GOOD, "c": b"", "d": b"", "e": b""})
    assert len(decode_all(few, 8, backend)) == 2
    none = collection(tmp_path / "none", {"a": b"", "b": b""})
    with pytest.raises(InputError, match=r"^2 of the 2 files"):
        decode_all(none, 8, backend)


@both
def test_a_stream_stops_at_a_corrupt_photo_and_names_it(tmp_path, backend):
    photos = collection(tmp_path, {"a": GOOD, "b": GOOD[:-2], "c": encoded(picture(3))})
    loader = Loader(PhotoStream(photos, 8, backend), np.arange(3), 2)
    with pytest.raises(InputError, match=r"dog/b\.jpg' is cut off"):
        list(loader)


@both
def test_a_photo_that_vanished_is_named(tmp_path, backend):
    photos = collection(tmp_path, {"a": GOOD, "b": encoded(picture(3))})
    (tmp_path / "dog" / "b.jpg").unlink()
    with pytest.raises(InputError, match=r"b\.jpg"):
        decode_all(photos, 8, backend)


# The choice of a decoder


@pytest.fixture
def gpu(monkeypatch):
    """A machine on which PyTorch finds a GPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)


@pytest.fixture
def device(gpu, monkeypatch):
    """Set where DALI finds that it decodes: "mixed", "cpu", or an error that it raises."""
    dali = pytest.importorskip("ssgan_core.photos.dali")

    def put(found):
        def working_device():
            if isinstance(found, Exception):
                raise found
            return found

        monkeypatch.setattr(dali, "working_device", working_device)

    return put


def test_without_dali_torchvision_takes_over(gpu, monkeypatch):
    monkeypatch.delitem(sys.modules, "ssgan_core.photos.dali", raising=False)
    monkeypatch.delattr("ssgan_core.photos.dali", raising=False)
    monkeypatch.setitem(sys.modules, "nvidia.dali", None)
    backend, reason = choose_backend()
    assert backend == "torchvision" and "DALI is not installed" in reason and "\n" not in reason
    assert not loaders.has_dali()
    for name in ("dali", "dali-cpu"):
        with pytest.raises(InputError, match=f"'{name}', but DALI is not installed.*torchvision"):
            choose_backend(name)


def test_where_dali_fails_torchvision_takes_over(device):
    device(RuntimeError("CUDA driver version is insufficient\nand much more"))
    backend, reason = choose_backend()
    assert backend == "torchvision" and reason.endswith("(CUDA driver version is insufficient)")


def test_dali_is_chosen_where_it_decodes_on_a_gpu_and_can_be_overruled(device):
    device("mixed")
    assert [choose_backend(name)[0] for name in loaders.BACKENDS] == [
        "dali", "dali", "dali-cpu", "torchvision"
    ]  # fmt: skip
    assert choose_backend()[1].endswith("decodes on the GPU")
    assert choose_backend("dali-cpu")[1].endswith("decodes on the CPU, as asked")


def test_without_a_gpu_torchvision_is_chosen_and_can_be_overruled(device, monkeypatch):
    device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_backend() == (
        "torchvision",
        "torchvision decodes on the CPU: there is no CUDA GPU",
    )
    assert choose_backend("dali")[1].endswith("decodes on the CPU, as asked")


@needs_dali
def test_with_a_driver_too_old_for_dali_torchvision_takes_over(gpu, monkeypatch):
    from ssgan_core.photos import dali

    built = dali.photo_pipeline

    def refuses_the_gpu(feed, size, pixel_range, device, **options):
        if device == "mixed":
            raise RuntimeError("CUDA driver version is insufficient for CUDA runtime version")
        return built(feed, size, pixel_range, device, **options)

    monkeypatch.setattr(dali, "photo_pipeline", refuses_the_gpu)
    dali.working_device.cache_clear()
    try:
        backend, reason = choose_backend()
        assert backend == "torchvision" and reason.endswith("is its driver too old?")
    finally:
        dali.working_device.cache_clear()


def test_unknown_decoders_and_sizes_are_refused(tmp_path):
    photos = collection(tmp_path, {"a": GOOD, "b": GOOD})
    with pytest.raises(
        InputError, match="backend is 'pil'; accepted are auto, dali, dali-cpu, torchvision"
    ):
        decode_all(photos, 8, "pil")
    with pytest.raises(InputError, match="size is 0"):
        decode_all(photos, 0)


def test_images_are_decoded_once(tmp_path, monkeypatch):
    photos = collection(tmp_path, {str(i): encoded(picture(i)) for i in range(5)})
    decoded = decode_all(photos, 8, "torchvision")
    monkeypatch.setattr(photoset, "decoder_of", None)
    loader = Loader(decoded, np.arange(5), 2, shuffle=True)
    assert sum(len(batch.rows) for _ in range(3) for batch in loader) == 15
