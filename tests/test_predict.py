"""What is asked of a model: files of all kinds, folders, tars; what it answers, and how fast."""

import io
import json
import subprocess
import sys
import tarfile
import zlib

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from ssgan_core.errors import InputError
from ssgan_core.photos.decode import decode_photo
from ssgan_core.photos.networks import ResNet18
from ssgan_core.predict import decode_picture, load_model, main, save_model, told_class

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
PICTURE = Image.fromarray(PIXELS)


def encoded(picture, kind="PNG", **options):
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


@pytest.fixture
def model(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "model.pt"
    save_model(path, ResNet18(classes=2, width=8), "a recipe", (-1.0, 1.0), ("cat", "dog"), 32)
    return str(path)


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_has_the_pixels_that_training_saw(mode, orientation):
    exif = Image.Exif()
    exif[0x112] = orientation
    for options in ({"quality": 60}, {"progressive": True}, {"subsampling": 0}):
        data = encoded(PICTURE.convert(mode), "JPEG", exif=exif, **options)
        assert torch.equal(decode_picture(data, 32), decode_photo(data, 32))


def with_alpha(mode):
    """The picture, of which the left half is transparent."""
    picture = PICTURE.convert(mode)
    alpha = np.full((40, 60), 255, np.uint8)
    alpha[:, :30] = 0
    picture.putalpha(Image.fromarray(alpha))
    return picture


def test_png_files_of_all_kinds_are_read():
    def read(picture, **options):
        return decode_picture(encoded(picture, **options), 40)

    plain = read(PICTURE)
    assert torch.equal(read(PICTURE.convert("RGBA")), plain)
    gray = read(PICTURE.convert("L"))
    assert (gray[0] == gray[1]).all() and not torch.equal(gray, plain)
    half = read(with_alpha("RGB"))
    assert (half[:, :, :19] == 255).all() and torch.equal(half[:, :, 21:], plain[:, :, 21:])
    assert (read(with_alpha("L"))[:, :, :19] == 255).all()
    palette = PICTURE.quantize(8)
    assert torch.equal(read(palette), read(palette.convert("RGB")))
    clear = Image.new("P", (60, 40), 0)
    assert (read(clear, transparency=0) == 255).all()
    assert read(PICTURE.convert("1")).unique().tolist()[0] == 0


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (encoded(Image.fromarray(np.ones((4, 4), np.uint16))), "16 bits a pixel of gray; 8 are"),
        (encoded(PICTURE)[:200], "cannot be decoded"),
        (b"\x89PNG\r\n\x1a\n", "cannot be decoded"),
        (encoded(PICTURE, "GIF"), "is a GIF file, not a JPEG"),
        (encoded(PICTURE, "JPEG")[:-300], "is cut off within its picture"),
        (b"", "is empty"),
    ],
    ids=["16 bit", "cut", "bare", "gif", "cut jpeg", "empty"],
)
def test_what_cannot_be_read_is_one_line(data, words, model, tmp_path, capsys):
    with pytest.raises(InputError, match=words):
        decode_picture(data, 32)
    path = tmp_path / "photo.png"
    path.write_bytes(data)
    assert main([model, str(path)]) == 1
    out, err = capsys.readouterr()
    assert not out and err.startswith(f"error: {path} ") and words in err
    assert len(err.splitlines()) == 1


def test_a_claim_of_too_many_pixels_is_refused_before_they_are_decoded():
    data = bytearray(encoded(PICTURE))
    data[16:24] = (60_000).to_bytes(4) * 2  # in the header; its checksum then is wrong
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4)
    with pytest.raises(InputError, match="claims 60000×60000 pixels; 1 to 250,000,000"):
        decode_picture(bytes(data), 32)


def test_a_table_holds_every_probability_of_files_folders_and_tars(
    model, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    folder, shard = tmp_path / "pets", tmp_path / "more.tar"
    for name in ("cat/1.png", "dogs/2.jpg", "loose.jpg"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(PICTURE, "PNG" if path.suffix == ".png" else "JPEG"))
    with tarfile.open(shard, "w") as tar:
        tar.add(folder / "cat/1.png", "dog/3.png")
        tar.add(folder / "loose.jpg", "cat.4.jpg")
    table = tmp_path / "answers.csv"
    one = folder / "loose.jpg"
    assert main([model, str(folder), str(shard), str(one), "--csv", "answers.csv"]) == 0
    rows = pd.read_csv(table)
    assert list(rows.columns) == ["path", "label", "cat", "dog"]
    named = ["pets/cat/1.png", "pets/dogs/2.jpg", "pets/loose.jpg", "more.tar/cat.4.jpg"]
    named.insert(3, "more.tar/dog/3.png")
    assert rows.path.tolist() == [f"{tmp_path}/{name}" for name in [*named, "pets/loose.jpg"]]
    assert np.allclose(rows.cat + rows.dog, 1)
    assert (rows.label == rows[["cat", "dog"]].idxmax(axis=1)).all()
    saved = load_model(tmp_path / "model.pt")
    assert saved.predict(one.read_bytes()) == pytest.approx(rows[["cat", "dog"]].iloc[-1].tolist())
    right = (rows.label[[0, 1, 3, 4]] == ["cat", "dog", "dog", "cat"]).mean()
    assert capsys.readouterr().out.splitlines() == [
        "answers.csv: 6 photos",
        f"accuracy {right:.1%} of the 4 photos whose name or folder tells the class",
    ]


def test_a_damaged_tar_hides_no_other_place(model, tmp_path, capsys):
    (tmp_path / "bad.tar").write_bytes(b"no tar" * 200)
    (tmp_path / "a.png").write_bytes(encoded(PICTURE))
    assert main([model, str(tmp_path / "bad.tar"), str(tmp_path / "a.png")]) == 1
    out, err = capsys.readouterr()
    assert out.startswith(f"{tmp_path}/a.png: ") and len(err.splitlines()) == 1
    assert "bad.tar is not a complete, uncompressed tar archive" in err


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("x/cat.1.jpg", "cat"),
        ("x/dog.1.png", "dog"),
        ("PetImages/Dog/7.jpg", "dog"),
        ("Cats/any name.jpeg", "cat"),
        ("val/xdog_12.jpg", "dog"),
        ("train/dogs/5.jpg", "dog"),
        ("holiday/IMG_1.jpg", None),
        ("IMG_1234.jpg", None),
        ("catalogue.jpg", None),
        ("horse/1.jpg", None),
    ],
)
def test_the_class_is_what_folder_or_name_tell(path, told):
    assert told_class(path, ("cat", "dog")) == told


def test_one_photo_waits_for_no_library_that_it_does_not_need():
    code = "import sys, json, ssgan_core.predict; print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    loaded = set(json.loads(done.stdout))
    needless = {"torchvision", "sklearn", "scipy", "matplotlib", "nvidia.dali", "torch._dynamo"}
    assert "torch" in loaded and not needless & loaded
