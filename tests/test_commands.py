"""The commands end to end on drawn pets: train a model, stop and go on, predict; bad input."""

import json
import os
import pickle
import shlex
import shutil
import signal
import sys
from pathlib import Path

import pytest
import torch

from ssgan_core.command_line import run_command
from ssgan_core.errors import InputError
from ssgan_core.pets.collection import draw_pets
from ssgan_core.photos.files import scan
from ssgan_core.photos.labels import draw_labeled
from ssgan_core.photos.photoset import load_photos
from ssgan_core.photos.splits import split_photos
from ssgan_core.predict import KIND, load_model
from ssgan_core.predict import main as predict
from ssgan_core.results import Run
from ssgan_core.ssgan import fit as fit_module
from ssgan_core.ssgan import study as experiment
from ssgan_core.ssgan.recipes import find_recipe
from ssgan_core.ssgan.settings import SSGANSettings
from ssgan_core.ssgan.study import data_summary, label_draws
from ssgan_core.train import TrainSettings
from ssgan_core.train import main as train

JPEG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000")
TINY = shlex.split(
    "--profile smoke --size 32 --width 8 --generator-width 16 --labels 10 --evaluations 2"
)


@pytest.fixture(scope="module")
def pets(tmp_path_factory):
    return draw_pets(tmp_path_factory.mktemp("data") / "pets", 80, 32, workers=1)


@pytest.fixture(scope="module")
def trained(pets, tmp_path_factory):
    """Folder of a finished training."""
    folder = tmp_path_factory.mktemp("runs") / "ours"
    assert train([*TINY, "--photos", str(pets), "--steps", "4", "--out", str(folder)]) == 0
    return folder


def test_a_training_leaves_metrics_samples_and_a_model(trained):
    metrics = json.loads((trained / "metrics.json").read_text())
    assert metrics["settings"]["steps"] == 4 and metrics["settings"]["recipe"] == "ssgan"
    assert metrics["recipe"] == find_recipe("ssgan").settings
    assert 0 <= metrics["values"]["ssgan"]["last"][0] <= 1
    assert 0 <= metrics["values"]["ssgan"]["probe"][0] <= 1
    assert 0 <= metrics["values"]["ssgan"]["unlabeled"][0] <= 1
    (correct,) = metrics["values"]["ssgan"]["correct"]
    assert set(correct) <= {"0", "1"}
    assert correct.count("1") / len(correct) == metrics["values"]["ssgan"]["last"][0]
    assert metrics["values"]["ssgan"]["steps"] == [4]
    history = json.loads((trained / "history.json").read_text())
    assert history["step"] == [2, 4] and history["fake"][0] > 0
    assert history["fake"][1] is None, "no step of this round looked at generated images"
    assert metrics["data"]["photos"] == 80
    samples = sorted((trained / "samples").glob("*.png"))
    assert len(samples) == 2
    assert (trained / "generated.png").read_bytes() == samples[-1].read_bytes()
    assert not (trained / "checkpoint.pt").exists()


def test_the_model_predicts_as_it_was_judged(trained, pets, capsys):
    """The accuracy of the command on the test photos is the one that training recorded."""
    table = split_photos(scan(pets)).table.query("split == 'test'")
    assert predict([str(trained / "model.pt"), *(str(pets / path) for path in table.path)]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    assert len(lines) == len(table) == 8
    right = [f": {('cat', 'dog')[k]} " in line for line, k in zip(lines, table.label, strict=True)]
    metrics = json.loads((trained / "metrics.json").read_text())
    assert sum(right) / len(right) == metrics["values"]["ssgan"]["last"][0]
    assert all(50 <= float(line.split()[-1].rstrip("%")) <= 100 for line in lines)
    share = f"{sum(right) / len(right):.1%}"
    assert last == f"accuracy {share} of the 8 photos whose name or folder tells the class"


def test_an_unreadable_photo_is_named_and_the_others_are_predicted(trained, pets, tmp_path, capsys):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no photo")
    good = next((pets / "cat").glob("*.jpg"))
    model = str(trained / "model.pt")
    assert predict([model, str(broken), str(tmp_path / "none.jpg"), str(good)]) == 1
    out, err = capsys.readouterr()
    assert out.startswith(f"{good}: ")
    assert f"{broken} is not a JPEG" in err and "none.jpg cannot be read: No such file" in err


def test_a_folder_is_all_its_photos(trained, pets, tmp_path, capsys):
    """Those of folders below too; what is broken or no JPEG is named and hides no other."""
    cat, dog = (next((pets / name).glob("*.jpg")) for name in ("cat", "dog"))
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for copy in ("b.JPG", "deep/er/c.jpeg", ".hidden.jpg"):
        shutil.copy(dog, tmp_path / copy)
    (tmp_path / "a.jpg").write_bytes(b"GIF89a")
    for other in ("d.heic", "e.csv", "f.csv"):
        (tmp_path / other).write_text("")
    model = str(trained / "model.pt")
    (tmp_path / "empty").mkdir()
    assert predict([model, str(tmp_path / "empty"), str(tmp_path), str(cat)]) == 1
    out, err = capsys.readouterr()
    photos = [tmp_path / "b.JPG", tmp_path / "deep/er/c.jpeg", cat]
    assert [line.split(": ")[0] for line in out.splitlines()[:-1]] == [str(path) for path in photos]
    assert err.splitlines() == [
        f"error: {tmp_path}/empty holds no file .jpg or .jpeg or .jpe or .jfif or .png",
        f"error: {tmp_path}/a.jpg is a GIF file, not a JPEG",
        f"{tmp_path}: left out, neither JPEG nor PNG: 2 .csv, 1 .heic",
    ]
    assert predict([model, str(tmp_path / "deep")]) == 0


def test_a_reader_that_leaves_is_no_fault_of_the_photos(trained, pets, monkeypatch, capsys):
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as stdout, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stdout)
        assert predict([str(trained / "model.pt"), str(pets / "cat")]) == 141
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    "content",
    [
        b"text",
        b"",
        pickle.dumps(torch.nn.Linear(1, 1)),
        JPEG,
        None,
        {"kind": "another"},
        {"kind": KIND},
        {"kind": KIND, "network": {"magic": 1}},
        "folder",
    ],
    ids=["text", "empty", "pickle", "jpeg", "missing", "another", "bare", "unfit", "folder"],
)
def test_a_file_that_is_no_model_is_refused_in_one_line_of_ours(content, tmp_path, capsys):
    path = tmp_path / "model.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "folder":
        path.mkdir()
    elif content:
        torch.save(content, path)
    assert predict([str(path), "photo.jpg"]) == 2
    out, err = capsys.readouterr()
    assert not out and len(err.splitlines()) == 1 and str(path) in err
    assert len(err) < len(str(path)) + 80 and "weights_only" not in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--widht", "8"], "unknown argument '--widht'; accepted: --profile, --seed"),
        (["--width", "7"], "'width' is 7 (int); accepted: a whole number ≥ 8 and ≤ 64"),
        (["--size", "48"], "'size' is 48 (int); accepted: 32, 64, 128, 224"),
        (["--recipe", "magic"], "'recipe' is 'magic' (str); accepted: article, supervised"),
        (["--max-minutes", "inf"], "'max_minutes' is inf (float); accepted: a finite number > 0"),
        (["--unlabeled-batch", "1"], "'unlabeled_batch' is 1 (int); accepted: a whole number ≥ 2"),
        (["--max-minutes", "soon"], "'max_minutes' is 'soon' (str); accepted: a finite number > 0"),
        (["--photos", "nowhere"], "nowhere' does not exist"),
        (
            ["--recipe", "supervised", "--unlabeled-batch", "8"],
            "unlabeled_batch is 8, but supervised takes no unlabeled photos; accepted with article",
        ),
        (["--width"], "--width: expected one argument"),
    ],
)
def test_bad_arguments_are_one_error(arguments, message, tmp_path, capsys):
    assert train([*arguments, "--out", str(tmp_path)]) == 2
    _, err = capsys.readouterr()
    assert message in err and len(err.splitlines()) == 1


def test_a_stopped_training_goes_on_to_the_same_model(trained, pets, tmp_path, capsys, monkeypatch):
    """SIGTERM in the first step saves and says so; the same command then ends where it would."""
    command = [*TINY, "--photos", str(pets), "--steps", "4", "--out", str(tmp_path)]
    step, calls = fit_module.ssgan_step, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(fit_module, "ssgan_step", interrupted)
        assert train(command) == 143
    assert len(calls) == 1
    assert "stopped, saved in" in capsys.readouterr().out
    assert train([*command[:-4], "--steps", "5", "--out", str(tmp_path)]) == 2
    assert "steps 4, not steps 5" in capsys.readouterr().err
    assert train(command) == 0
    assert "goes on from step 1" in capsys.readouterr().out
    one, two = (json.loads((f / "history.json").read_text()) for f in (trained, tmp_path))
    assert one | {"seconds": 0} == two | {"seconds": 0}
    metrics = [json.loads((f / "metrics.json").read_text()) for f in (trained, tmp_path)]
    assert [part["resumed"] for part in metrics] == [False, True]
    whole, resumed = (load_model(f / "model.pt").network for f in (trained, tmp_path))
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def contents(folder):
    """The files below a folder, with the moments at which they were written."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def test_a_finished_folder_is_left_as_it_is(trained, pets, capsys):
    before, command = contents(trained), [*TINY, "--photos", str(pets), "--out", str(trained)]
    assert train([*command, "--steps", "4"]) == 0
    (told,) = [line for line in capsys.readouterr().out.splitlines() if "already" in line]
    metrics = json.loads((trained / "metrics.json").read_text())
    accuracy = f"ssgan {100 * metrics['values']['ssgan']['last'][0]:.1f} %"
    assert told.startswith(
        f"already done, finished {metrics['finished']}: test accuracy {accuracy}"
    )
    for change, words in (
        (["--steps", "5"], "(steps 4, not steps 5)"),
        (["--steps", "4", "--recipe", "supervised"], "(recipe 'ssgan', not recipe 'supervised')"),
        (["--steps", "4", "--labels", "12"], "labels 10"),
    ):
        assert train([*command, *change]) == 2
        _, err = capsys.readouterr()
        assert words in err and "give another --out, or remove the folder" in err
        assert len(err.splitlines()) == 1
    assert contents(trained) == before


def test_folders_may_have_names_that_are_no_utf8(trained, pets, tmp_path, capsys):
    place = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xe9"))
    shutil.copytree(pets, place / "pets")
    out = place / "out"
    command = [*TINY, "--photos", str(place / "pets"), "--steps", "4", "--out", str(out)]
    assert train(command) == 0
    settings = json.loads((out / "metrics.json").read_text("utf-8"))["settings"]
    assert settings["photos"] == str(place / "pets") and settings["out"] == str(out)
    one, two = (load_model(f / "model.pt").network.state_dict() for f in (trained, out))
    assert all(torch.equal(value, two[name]) for name, value in one.items())
    capsys.readouterr()
    assert predict([str(out / "model.pt"), str(place / "pets/cat")]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 41


def test_the_labels_of_a_csv_are_part_of_the_record(pets, tmp_path, monkeypatch):
    """Edited, the file of one name is other labels; its path may be written as one likes."""
    monkeypatch.chdir(tmp_path)
    photos = split_photos(scan(pets))
    chosen, mine = draw_labeled(photos, 10, seed=7), tmp_path / "my.csv"

    def recorded(path):
        settings = TrainSettings.resolve(
            profile="smoke", photos=str(pets), size=32, labeled_set=str(path)
        )
        return data_summary(label_draws(settings, load_photos(settings, print), print))

    chosen.write(mine)
    first = recorded("my.csv")
    assert recorded(mine) == first and first["photos"] == 80
    draw_labeled(photos, 10, seed=8).write(mine)
    edited = recorded(mine)
    assert edited["labels_checksum"] != first["labels_checksum"]
    assert edited | {"labels_checksum": ""} == first | {"labels_checksum": ""}


def test_minutes_alone_end_a_training(pets, tmp_path):
    out = ["--max-minutes", "0.005", "--recipe", "supervised", "--out", str(tmp_path)]
    assert train([*TINY, "--photos", str(pets), *out]) == 0
    history = json.loads((tmp_path / "history.json").read_text())
    assert history["seconds"][-1] >= 0.3


def test_the_csv_is_what_is_learned_from_and_its_photos_leave_the_test(pets, tmp_path, capsys):
    photos, mine = split_photos(scan(pets)), tmp_path / "mine.csv"
    chosen = draw_labeled(photos, 10, seed=7)
    chosen.write(mine)
    options = {"photos": str(pets), "size": 32, "labels": 10, "labeled_set": str(mine)}
    settings = TrainSettings.resolve(profile="smoke", **options)
    (data,) = label_draws(settings, load_photos(settings, print), print)
    assert sorted(data.table["path"][data.rows("labeled")]) == sorted(chosen.paths)
    assert sorted(chosen.paths) != sorted(draw_labeled(photos, 10, seed=0).paths)

    held_out = photos.table.query("split == 'test'").path.iloc[0]
    mine.write_text(f"{mine.read_text()}{held_out},{held_out.split('/')[0]}\n")
    capsys.readouterr()
    given = ["--photos", str(pets), "--labeled-set", str(mine), "--out", str(tmp_path / "run")]
    assert train([*TINY, *given, "--recipe", "supervised", "--steps", "1"]) == 0
    assert "the labeled set moves photos: 1 from test" in capsys.readouterr().out.splitlines()
    metrics = json.loads((tmp_path / "run/metrics.json").read_text())
    assert metrics["data"]["moved"] == {"test": 1}
    assert len(metrics["values"]["supervised"]["correct"][0]) == 7


def test_photos_of_no_class_are_trained_on_and_measured_by_what_is_labeled_for_it(
    pets, tmp_path, capsys
):
    flat, mine, out = tmp_path / "flat", tmp_path / "my.csv", tmp_path / "run"
    flat.mkdir()
    photos = sorted(pets.rglob("*.jpg"))
    for i, photo in enumerate(photos):
        shutil.copy(photo, flat / f"IMG_{i:04}.jpg")
    command = [*TINY, "--photos", str(flat), "--steps", "2", "--recipe", "ssgan"]
    assert train([*command, "--out", str(out)]) == 2
    assert "label some in a CSV (path,label)" in capsys.readouterr().err

    names = ("Sunny day", "rain", "FOG")
    rows = [f"IMG_{i:04}.jpg,{names[i % 3]}" for i in range(12)]
    mine.write_text("\n".join(["path,label", *rows]))
    command += ["--labeled-set", str(mine)]
    assert train([*command, "--out", str(out)]) == 0
    told = capsys.readouterr().out
    assert "no photo is in split 'test', by which nothing can be measured then" in told
    assert f"test accuracy not measured; {out}/model.pt" in told
    assert json.loads((out / "metrics.json").read_text())["values"]["ssgan"]["last"] == [None]
    assert train([*command, "--out", str(out)]) == 0
    assert "test accuracy ssgan not measured;" in capsys.readouterr().out

    rows = [f"{row}," for row in rows]
    rows += [f"IMG_{i:04}.jpg,{names[i % 3]},{('val', 'test')[i % 2]}" for i in range(20, 40)]
    mine.write_text("\n".join(["path,label,split", *rows]))
    assert train([*command, "--out", str(out)]) == 2
    assert "labels_checksum" in capsys.readouterr().err, "it is another run"
    assert train([*command, "--out", str(tmp_path / "measured")]) == 0
    metrics = json.loads((tmp_path / "measured/metrics.json").read_text())
    assert metrics["data"]["moved"] == {"unlabeled": 20}
    assert len(metrics["values"]["ssgan"]["correct"][0]) == 10
    assert load_model(tmp_path / "measured/model.pt").classes == ("fog", "rain", "sunny day")

    settings = SSGANSettings.resolve(
        profile="smoke", photos=str(flat), size=32, labeled_set=str(mine)
    )
    mine.write_text(mine.read_text().replace(",test", ","))
    with pytest.raises(InputError, match=r"no photo is in split 'test'.* with test in a third col"):
        label_draws(settings, load_photos(settings, print), print)


def test_draws_are_the_same_for_every_recipe(pets, tmp_path, monkeypatch):
    seen = []

    def noted(recipe, data, *, seed, **others):
        seen.append((seed, tuple(data.rows("labeled"))))

    monkeypatch.setattr(experiment, "fit", noted)
    settings = SSGANSettings.resolve(
        profile="smoke", photos=str(pets), size=32, labels=10, draws=3, seed=5
    )
    photos = load_photos(settings, print)
    run = Run.open("t", settings, photos.summary, root=tmp_path)
    draws = label_draws(settings, photos, print)
    experiment.run_recipes(("ssgan", "supervised"), settings, draws, run, print)
    assert seen[:3] == seen[3:] and [seed for seed, _ in seen[:3]] == [5, 6, 7]
    assert len({rows for _, rows in seen}) == 3


@pytest.mark.parametrize("call", [lambda: torch.empty(10**15), lambda: bytearray(10**18)])
def test_too_little_memory_is_one_line(call, capsys):
    assert run_command(call) == 1
    line = capsys.readouterr().err
    assert line.startswith("error: out of memory: ")
    assert line.count("\n") == 1
    with pytest.raises(RuntimeError, match="another"):
        run_command(lambda: (_ for _ in ()).throw(RuntimeError("another fault")))
