"""Recorded runs: made one after another by a command, read back as tables."""

import importlib
import json
import math
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from book import record
from book.common import BuildError
from book.expectations import check_recorded
from ssgan_core.digits.step import METHODS, Recipe
from ssgan_core.errors import InputError
from ssgan_core.intervals import format_ci, gain, interval_table, mean_ci
from ssgan_core.plots import PALETTE
from ssgan_core.process import cores
from ssgan_core.results import origin_in_words, read_recorded, tidy
from ssgan_core.ssgan.figures import training_curves
from ssgan_core.ssgan.recipes import find_recipe
from ssgan_core.ssgan.study import settings_then
from ssgan_core.train import main as train
from ssgan_core.train_digits import main as train_digits

DIGITS = ["--labels", "10", "--draws", "2", "--steps", "20"]


def define(root, experiment):
    """An `experiments.toml` of its own below a folder."""
    folder = root / "book/recorded"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "experiments.toml").write_text(experiment)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two methods on digits, twice two short runs, as the command leaves them."""
    folder = tmp_path_factory.mktemp("recorded")
    for seed in ("0", "2"):
        for method in ("feature_matching", "supervised"):
            command = [*DIGITS, "--method", method, "--seed", seed]
            assert train_digits([*command, "--out", str(folder / f"{seed}-{method}")]) == 0
    return folder


def test_trainings_are_read_back_with_settings_values_and_origin(runs):
    frame = read_recorded(runs)
    assert frame.method.tolist() == (["feature_matching"] * 2 + ["supervised"] * 2) * 2
    assert frame.seed.tolist() == [0, 1, 0, 1, 2, 3, 2, 3]
    metrics = json.loads((runs / "2-feature_matching/metrics.json").read_text())
    assert frame["last"].tolist()[4:6] == metrics["values"]["feature_matching"]["last"]
    assert frame.device[4] == metrics["device"] and frame.steps[4] == 20
    assert (frame.remark == "").all()
    for run in frame.itertuples():
        assert len(run.correct) == 500 and run.correct.count("1") / 500 == pytest.approx(run.last)


def test_a_record_says_its_method_and_what_that_was(runs):
    metrics = json.loads((runs / "2-supervised/metrics.json").read_text())
    assert metrics["settings"]["method"] == "supervised" and [*metrics["values"]] == ["supervised"]
    assert metrics["weights"] == METHODS["supervised"]._asdict()
    assert metrics["settings"]["epsilon"] == Recipe().epsilon


def test_a_record_of_two_methods_is_still_read(runs, tmp_path):
    """The command wrote the GAN and its labels-only row into one file, without its images."""
    gan, alone = (
        json.loads((runs / f"2-{method}/metrics.json").read_text())
        for method in ("feature_matching", "supervised")
    )
    for metrics in (gan, alone):
        for columns in metrics["values"].values():
            del columns["correct"]
        metrics["settings"]["generator"] = metrics["settings"].pop("method")
        del metrics["weights"]
    gan["values"] |= alone["values"]
    (tmp_path / "metrics.json").write_text(json.dumps(gan))
    frame = read_recorded(tmp_path)
    assert frame.method.tolist() == ["feature_matching"] * 2 + ["supervised"] * 2
    assert len(interval_table(frame, against="supervised")) == 2


def test_a_finished_folder_of_digits_is_left_as_it_is(runs, capsys):
    path = runs / "2-supervised/metrics.json"
    before = path.read_bytes()
    command = [*DIGITS, "--method", "supervised", "--out", str(runs / "2-supervised")]
    assert train_digits([*command, "--seed", "2"]) == 0
    (told,) = capsys.readouterr().out.splitlines()
    assert told.startswith("already done, finished ") and told.endswith(f"; {path}")
    assert train_digits(command) == 2
    assert "(seed 2, not seed 0); give another --out" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_label_spreading_is_recorded_like_a_training_of_no_steps(runs, tmp_path):
    command = [*DIGITS, "--method", "label_spreading", "--out", str(tmp_path)]
    assert train_digits(command) == 0
    frame = read_recorded(tmp_path)
    assert frame.method.tolist() == ["label_spreading"] * 2 and (frame.steps == 0).all()
    for run in frame.itertuples():
        assert run.correct.count("1") / 500 == pytest.approx(run.last)
    beside = read_recorded(runs)
    assert not gain(frame, beside[beside.method == "supervised"]).unequal


def test_a_remark_in_a_record_comes_along(runs, tmp_path):
    metrics = json.loads((runs / "2-supervised/metrics.json").read_text())
    metrics |= {"remark": "by hand"}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    assert set(read_recorded(tmp_path).remark) == {"by hand"}


def test_trainings_that_differ_in_seed_are_one_row(runs):
    frame = read_recorded(runs)
    table = interval_table(frame, ["method", "steps"])
    assert table.index.tolist() == [("feature_matching", 20), ("supervised", 20)]
    assert table.runs.tolist() == [4, 4]
    accuracies = frame[frame.method == "supervised"]["last"]
    assert table["test accuracy"].iloc[1] == format_ci(accuracies)


def test_a_gain_compares_trainings_of_the_same_seeds(runs):
    frame = read_recorded(runs)
    gan, alone = (frame[frame.method == m] for m in ("feature_matching", "supervised"))
    shuffled = pd.concat([gan, alone.sample(frac=1, random_state=0)])
    table = interval_table(shuffled, against="supervised")["against supervised"]
    mean, half = mean_ci(100 * (gan["last"].to_numpy() - alone["last"].to_numpy()))
    assert table["feature_matching"] == f"{mean:+.1f} ± {half:.1f} points"
    assert table["supervised"] == "–"
    assert str(gain(gan, alone)) == table["feature_matching"]
    assert str(gain(gan[:1], alone[1:])) == "–"
    assert interval_table(frame, against="none")["against none"].tolist() == ["–", "–"]
    twin = pd.concat([gan, gan.assign(method="twin")])
    assert interval_table(twin, against="twin")["against twin"].tolist() == [
        "+0.0 ± 0.0 points",
        "–",
    ]


def test_a_gain_compares_runs_with_as_many_labels():
    """Two budgets share their seeds; each is held against its own baseline."""
    frame = pd.concat(
        tidy({"gan": {"last": gan}, "alone": {"last": alone}}, 0).assign(labels=labels)
        for labels, gan, alone in ((10, [0.7, 0.8], [0.6, 0.7]), (20, [0.9, 0.9], [0.7, 0.7]))
    )
    table = interval_table(frame, ("labels", "method"), against="alone")["against alone"]
    assert table[10, "gan"].startswith("+10.0") and table[20, "gan"].startswith("+20.0")


def test_steps_and_probes_stand_beside_the_accuracies(runs):
    frame = read_recorded(runs)
    assert "linear probe" not in interval_table(frame)
    told = origin_in_words(frame)
    assert told.startswith("8 runs of 20 steps and 0 minutes on ")
    assert all(commit[:7] in told for commit in frame.git)
    frame["probe"] = frame["last"].where(frame.method == "supervised")
    table = interval_table(frame)["linear probe"]
    assert table["feature_matching"] == "–"
    assert table["supervised"] == format_ci(frame[frame.method == "supervised"]["last"])


def test_an_option_that_was_asked_for_is_no_change_of_the_recipe():
    asked = {"recipe": "ssgan", "unlabeled_batch": 128, "stem": None}
    then = find_recipe("ssgan").settings | {"unlabeled_batch": 128, "stem": "imagenet"}
    assert settings_then({"settings": asked, "recipe": then}) == "stem imagenet"
    changed = settings_then({"settings": {"recipe": "ssgan"}, "recipe": then})
    assert changed.split(", ") == ["unlabeled_batch 128", "stem imagenet"]


def test_recorded_curves_are_the_runs_and_their_mean():
    frame = pd.DataFrame(
        {"method": ["ssgan", "ssgan", "other"], "validation": [[0.5, 0.7], [0.6, 0.9], [0.4, 0.5]]}
    )
    (axes,) = training_curves(frame, 1 / 3).axes
    *drawn, chance = [list(line.get_ydata()) for line in axes.lines]
    assert chance == [1 / 3, 1 / 3]
    assert drawn == [[0.5, 0.7], [0.6, 0.9], [0.55, 0.8], [0.4, 0.5], [0.4, 0.5]]
    assert list(axes.lines[0].get_xdata()) == [0.5, 1.0]
    (counted,) = training_curves(frame.assign(steps=[40, 40, 10]), 1 / 3).axes
    assert [list(line.get_xdata()) for line in counted.lines[::3]] == [[20, 40], [5, 10]]
    assert counted.get_xlabel() == "step"
    (named,) = training_curves(frame, 1 / 3, ["other", "absent", "ssgan"]).axes
    assert [line.get_label() for line in named.lines if line.get_linewidth() > 2] == [
        "other",
        "ssgan",
    ]
    assert [line.get_color() for line in named.lines[:-1:3]] == [PALETTE[0], PALETTE[2]]


def test_a_recipe_that_has_changed_since_is_another_method(tmp_path, capsys):
    """Its runs are not averaged with those of today's recipe, and the command says it."""
    known = find_recipe("ssgan").settings
    del known["pull_away"]  # as if it had come since: at its default it makes no difference
    for seed, earlier in (("0", {"small_first": 0.85}), ("1", {})):
        folder = tmp_path / "book/recorded/one" / seed
        folder.mkdir(parents=True)
        metrics = {
            "values": {"ssgan": {"last": [0.7], "minutes": [1.0], "steps": [10]}},
            "settings": {"recipe": "ssgan", "seed": int(seed)},
            "recipe": known | earlier,
            "data": {"name": "drawn pets"},
            **dict.fromkeys(("device", "git", "finished"), "here"),
        }
        (folder / "metrics.json").write_text(json.dumps(metrics))
    table = interval_table(read_recorded(tmp_path, settings_then))
    assert table.index.tolist() == ["ssgan (small_first 0.85)", "ssgan"]
    assert table.runs.tolist() == [1, 1]
    define(
        tmp_path,
        '[one]\nabout = "a"\ncommand = "json.tool"\n[one.options]\n[one.each]\nseed = [0, 1]\n',
    )
    record.record(tmp_path, "one", None)
    first, second = capsys.readouterr().out.splitlines()
    assert "recorded with small_first 0.85" in first and second.endswith(": recorded")


def test_nothing_recorded_is_an_empty_frame(tmp_path):
    assert read_recorded(tmp_path / "none").empty


def test_a_file_that_is_no_record_is_named(tmp_path):
    (tmp_path / "metrics.json").write_text('{"values": {"ssgan": {"last": [0.5]}}}')
    with pytest.raises(InputError, match=r"metrics\.json is no record of a training"):
        read_recorded(tmp_path)


def test_the_digits_command_goes_on_where_it_was_killed(tmp_path, monkeypatch, capsys):
    """The second call goes on and ends with the numbers of an unbroken run."""
    from ssgan_core import train_digits as module

    command = [*DIGITS, "--method", "matching_vat", "--out"]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert train_digits([*command, str(whole)]) == 0
    told = []

    def killed(line):
        told.append(line)
        if len(told) == 7:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "tell", killed)
        assert train_digits([*command, str(broken)]) == 130
    assert not (broken / "metrics.json").exists()
    assert train_digits([*command, str(broken)]) == 0
    assert "goes on from step 7" in capsys.readouterr().out
    values = [json.loads((f / "metrics.json").read_text())["values"] for f in (whole, broken)]
    for method, found in values[0].items():
        assert found["minutes"][0] > 0
        assert found | {"minutes": 0} == values[1][method] | {"minutes": 0}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--labels", "25"], "parameter 'labels' is 25 (int); accepted: a whole number"),
        (["--method", "wgan"], "accepted: supervised, supervised_without_norm, pseudo_label, "),
        (["--budgets", "10"], "unknown argument '--budgets'"),
        (["--mnist", "/no/such"], "mnist is /no/such, which is no folder"),
    ],
)
def test_bad_options_of_the_digits_command(arguments, message, tmp_path, capsys):
    assert train_digits([*arguments, "--out", str(tmp_path / "run")]) == 2
    assert message in capsys.readouterr().err


def test_what_is_recorded_with_the_book_lies_in_its_bands():
    checked = check_recorded(record.ROOT)
    assert checked.keys() <= record.experiments(record.ROOT).keys()
    assert "cats-and-dogs" in checked
    assert not [fault for one in checked.values() for fault in one.faults]


@pytest.mark.parametrize("name", record.experiments(record.ROOT))
def test_every_experiment_is_a_command_that_is_accepted(name, tmp_path, monkeypatch):
    """Each command line is parsed by the command itself; only its training is left out."""
    from ssgan_core import pretrain as features_module
    from ssgan_core import probe as probes_module
    from ssgan_core import train as photos_module
    from ssgan_core import train_digits as digits_module

    seen = []
    monkeypatch.setattr(photos_module, "train", seen.append)
    monkeypatch.setattr(digits_module, "train_digits", seen.append)
    monkeypatch.setattr(features_module, "learn", seen.append)
    monkeypatch.setattr(probes_module, "probe_choices", seen.append)
    modules = {
        "ssgan_core.train": train,
        "ssgan_core.train_digits": train_digits,
        "ssgan_core.pretrain": features_module.main,
        "ssgan_core.probe": probes_module.main,
    }
    lines = record.commands(record.ROOT, name, str(tmp_path))
    each = record.experiments(record.ROOT)[name]["each"].values()
    assert len(lines) == math.prod(map(len, each)) > 1
    for folder, (module, *options) in lines.items():
        assert modules[module](options) == 0
        assert record.ROOT / seen[-1].out == folder
    assert len({str(settings) for settings in seen}) == len(lines)


GPU = [n for n, e in record.experiments(record.ROOT).items() if e["options"].get("profile")]


@pytest.mark.scale
@pytest.mark.parametrize("name", GPU)
def test_the_recipes_of_a_gpus_experiment_run_at_a_tiny_size(name, tmp_path):
    """A rehearsal: the same commands, on a few small photos, for two steps."""
    random = np.random.default_rng(0)
    names = [f"{kind}.{number}.jpg" for number in range(100) for kind in ("cat", "dog")]
    for photo in names:
        pixels = random.integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / photo)
    chosen = "".join(f"{photo},{photo[:3]}\n" for photo in names[:20])
    (tmp_path / "chosen.csv").write_text(f"path,label\n{chosen}")
    small = {"--profile": "smoke", "--size": "32", "--width": "8", "--generator-width": "16",
             "--steps": "2", "--labels": "20", "--labeled-set": str(tmp_path / "chosen.csv"),
             "--unlabeled-batch": "8", "--draws": "2"}  # fmt: skip
    optional = {"--labeled-set", "--unlabeled-batch", "--draws"}
    for folder, (module, *options) in record.commands(record.ROOT, name, str(tmp_path)).items():
        given = dict(zip(options[::2], options[1::2], strict=True))
        if given.get("--seed", "0") != "0":
            continue
        without = optional - {*given, *(["--draws"] if module == "ssgan_core.pretrain" else [])}
        given |= {key: value for key, value in small.items() if key not in without}
        given |= {"--out": str(tmp_path / "out" / folder.name)}
        given.pop("--max-minutes", None)
        words = [word for pair in given.items() for word in pair]
        assert importlib.import_module(module).main(words) == 0
        assert (tmp_path / "out" / folder.name / "metrics.json").exists()


def test_options_of_one_value_are_its_runs_alone_a_name_or_a_number(tmp_path):
    define(
        tmp_path,
        '[tiny]\nabout = "a"\ncommand = "c"\n[tiny.options]\nsteps = 10\n'
        '[tiny.each]\nlabels = [20, 200]\nrecipe = ["a", "b"]\n'
        "[tiny.of.200]\nsteps = 30\n[tiny.of.b]\nsize = 32\n",
    )
    lines = {f.name: " ".join(line) for f, line in record.commands(tmp_path, "tiny", None).items()}
    assert lines == {
        "20-a": "c --steps 10 --labels 20 --recipe a --out book/recorded/tiny/20-a",
        "20-b": "c --steps 10 --labels 20 --recipe b --size 32 --out book/recorded/tiny/20-b",
        "200-a": "c --steps 30 --labels 200 --recipe a --out book/recorded/tiny/200-a",
        "200-b": "c --steps 30 --labels 200 --recipe b --size 32 --out book/recorded/tiny/200-b",
    }


def test_an_experiment_is_recorded_once_and_a_failure_is_said(tmp_path, capfd):
    root = tmp_path
    define(
        root,
        '[tiny]\nabout = "a"\ncommand = "json.tool"\ndata = "photos"\n'
        "[tiny.options]\nsteps = 10\nlabels = 10\ndraws = 1\n[tiny.each]\nseed = [0, 1]\n",
    )
    with pytest.raises(BuildError, match=r"tiny/0: status 2: .*tiny/1: status 2: "):
        record.record(root, "tiny", str(root))
    log = root / "book/recorded/tiny/1/run.log"
    assert "error: argument infile: can't open '10'" in log.read_text()
    said = capfd.readouterr().out
    assert str(log) in said and "python -m json.tool: error" in said
    with pytest.raises(BuildError, match="'big' is unknown; accepted: tiny"):
        record.record(root, "big", str(root))
    with pytest.raises(BuildError, match="--photos is None"):
        record.record(root, "tiny", None)
    for seed in "01":
        (root / "book/recorded/tiny" / seed / "metrics.json").write_text("{}")
    record.record(root, "tiny", str(root))
    assert capfd.readouterr().out.count(": recorded") == 2
    (root / "book/recorded/tiny/1/metrics.json").write_text("{")
    with pytest.raises(BuildError, match=r"tiny/1/metrics\.json is no JSON"):
        record.record(root, "tiny", str(root))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["variants", "--photos", "."], "variants reads no folder of data, and was given --photos"),
        (["mnist", "--photos", "."], "mnist reads --mnist, and was given --photos"),
        (["none", "--photos", "."], "experiment 'none' is unknown; accepted: "),
    ],
)
def test_a_folder_that_an_experiment_does_not_read_is_refused(arguments, message, capsys):
    assert record.main(arguments) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_ends_the_runs_and_begins_no_other(jobs, tmp_path):
    """All processes get the signal, as from a terminal."""
    define(
        tmp_path,
        '[slow]\nabout = "a"\ncommand = "slow"\n[slow.options]\n[slow.each]\nseed = [0, 1, 2]\n',
    )
    (tmp_path / "slow.py").write_text(
        "import pathlib, sys, time\n"
        "seed = sys.argv[sys.argv.index('--seed') + 1]\n"
        "pathlib.Path('started' + seed).touch()\n"
        "for step in range(600):\n"
        "    pathlib.Path('step' + seed).write_text(str(step))\n"
        "    time.sleep(0.1)\n"
    )
    code = (
        "import pathlib, signal, sys; from book import record; "
        "signal.signal(signal.SIGINT, signal.default_int_handler); "
        "record.experiments = lambda root, then=record.experiments: "
        f"then(pathlib.Path({str(tmp_path)!r})); "
        f"record.ROOT = pathlib.Path({str(tmp_path)!r}); "
        f"sys.exit(record.main(['slow', '--jobs', '{jobs}']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=record.ROOT,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    )
    while len(list(tmp_path.glob("started*"))) < jobs and process.poll() is None:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 130
    assert "the same command goes on from here" in said and "Traceback" not in said
    reached = {path: path.read_text() for path in tmp_path.glob("step*")}
    time.sleep(0.5)
    assert reached == {path: path.read_text() for path in tmp_path.glob("step*")}
    assert len(reached) == jobs, "as many run side by side as --jobs says"


def test_runs_say_what_they_do_in_their_folders_and_read_no_exported_data(
    tmp_path, monkeypatch, capfd
):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("SSGAN_PHOTOS", "/exported")
    monkeypatch.syspath_prepend(tmp_path)  # which the workers inherit
    define(
        tmp_path,
        '[one]\nabout = "a"\ncommand = "say"\n[one.options]\n[one.each]\nseed = [0, 1, 2]\n',
    )
    (tmp_path / "say.py").write_text(
        "import os; print(os.environ['OMP_NUM_THREADS'], os.environ.get('SSGAN_PHOTOS'))"
    )
    record.record(tmp_path, "one", None, jobs=3)
    logs = [tmp_path / f"book/recorded/one/{seed}/run.log" for seed in range(3)]
    assert {log.read_text() for log in logs} == {f"{max(1, cores() // 3)} None\n"}
    said = capfd.readouterr()
    assert "None" not in said.out + said.err
    assert record.main(["variants", "--jobs", "0"]) == 1
    assert "--jobs is 0" in capfd.readouterr().err
