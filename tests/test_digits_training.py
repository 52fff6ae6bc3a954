"""Training on digits: one step's gradients, resuming, baselines, the density term."""

from dataclasses import replace

import pytest
import torch

from ssgan_core import losses
from ssgan_core.data.digits import draw_labeled, load_digits
from ssgan_core.models.digits import digits_pair
from ssgan_core.training import digits as loop
from ssgan_core.training.density import Density
from ssgan_core.training.digits import predict, train
from ssgan_core.training.digits_steps import (
    EXPLICIT,
    IMPLICIT,
    Recipe,
    baseline_step,
    draw_batch,
    train_step,
)
from ssgan_core.training.hardware import Hardware

PLAIN = Hardware(torch.device("cpu"), bf16=False)


@pytest.fixture(scope="module")
def digits():
    return load_digits()


@pytest.fixture(scope="module")
def rows(digits):
    return torch.stack([draw_labeled(digits.labels, 10, seed) for seed in range(2)])


@pytest.fixture
def batch(digits, rows):
    torch.manual_seed(1)
    return draw_batch(digits.images, digits.labels, rows, 32)


def sgd(*networks):
    return tuple(torch.optim.SGD(network.parameters(), 0.1) for network in networks)


def test_batch(digits, rows, batch):
    assert batch.labeled.shape == (2, 10, 64) and batch.unlabeled.shape == (2, 32, 64)
    assert torch.equal(batch.labels, digits.labels[rows])
    many = torch.stack([draw_labeled(digits.labels, 100, seed) for seed in range(2)])
    part = draw_batch(digits.images, digits.labels, many, 32)
    assert part.labels.shape == (2, 32)


@pytest.mark.parametrize("form", [IMPLICIT, EXPLICIT])
def test_one_pass_gives_the_gradients_of_separate_passes(batch, form):
    """The fast step against the textbook's: a pass per term, each loss by itself."""
    torch.manual_seed(2)
    generator, discriminator = digits_pair(8, 2, form.outputs)
    discriminator.eval()  # no noise: it would differ from pass to pass
    recipe = Recipe(form=form, labeled_weight=2.0)

    torch.manual_seed(3)
    fake = generator.sample(32)
    of_labeled, _ = discriminator(batch.labeled)
    of_real, real_features = discriminator(batch.unlabeled)
    of_fake, fake_features = discriminator(fake)
    loss_d = 2 * form.labeled(of_labeled, batch.labels) + 0.5 * form.real(of_real)
    loss_d = (loss_d + 0.5 * form.fake(of_fake)).sum()
    loss_g = losses.feature_matching(real_features, fake_features).sum()
    expected_d = torch.autograd.grad(loss_d, list(discriminator.parameters()), retain_graph=True)
    expected_g = torch.autograd.grad(loss_g, list(generator.parameters()))

    torch.manual_seed(3)
    train_step(generator, discriminator, sgd(generator, discriminator), batch, recipe, 0.0)
    for network, expected in ((discriminator, expected_d), (generator, expected_g)):
        for parameter, gradient in zip(network.parameters(), expected, strict=True):
            assert torch.allclose(parameter.grad, gradient, atol=1e-5)


def test_complement_terms_reach_the_right_network(digits, batch):
    torch.manual_seed(2)
    generator, discriminator = digits_pair(8, 2)
    discriminator.eval()
    density = replace(Density.fit(digits.images), threshold=-1e6)  # every image is above it
    recipe = Recipe(method="complement")

    def gradients(**changes):
        torch.manual_seed(3)
        late = changes.pop("late", 1.0)
        networks = (generator, discriminator)
        start = [[p.detach().clone() for p in n.parameters()] for n in networks]
        train_step(*networks, sgd(*networks), batch, replace(recipe, **changes), late, density)
        with torch.no_grad():
            for network, old in zip(networks, start, strict=True):
                for parameter, value in zip(network.parameters(), old, strict=True):
                    parameter.copy_(value)
        return [torch.cat([p.grad.flatten().clone() for p in n.parameters()]) for n in networks]

    of_g, of_d = gradients()
    for name, changes_g in [("pull_away", True), ("low_density", True), ("entropy", False)]:
        other_g, other_d = gradients(**{name: 0.0})
        assert (not torch.allclose(of_g, other_g, atol=1e-9)) is changes_g, name
        assert (not torch.allclose(of_d, other_d, atol=1e-9)) is not changes_g, name
    early_g, early_d = gradients(late=0.0)
    none_g, none_d = gradients(entropy=0.0, low_density=0.0)
    assert torch.equal(early_g, none_g) and torch.equal(early_d, none_d)


def test_supervised_step_ignores_unlabeled_images(batch):
    results = []
    for unlabeled in (batch.unlabeled, torch.zeros_like(batch.unlabeled)):
        torch.manual_seed(2)
        _, discriminator = digits_pair(8, 2)
        baseline_step(
            discriminator.eval(), sgd(discriminator)[0], batch._replace(unlabeled=unlabeled),
            Recipe(method="supervised"), 1.0,
        )  # fmt: skip
        results.append(discriminator.last.bias.detach().clone())
    assert torch.equal(*results)


def test_schedules():
    recipe = Recipe(steps=100)
    assert [recipe.rate(step) for step in (0, 50, 75)] == pytest.approx([1, 1, 0.5])
    assert [recipe.late(step) for step in (0, 20, 40, 60, 99)] == pytest.approx([0, 0, 0.5, 1, 1])


def test_training_learns_and_leaves_the_random_state_alone(digits, rows):
    state = torch.get_rng_state()
    lines = []
    recipe = Recipe(steps=150)
    result = train(digits, rows, recipe, looks=3, progress=lines.append, hardware=PLAIN)
    assert torch.equal(state, torch.get_rng_state())
    assert sum(result.accuracy) / 2 > 0.45 and sum(result.last_accuracy) / 2 > 0.45
    assert result.logits.shape == (2, 500, 10) and len(lines) == len(result.history) == 3
    assert sorted(result.walls) == [0, 50, 100, 150]
    assert result.walls[0].shape == (100, 64)


def test_test_labels_do_not_steer_training(digits, rows):
    recipe = Recipe(steps=20)
    wrong = replace(digits, test_labels=digits.test_labels.flip(0))
    hidden = torch.full_like(digits.labels, 9)
    hidden[rows.flatten()] = digits.labels[rows.flatten()]
    results = [
        train(data, rows, recipe, progress=lambda _: None, hardware=PLAIN).logits
        for data in (digits, wrong, replace(digits, labels=hidden))
    ]
    assert torch.equal(results[0], results[1]) and torch.equal(results[0], results[2])


class Killed(Exception):
    pass


@pytest.mark.parametrize("method", ["complement", "pseudo_label"])
def test_a_killed_run_goes_on_and_ends_with_the_same_numbers(
    digits, rows, method, tmp_path, monkeypatch
):
    recipe = Recipe(method=method, steps=30)
    arguments = {"looks": 3, "hardware": PLAIN}
    whole = train(digits, rows, recipe, progress=lambda _: None, **arguments)

    monkeypatch.setattr(loop, "CHECKPOINT_EVERY", 0.0)
    lines = []

    def kill(line):
        lines.append(line)
        if len(lines) == 2:
            raise Killed

    path = tmp_path / "run.pt"
    with pytest.raises(Killed):
        train(digits, rows, recipe, checkpoint=path, progress=kill, **arguments)
    lines.clear()
    rest = train(digits, rows, recipe, checkpoint=path, progress=lines.append, **arguments)
    assert len(lines) == 2  # the looks at steps 20 and 30
    assert torch.equal(rest.logits, whole.logits)
    assert rest.last_accuracy == whole.last_accuracy
    assert [row["step"] for row in rest.history] == [10, 20, 30]

    again = train(digits, rows, recipe, checkpoint=path, progress=lines.append, **arguments)
    assert len(lines) == 2 and torch.equal(again.logits, whole.logits)


def test_prediction_is_without_noise(digits):
    _, discriminator = digits_pair(8, 2)
    first = predict(discriminator, digits.test_images, 2, PLAIN)
    assert torch.equal(first, predict(discriminator, digits.test_images, 2, PLAIN))
    assert discriminator.training


def test_density_prefers_digits_to_noise_and_pushes_downhill(digits):
    density = Density.fit(digits.images)
    real = digits.images[:200].clone().requires_grad_()
    noise = torch.rand(200, 64)
    assert density.penalty(real) > density.penalty(noise)
    (gradient,) = torch.autograd.grad(density.penalty(real), real)
    assert density.penalty(real - 50 * gradient) < density.penalty(real)
