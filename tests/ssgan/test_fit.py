"""Training on photographs: exact resumption, honest evaluation, statistics of real images only."""

import contextlib
import itertools
import pickle
import resource
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from photo_tables import dark_and_bright
from torch.nn.functional import interpolate

from ssgan_core import loop, losses
from ssgan_core.checkpoint import load_checkpoint, save_checkpoint
from ssgan_core.device import Hardware
from ssgan_core.errors import InputError
from ssgan_core.loop import seed_step
from ssgan_core.photos.augment import quarter_turns
from ssgan_core.photos.photoset import PhotoSet
from ssgan_core.ssgan import fit as fit_module
from ssgan_core.ssgan.analysis import linear_probe
from ssgan_core.ssgan.evaluate import evaluation_model, generate, probabilities, variety
from ssgan_core.ssgan.fit import COLLAPSED, fit
from ssgan_core.ssgan.recipes import ALL, Recipe, find_recipe
from ssgan_core.ssgan.step import (
    augmented,
    make_learner,
    schedule,
    ssgan_step,
    weak_view,
)
from ssgan_core.ssgan.study import settings_table

JPEG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000")
SIZES = {"width": 8, "generator_width": 32, "evaluations": 3}


@pytest.fixture(scope="module")
def data() -> PhotoSet:
    return dark_and_bright()


def fit_and_kill(at: str, recipe: Recipe, data: PhotoSet, checkpoint: Path) -> None:
    """Train for six steps, and die when a line of progress says `at`."""

    class Killed(Exception):
        pass

    def kill(line: str) -> None:
        if at in line:
            raise Killed

    with pytest.raises(Killed):
        fit(recipe, data, 6, **SIZES, checkpoint=checkpoint, report=kill)


def weights(run) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in run.learner.classifier.parameters()])


@pytest.mark.parametrize("name", ALL)
def test_every_recipe_learns_an_easy_problem(data, name):
    recipe = find_recipe(name)
    run = fit(replace(recipe, unlabeled_batch=16), data, 12, **SIZES)
    judged = run.learner.ema.module if recipe.ema else run.learner.classifier
    assert run.model is judged
    assert list(run.history["step"]) == [4, 8, 12]
    assert run.history["labeled"].iloc[-1] < run.history["labeled"].iloc[0]
    assert set(run.test) == {"last", "last_raw", "best"}
    assert run.probabilities.shape == (50, 2)
    assert ("consistency" in run.history) == (recipe.consistency > 0)
    assert ("variety" in run.history) == ("generator" in run.history) == recipe.gan
    assert run.test["last"] == (run.probabilities.argmax(1) == data.labels("test")).mean()


def test_the_baseline_solves_an_easy_problem(data):
    assert fit(find_recipe("supervised-augmented"), data, 80, **SIZES).test["last"] > 0.9


@pytest.mark.parametrize("name", ["ssgan", "article", "ssgan-minus-gan", "supervised-augmented"])
def test_a_killed_training_goes_on_exactly(data, name, tmp_path, monkeypatch):
    recipe = find_recipe(name)
    whole = fit(recipe, data, 6, **SIZES)
    path = tmp_path / "a.pt"
    fit_and_kill("step 4/6", recipe, data, path)
    resumed = fit(recipe, data, 6, **SIZES, checkpoint=path)
    assert torch.equal(weights(whole), weights(resumed))
    assert np.array_equal(whole.probabilities, resumed.probabilities)
    drop = ["seconds"]
    pd.testing.assert_frame_equal(
        whole.history.drop(columns=drop), resumed.history.drop(columns=drop)
    )


@pytest.mark.parametrize("name", ["article", "ssgan-contrast"])
def test_the_same_goes_in_and_the_same_comes_out(data, name, monkeypatch):
    fp32 = Hardware(torch.device("cpu"), bf16=False)
    monkeypatch.setattr(Hardware, "detect", lambda: fp32)
    first, second = (fit(find_recipe(name), data, 3, **SIZES, seed=1) for _ in range(2))
    assert torch.equal(weights(first), weights(second))
    assert first.history.drop(columns="seconds").equals(second.history.drop(columns="seconds"))
    assert (first.test, first.best_step) == (second.test, second.best_step)
    assert all(torch.equal(first.samples[at], second.samples[at]) for at in first.samples)
    assert not torch.equal(
        weights(first), weights(fit(find_recipe(name), data, 3, **SIZES, seed=2))
    )
    torch.set_num_threads(2)  # which adds in another order
    try:
        other = fit(find_recipe(name), data, 1, **SIZES | {"evaluations": 1}, seed=1)
    finally:
        torch.set_num_threads(1)
    one = fit(find_recipe(name), data, 1, **SIZES | {"evaluations": 1}, seed=1)
    rate = one.learner.rate  # Adam moves a weight by its rate, whatever the size of its gradient
    apart = (weights(one) - weights(other)).abs()
    assert apart.max() <= 2.1 * rate
    assert (apart < rate / 100).float().mean() > 0.99


def test_the_best_round_and_the_clock_survive_a_kill(data, tmp_path, monkeypatch):
    """All rounds are equally good, so the first is the best, and its weights are kept."""
    monkeypatch.setattr(fit_module, "accuracy", lambda *_: 0.5)
    recipe, path = find_recipe("supervised-augmented"), tmp_path / "a.pt"
    whole = fit(recipe, data, 6, **SIZES)
    fit_and_kill("step 4/6", recipe, data, path)
    saved = load_checkpoint(path)
    saved["loop"]["seconds"] += 1000
    best, now = saved["best"]["weights"], saved["ema"]
    assert not torch.equal(best["conv1.weight"], now["module.conv1.weight"])
    save_checkpoint(path, saved)
    resumed = fit(recipe, data, 6, **SIZES, checkpoint=path)
    assert whole.best_step == resumed.best_step == 2 and whole.test == resumed.test
    assert resumed.history.seconds.iloc[-1] > 1000


def test_a_growing_generator_goes_on_exactly(tmp_path):
    """Killed while images are small, where its last rung has no optimizer state yet."""
    data, path = dark_and_bright(size=128), tmp_path / "a.pt"
    recipe = replace(find_recipe("ssgan"), small_first=0.5, unlabeled_batch=16)
    whole = fit(recipe, data, 6, **SIZES)
    fit_and_kill("step 2/6", recipe, data, path)
    resumed = fit(recipe, data, 6, **SIZES, checkpoint=path)
    assert torch.equal(weights(whole), weights(resumed))
    assert whole.samples.keys() == resumed.samples.keys() == {2, 4, 6}
    assert all(torch.equal(whole.samples[at], resumed.samples[at]) for at in whole.samples)


def test_time_alone_ends_a_training_and_its_learning_rate(data, monkeypatch):
    """By a clock of its own, a second a look: it counts minutes, not seconds or hours."""
    clock = itertools.count()
    own = SimpleNamespace(perf_counter=lambda: float(next(clock)))
    monkeypatch.setattr(loop, "time", own)
    run = fit(find_recipe("supervised-augmented"), data, max_minutes=0.5, **SIZES)
    assert len(run.history) == 3 and 30 <= run.history.seconds.iloc[-1] < 35
    assert run.learner.optimizer.param_groups[0]["lr"] == 0


def test_a_batch_that_processes_cannot_share_is_named(data, monkeypatch):
    monkeypatch.setattr(fit_module, "world", lambda: 3)
    with pytest.raises(InputError, match="3 processes cannot share a batch of 20 labeled"):
        fit(find_recipe("supervised"), data, 2, **SIZES)


def test_batch_norm_gets_two_images_of_every_split_in_every_process(data, monkeypatch):
    article = replace(find_recipe("article"), unlabeled_batch=1)
    with pytest.raises(InputError, match="a step has 1 unlabeled photos for 1 process; batch norm"):
        fit(article, data, 2, **SIZES)
    few = dark_and_bright(32, labeled=20, unlabeled=1, val=4, test=4)
    with pytest.raises(InputError, match="a step has 1 unlabeled photos"):
        fit(find_recipe("ssgan"), few, 2, **SIZES)
    assert len(fit(replace(article, unlabeled_batch=2), data, 2, **SIZES).history) == 2
    monkeypatch.setattr(fit_module, "world", lambda: 2)
    with pytest.raises(InputError, match="a step has 2 unlabeled photos for 2 processes; batch"):
        fit(replace(article, unlabeled_batch=2), data, 2, **SIZES)
    few = dark_and_bright(32, labeled=2, unlabeled=20, val=4, test=4)
    with pytest.raises(InputError, match="a step has 2 labeled photos for 2 processes"):
        fit(find_recipe("supervised"), few, 2, **SIZES)


def test_seeds_differ_in_weights_and_noise_at_every_step():
    drawn = []
    for seed in (0, 1, 7):
        for step in (-1, 0, 1):
            seed_step(seed, step)
            drawn.append(tuple(torch.randn(3).tolist()))
    assert len(set(drawn)) == len(drawn)
    seed_step(7, 0)
    assert tuple(torch.randn(3).tolist()) in drawn


def test_a_checkpoint_of_another_training_is_refused(data, tmp_path):
    path = tmp_path / "a.pt"
    fit(find_recipe("supervised-augmented"), data, 2, **SIZES, checkpoint=path)
    for name, change in (
        ("supervised-augmented", {"steps": 4}),
        ("supervised-augmented", {"seed": 1}),
        ("supervised", {}),
    ):
        with pytest.raises(InputError, match="checkpoint of another training"):
            fit(find_recipe(name), data, **({"steps": 2} | change), **SIZES, checkpoint=path)
    table = data.table.copy()
    table.loc[[0, 30], "split"] = ["unlabeled", "labeled"]
    relabeled = replace(data, table=table)
    with pytest.raises(InputError, match=r"another training \(photos"):
        fit(find_recipe("supervised-augmented"), relabeled, 2, **SIZES, checkpoint=path)


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path):
    path = tmp_path / "a.pt"
    path.write_bytes(b"no checkpoint")
    for content in (b"", b"no checkpoint", pickle.dumps(Path()), JPEG):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"a\.pt is no checkpoint of this package, or not a"):
            load_checkpoint(path)
    save_checkpoint(path, {"step": torch.zeros(1000)})
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"or not a whole one$"):
        load_checkpoint(path)
    torch.save(torch.zeros(1), path)
    with pytest.raises(InputError, match="is no checkpoint"):
        load_checkpoint(path)
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        load_checkpoint(tmp_path)


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[str]:
    """What the system says where a folder has 2 MB."""
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder]).returncode:
        pytest.skip("only root may mount a small disk")
    try:
        yield "no space left on the disk"
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextlib.contextmanager
def small_files(folder: Path) -> Iterator[str]:
    """What the system says where no file may have more than 2 MB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**21, before[1]))
    try:
        yield "File too large"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("limit", [small_disk, small_files])
def test_a_full_disk_keeps_the_previous_checkpoint(limit, tmp_path):
    with limit(tmp_path) as words:
        path = tmp_path / "a.pt"
        save_checkpoint(path, {"step": 1})
        with pytest.raises(OSError, match=f"{words}; the file from before is kept") as error:
            save_checkpoint(path, {"step": torch.zeros(10**6)})
        assert error.value.filename == str(path)
        assert load_checkpoint(path) == {"step": 1}
        assert [p.name for p in tmp_path.iterdir()] == ["a.pt"]


def test_a_full_disk_cuts_no_image_of_samples_short(data, tmp_path):
    """An image that the disk has no room for is an error, not a file that cannot be read."""
    with small_disk(tmp_path):
        (tmp_path / "rest").write_bytes(bytes(2**21))
        with pytest.raises(OSError, match=r"no space left on the disk: .*generated-0000002\.png"):
            fit(find_recipe("article"), data, 6, **SIZES, pictures=tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["rest"]


def test_every_image_of_a_split_is_judged_once(data):
    learner = make_learner(find_recipe("supervised-augmented"), 32, 8, 32, 2, Hardware.detect())
    out = probabilities(learner, learner.classifier, data, "test")
    assert len(out) == 50
    np.testing.assert_allclose(out.sum(1), 1, rtol=1e-5)


def test_fresh_statistics_are_those_of_unlabeled_images(data):
    learner = make_learner(
        find_recipe("supervised-augmented"), 32, 8, 32, 2, Hardware(torch.device("cpu"), False)
    )
    model = evaluation_model(learner, data)
    rows = torch.as_tensor(data.rows("unlabeled"))
    with torch.no_grad():
        maps = model.conv1(learner.images(data.images[rows]))
    torch.testing.assert_close(model.bn1.running_mean, maps.mean((0, 2, 3)), atol=1e-4, rtol=1e-3)


def test_the_same_noise_gives_the_same_pictures_and_training_changes_them(data):
    run = fit(find_recipe("ssgan"), data, 6, **SIZES)
    first, last = run.samples[2], run.samples[6]
    assert first.shape == (40, 3, 32, 32) and first.dtype == torch.uint8
    assert not torch.equal(first, last)
    noise = torch.zeros(2, 100)
    assert torch.equal(generate(run.learner, noise), generate(run.learner, noise))


def test_a_round_has_the_means_of_the_steps_that_had_a_term(data):
    """Generated images are looked at in steps 0 and 4: rounds of two steps may have none."""
    run = fit(find_recipe("ssgan"), data, 6, **SIZES)
    assert run.history["fake"].isna().tolist() == [False, True, False]
    assert run.history["labeled"].notna().all()
    every = fit(replace(find_recipe("ssgan"), gan_every=1), data, 6, **SIZES).history["fake"]
    assert 0.3 < run.history["fake"][0] / every[0] < 3, "not a mean over steps without it"


def test_a_training_may_begin_with_smaller_images_and_judges_whole_ones():
    recipe, sides = replace(find_recipe("ssgan"), small_first=0.5), []
    learner = make_learner(recipe, 128, 8, 32, 2, Hardware.detect())
    images = torch.zeros(2, 3, 128, 128, dtype=torch.uint8)
    for progress in (0.0, 0.5, 0.51, 1.0):
        stage = schedule(learner, progress, step=0)
        fake = learner.generated(torch.randn(2, 100), stage.reduction)
        assert learner.images(images, stage.reduction).shape == fake.shape
        sides.append(fake.shape[-1])
    assert sides == [64, 64, 128, 128]

    at_64 = make_learner(recipe, 64, 8, 32, 2, Hardware.detect())
    assert schedule(at_64, 0.0, step=0).reduction == 1, "small images stay as they are"


def test_a_growing_generator_hides_nothing_in_small_images():
    """Its whole images start as its small ones enlarged; no step so far has moved the rest."""
    torch.manual_seed(0)
    learner = make_learner(find_recipe("ssgan"), 128, 8, 32, 2, Hardware.detect())
    images = torch.randint(0, 256, (8, 3, 128, 128), dtype=torch.uint8)
    stage = schedule(learner, 0.0, step=0)
    generator = learner.generator
    before = generator.small.weight.detach().clone()
    ssgan_step(learner, stage, images, torch.arange(8) % 2, images)
    assert not generator.head.weight.any() and (generator.small.weight != before).any()
    generator.eval()
    noise = torch.randn(2, generator.noise)
    small, whole = generator(noise, half=True).atanh(), generator(noise).atanh()
    enlarged = interpolate(small, scale_factor=2, mode="bilinear")
    torch.testing.assert_close(whole, enlarged, rtol=1e-2, atol=1e-3)

    stage = schedule(learner, 1.0, step=0)
    learner.generator_optimizer.param_groups[0]["lr"] = 1e-3
    ssgan_step(learner, stage, images, torch.arange(8) % 2, images)
    assert generator.head.weight.any(), "whole images teach the last rung"

    at_64 = make_learner(find_recipe("ssgan"), 64, 8, 32, 2, Hardware.detect())
    assert not at_64.generator.grows, "images that are never reduced need nothing of the kind"


def test_rounds_with_smaller_images_are_never_the_best(monkeypatch):
    monkeypatch.setattr(fit_module, "accuracy", lambda *_: 0.5)
    data = dark_and_bright(size=128)
    recipe = replace(find_recipe("supervised-augmented"), small_first=0.9)
    run = fit(recipe, data, 6, **SIZES)
    assert run.best_step == 6


def test_averaged_weights_span_a_tenth_of_a_short_training():
    learner = make_learner(find_recipe("ssgan"), 32, 8, 32, 2, Hardware.detect())
    kept = []
    for step in (8, 89, 10**5):
        schedule(learner, 0.5, step)
        averaged, current = [torch.ones(1)], [torch.zeros(1)]
        learner.ema.multi_avg_fn(averaged, current, 1)
        kept.append(averaged[0].item())
    assert kept == pytest.approx([9 / 18, 90 / 99, learner.recipe.ema])


def test_a_loss_that_is_not_a_number_stops_the_training(data, tmp_path, monkeypatch):
    """In the second round: the checkpoint of the first stays, though one is due at every step."""
    step, path, calls = fit_module.supervised_step, tmp_path / "a.pt", []

    def broken(*arguments):
        calls.append(1)
        return step(*arguments) if len(calls) < 4 else {"labeled": torch.tensor(float("nan"))}

    monkeypatch.setattr(fit_module, "supervised_step", broken)
    monkeypatch.setattr(loop, "SAVE_SECONDS", 0.0)
    with pytest.raises(FloatingPointError, match=r"supervised-augmented: not finite before step 4"):
        fit(find_recipe("supervised-augmented"), data, 6, **SIZES, checkpoint=path)
    assert load_checkpoint(path)["loop"]["step"] == 3


def test_a_collapsed_generator_is_reported(data, monkeypatch):
    one = torch.zeros(40, 3, 32, 32, dtype=torch.uint8)
    lines = []
    monkeypatch.setattr(fit_module, "generate", lambda learner, noise: one)
    run = fit(find_recipe("feature-matching"), data, 2, **SIZES, report=lines.append)
    assert run.history["variety"].tolist() == [0, 0]
    assert "the generator has collapsed" in lines[-1]
    assert "collapsed" not in "".join(lines[:-1]), "said before the end"
    assert variety(data.images[:20], data.images[20:]) > COLLAPSED


def test_a_generator_that_recovers_is_not_reported(data, monkeypatch):
    found, lines = iter([0.01, 0.5]), []
    monkeypatch.setattr(fit_module, "variety", lambda generated, real: next(found))
    fit(find_recipe("feature-matching"), data, 2, **SIZES | {"evaluations": 2}, report=lines.append)
    assert "variety 0.010" in lines[0] and "collapsed" not in "".join(lines)


def test_the_images_of_a_training_lie_on_its_device(data):
    moved = data.on(torch.device("meta"))
    assert moved.images.device.type == "meta" and moved.table is data.table
    assert data.images.device.type == "cpu"


def test_the_averaged_weights_are_the_teacher_and_only_look(data):
    """Weak views are labeled by them; neither they nor any batch-norm statistics change by it."""
    torch.manual_seed(0)
    learner = make_learner(find_recipe("ssgan"), 32, 8, 32, 2, Hardware(torch.device("cpu"), False))
    torch.nn.init.zeros_(learner.ema.module.fc.weight)
    learner.ema.module.fc.bias.data = torch.tensor([1.0, 2.0])
    before = {name: v.clone() for name, v in learner.ema.state_dict().items()}
    logits, _ = weak_view(learner.teacher, learner.images(data.images[:6]))
    assert torch.equal(logits, torch.tensor([[1.0, 2.0]]).expand(6, -1))
    changed = [n for n, v in learner.ema.state_dict().items() if not torch.equal(before[n], v)]
    assert not [name for name in changed if not name.endswith("num_batches_tracked")]


def test_telling_turns_teaches_the_features(data):
    """The second task is learned: its loss falls below chance, log 4, on images with a top."""
    torch.manual_seed(0)
    recipe = replace(find_recipe("ssgan-minus-gan"), augment=None, learning_rate=3e-3)
    learner = make_learner(recipe, 32, 8, 32, 2, Hardware(torch.device("cpu"), False))
    images = torch.linspace(-1, 1, 32)[:, None].expand(16, 3, 32, 32) + 0.1 * torch.randn(
        16, 1, 1, 1
    )

    def rotation() -> torch.Tensor:
        turned, turns = quarter_turns(augmented(images, recipe))
        _, features = learner.classifier(turned)
        return losses.rotation_prediction(learner.classifier.turns(features), turns)

    first = rotation()
    for _ in range(12):
        learner.optimizer.zero_grad()
        rotation().backward()
        learner.optimizer.step()
    assert rotation() < 0.5 < first
    assert learner.classifier.fc.weight.grad is None


def test_weak_views_label_strong_ones_where_they_are_sure():
    weak = torch.tensor([[0.0, 4.0], [1.0, 1.5]], requires_grad=True)
    strong = torch.zeros(2, 2, requires_grad=True)
    loss = losses.consistency(weak, strong, confidence=0.9)
    assert loss.item() == pytest.approx(np.log(2) / 2)
    loss.backward()
    assert weak.grad is None
    assert strong.grad.tolist() == [[0.25, -0.25], [0.0, 0.0]]


def test_an_empty_split_is_named(data):
    table = data.table.assign(split=data.table.split.replace("unlabeled", "val"))
    empty = replace(data, table=table)
    with pytest.raises(InputError, match="'unlabeled' has no photo; ssgan needs at least one"):
        fit(find_recipe("ssgan"), empty, 2, **SIZES)


def test_without_photos_to_measure_by_the_last_model_is_the_best(data):
    parts = data.table.split.replace({"val": "unlabeled", "test": "unlabeled"})
    blind = replace(data, table=data.table.assign(split=parts))
    done = fit(find_recipe("supervised-augmented"), blind, 2, **SIZES | {"evaluations": 2})
    assert np.isnan([*done.test.values(), *done.history["validation"]]).all()
    assert done.best_step == 2 and len(done.correct) == 0
    assert np.isnan(linear_probe(done.learner, done.model, blind))


def test_an_unknown_recipe_is_refused_by_name():
    with pytest.raises(InputError, match="'magic' is unknown; accepted: article, supervised,"):
        find_recipe("magic")


def test_the_table_of_recipes_shows_only_what_differs():
    table = settings_table(["ssgan", "ssgan-minus-rotation"])
    assert table.index.tolist() == ["rotation"]
    assert table.loc["rotation"].tolist() == [find_recipe("ssgan").rotation, 0.0]
    assert "learning_rate" in settings_table(["ssgan"]).index
    baselines = settings_table(["supervised", "supervised-augmented"])  # None is a setting too
    assert baselines.loc["labeled_batch"].tolist() == [None, 32]
    assert {"augment", "ema", "stem"} <= set(baselines.index)
