"""What the machine is asked for, and steps replayed from CUDA graphs, which only a GPU can show."""

import os
import platform
import subprocess
import sys
from dataclasses import replace
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ssgan_core import device
from ssgan_core.dcgan import training as dcgan_training
from ssgan_core.device import EAGER, Captured, Hardware, captured, descend, share
from ssgan_core.digits import training as digits_training
from ssgan_core.digits.images import draw_labeled, load_digits
from ssgan_core.digits.step import Recipe as DigitsRecipe
from ssgan_core.ssgan.recipes import Recipe, find_recipe
from ssgan_core.ssgan.step import (
    Learner,
    Stage,
    make_learner,
    schedule,
    ssgan_step,
    supervised_step,
)

STEPS = 24
CPU = Hardware(torch.device("cpu"), False)
on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


def small(recipe: Recipe, hardware: Hardware) -> Learner:
    torch.manual_seed(0)
    recipe = replace(recipe, learning_rate=1e-4, confidence=0.0)
    return make_learner(recipe, 128, 8, 32, 2, hardware)


def train(recipe: Recipe, replayed: bool) -> tuple[list[dict[str, float]], torch.Tensor]:
    """The terms of each step, on batches that change, and the weights in the end."""
    learner, history = small(recipe, Hardware.detect()), []
    plain = ssgan_step if recipe.unlabeled else supervised_step
    step = partial(plain, learner)
    step = Captured(step) if replayed else step
    images = torch.randint(0, 256, (STEPS, 8, 3, 128, 128), dtype=torch.uint8)
    for number in range(STEPS):
        torch.manual_seed(number)
        stage = schedule(learner, number / STEPS, number)
        batch = [images[number], torch.arange(8) % 2]
        terms = step(stage, *batch, *([images[-number]] if recipe.unlabeled else []))
        history.append({name: term.item() for name, term in terms.items()})
        if learner.ema:
            learner.ema.update_parameters(learner.classifier)
    return history, torch.cat([p.detach().flatten() for p in learner.classifier.parameters()])


@on_gpu
@pytest.mark.parametrize("name", ["ssgan", "article", "supervised", "supervised-augmented"])
def test_a_replayed_training_follows_the_plain_one(name):
    """Through both sides of its images, a falling rate and, for ours, steps without the GAN."""
    recipe = find_recipe(name)
    (plain, weights), (again, _), (replayed, others) = (
        train(recipe, replayed) for replayed in (False, False, True)
    )
    for number, (one, two, three) in enumerate(zip(plain, again, replayed, strict=True)):
        assert one.keys() == three.keys()
        for term, value in one.items():
            chance = abs(two[term] - value)  # of sums in another order
            allowed = 10 * chance + 0.02 * abs(value) + 2e-3
            assert abs(three[term] - value) <= allowed, (number, term)
    assert (weights - others).norm() < 0.05 * weights.norm()


@on_gpu
def test_a_stage_is_recorded_once_and_then_replayed():
    learner = small(find_recipe("supervised-augmented"), Hardware.detect())
    step = captured(partial(supervised_step, learner), learner.hardware.device)
    assert isinstance(step, Captured)
    images = torch.zeros(4, 3, 128, 128, dtype=torch.uint8)
    calls = []
    step.step = lambda *given: (calls.append(1), supervised_step(learner, *given))[1]
    for _ in range(EAGER + 5):
        step(Stage(), images, torch.arange(4) % 2)
    assert len(calls) == EAGER + 1 and len(step.graphs) == 1


def test_without_a_gpu_a_step_stays_as_it_is():
    step = object()
    assert captured(step, torch.device("cpu")) is step


@given(processes=st.integers(1, 6), each=st.integers(1, 9))
def test_processes_share_a_batch_completely_disjointly_and_evenly(processes, each):
    batch, shares = torch.arange(processes * each), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(device, "world", lambda: processes)
        for rank in range(processes):
            patch.setattr(device, "rank", lambda rank=rank: rank)
            shares.append(share(batch))
    assert {len(part) for part in shares} == {each}
    assert torch.equal(torch.cat(shares).sort().values, batch)


def test_a_loss_moves_what_its_optimizer_holds_and_nothing_else():
    first, second = torch.nn.Linear(2, 2), torch.nn.Linear(2, 1)
    before = first.weight.clone(), second.weight.clone()
    optimizer = torch.optim.SGD(first.parameters(), 0.1)
    descend(optimizer, second(first(torch.ones(3, 2))).square())
    assert not torch.equal(first.weight, before[0]) and torch.equal(second.weight, before[1])
    assert second.weight.grad is None


FAULTS = """
import resource, torch
from ssgan_core.device import keep_freed_memory
torch.set_num_threads(1)
if {keep}:
    keep_freed_memory()
for _ in range(8):
    torch.ones(2**24)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(32):
    torch.ones(2**24)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")
def test_freed_memory_is_used_again_without_asking_the_system() -> None:
    kept, returned = (
        int(subprocess.check_output([sys.executable, "-c", FAULTS.format(keep=keep)], text=True))
        for keep in (True, False)
    )
    array = 2**24 * 4 // os.sysconf("SC_PAGESIZE")  # pages that it takes
    # A small object in the way may move an array to a new place, once.
    assert kept < array + 100 and 8 * kept < returned


def as_a_graph_does(step, device):
    """A stand-in for a graph: the step always reads its batch where the first one lay."""
    held = []

    def replay(stage, *batch):
        if not held:
            held.extend(batch)
        for i, part in enumerate(batch):
            held[i] = held[i].copy_(part) if isinstance(part, torch.Tensor) else part
        replay.calls += 1
        return step(stage, *held)

    replay.calls = 0
    as_a_graph_does.last = replay
    return replay


def on_digits(patch, replace_captured, steps=12):
    if replace_captured:
        patch.setattr(digits_training, "captured", replace_captured)
    data = load_digits()
    rows = torch.stack([draw_labeled(data.labels, 10, seed) for seed in range(2)])
    recipe = DigitsRecipe("complement", steps=steps, batch=20)
    return digits_training.train(data, rows, recipe, report=lambda line: None).logits


def on_pictures(patch, replace_captured, steps=12):
    if replace_captured:
        patch.setattr(dcgan_training, "captured", replace_captured)
    pictures = torch.zeros(40, 3, 32, 32, dtype=torch.uint8)
    pictures[:, 0, 8:24, 8:24] = 220
    recipe = dcgan_training.Recipe(batch=8, r1=1.0)
    done = dcgan_training.train(recipe, pictures, steps, width=32, evaluations=2)
    return torch.as_tensor(done.steps.to_numpy())


@pytest.mark.parametrize("train", [on_digits, on_pictures])
def test_digits_and_dcgan_take_every_step_as_a_graph_would(train, monkeypatch):
    monkeypatch.setattr(Hardware, "detect", lambda: CPU)
    plain = train(monkeypatch, None)
    assert torch.equal(train(monkeypatch, as_a_graph_does), plain)
    assert as_a_graph_does.last.calls == 12


@on_gpu
@pytest.mark.parametrize(("train", "steps"), [(on_digits, 400), (on_pictures, 60)])
def test_digits_and_dcgan_learn_replayed_what_they_learn_one_by_one(train, steps, monkeypatch):
    replayed = train(monkeypatch, None, steps).float()
    plain = train(monkeypatch, lambda step, device: step, steps).float()
    assert replayed.isfinite().all()
    assert (replayed - plain).abs().mean() < 0.5 * plain.std()
