"""The sheet as a file, and the command that writes it."""

import base64
import io
import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from ssgan_core.errors import InputError
from ssgan_core.labeling.sheet import thumbnail, write_sheet
from ssgan_core.labels import main
from ssgan_core.pets.collection import draw_pets
from ssgan_core.photos.files import scan
from ssgan_core.photos.splits import split_photos


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return draw_pets(tmp_path_factory.mktemp("data") / "pets", 80, 48, workers=1)


@pytest.fixture(scope="module")
def photos(folder):
    return split_photos(scan(folder))


def data_of(file):
    """What a sheet holds, read as a browser does: until the script element is closed."""
    page = file.read_text("utf-8")
    return json.loads(re.search(r'id="data">(.*?)</script', page, re.DOTALL)[1])


def opened(uri):
    kind, _, data = uri.partition(",")
    assert kind == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def jpeg(size, **options):
    buffer = io.BytesIO()
    Image.new("RGB", size, "red").save(buffer, "JPEG", **options)
    return buffer.getvalue()


def test_a_thumbnail_keeps_its_shape_and_stands_upright():
    assert opened(thumbnail(jpeg((400, 200)), 100)).size == (100, 50)
    exif = Image.Exif()
    exif[0x112] = 6
    assert opened(thumbnail(jpeg((400, 200), exif=exif), 100)).size == (50, 100)
    assert opened(thumbnail(jpeg((900, 1)), 100)).size == (100, 1)
    with pytest.raises(InputError, match="is empty"):
        thumbnail(b"", 100)


def test_the_command_writes_a_sheet_of_training_photos(folder, photos, tmp_path, capsys):
    out = tmp_path / "sheet.html"
    assert main(["choose", str(folder), "--count", "12", "--by", "random", "--out", str(out)]) == 0
    data = data_of(out)
    assert "12 of 64 photos" in capsys.readouterr().out
    shown = [photo["path"] for slot in data["photos"] for photo in slot]
    assert len(data["photos"]) == 12 and len(set(shown)) == len(shown) == 36
    table = photos.table.set_index("path")
    assert set(table.loc[shown, "split"]) == {"train"}
    assert data["classes"] == ["cat", "dog"] and data["fixed"]
    assert data["command"].endswith(f"-p photos {folder} -p labeled_set sheet.csv")
    assert "://" not in out.read_text("utf-8")  # nothing is fetched


@pytest.mark.parametrize("method", ["typical", "herding", "kmeans"])
def test_the_command_chooses_by_features(folder, photos, tmp_path, method):
    rows = photos.table.index[:-1]  # the last could not be decoded
    used = replace(photos, table=photos.table.loc[rows])
    features = np.random.default_rng(0).standard_normal((len(rows), 8), dtype=np.float32)
    paths = used.table["path"].to_numpy(str)
    np.savez(tmp_path / "features.npz", paths=paths, features=features, checksum=used.checksum)
    out = tmp_path / "sheet.html"
    line = f"--count 9 --by {method} --features {tmp_path} --out {out}"
    assert main(["choose", str(folder), *line.split()]) == 0
    first = data_of(out)
    assert len(first["photos"]) == 9
    assert main(["choose", str(folder), *line.split()]) == 0
    assert data_of(out) == first


def test_a_photo_that_cannot_be_decoded_is_replaced(folder, tmp_path, capsys):
    ours = shutil.copytree(folder, tmp_path / "pets")
    out = tmp_path / "sheet.html"
    line = ["choose", str(ours), "--count", "5", "--by", "random", "--out", str(out)]
    assert main(line) == 0
    first = data_of(out)["photos"][0]
    (ours / first[0]["path"]).write_bytes(b"no photo")
    capsys.readouterr()
    assert main(line) == 0
    assert f"skipped {first[0]['path']}: is not a JPEG" in capsys.readouterr().out
    assert data_of(out)["photos"][0][0]["path"] == first[1]["path"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--by typical", "--by typical needs --features FOLDER; make them once with"),
        ("--by random --count 65", "count is 65; 1 to 64"),
        ("--by random --count 0", "count is 0"),
        ("--by random --seed -1", "seed is -1"),
        ("--by herding --features nowhere", "features.npz cannot be read: No such file"),
        ("--by random --classes fox,hen", "are of cat,dog; leave it out"),
        ("--by random --classes cat,Cat", "different names are accepted"),
        ("--by random --out no/where.html", "no/where.html cannot be written"),
    ],
)
def test_bad_input_is_refused_in_one_line(folder, tmp_path, capsys, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    assert main(["choose", str(folder), "--count", "9", "--out", "s.html", *options.split()]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_names_of_any_letters_are_embedded_safely(folder, photos, tmp_path):
    """A file name or class may hold what HTML, JSON, CSV and a shell take for their own."""
    odd = 'a "b", <c>&amp;</script><script>alert(1)</script>\u2028ü 猫.jpg'
    paths = [odd, *photos.table["path"][1:]]
    hostile = replace(photos, table=photos.table.assign(path=paths), classes=())
    out = tmp_path / "it's.html"
    write_sheet(out, hostile, [np.array([0])], ["</script>", "猫"], "how <b>", "a b's")
    data = data_of(out)
    assert data["photos"][0][0]["path"] == odd and data["classes"] == ["</script>", "猫"]
    assert out.read_text("utf-8").count("</script>") == 2
    assert "-p photos 'a b'\"'\"'s' -p labeled_set 'it'\"'\"'s.csv'" in data["command"]


def test_a_group_of_which_no_photo_can_be_decoded_is_refused(photos, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"bad")
    table = photos.table.assign(file=str(tmp_path / "bad.jpg"), offset=0, size=3)
    with pytest.raises(InputError, match="no other photo stands in"):
        write_sheet(tmp_path / "s.html", replace(photos, table=table), [np.arange(3)], [], "", "")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.jpg"]
