"""Steps replayed from CUDA graphs do what the plain ones do, which only a GPU can show."""

from dataclasses import replace

import pytest
import torch

from ssgan_core.graphs import EAGER, Replayed, fast
from ssgan_core.hardware import Hardware
from ssgan_core.ssgan.recipes import Recipe, find_recipe
from ssgan_core.ssgan.step import (
    Learner,
    make_learner,
    set_schedule,
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
    step = Replayed(learner, plain) if replayed else lambda *batch: plain(learner, *batch)
    images = torch.randint(0, 256, (STEPS, 8, 3, 128, 128), dtype=torch.uint8)
    for number in range(STEPS):
        torch.manual_seed(number)
        set_schedule(learner, number / STEPS, number)
        batch = [images[number], torch.arange(8) % 2]
        terms = step(*batch, *([images[-number]] if recipe.unlabeled else []))
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
    step = fast(learner, supervised_step)
    assert isinstance(step, Replayed)
    images = torch.zeros(4, 3, 128, 128, dtype=torch.uint8)
    calls = []
    step.step = lambda *given: (calls.append(1), supervised_step(*given))[1]
    for _ in range(EAGER + 5):
        step(images, torch.arange(4) % 2)
    assert len(calls) == EAGER + 1 and len(step.graphs) == 1


def test_without_a_gpu_a_step_stays_as_it_is():
    learner, given = small(find_recipe("supervised-augmented"), CPU), []
    step = fast(learner, lambda *all_of_it: given.extend(all_of_it) or {})
    assert step("images", "labels") == {} and given == [learner, "images", "labels"]
