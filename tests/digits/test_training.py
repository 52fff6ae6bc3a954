"""Training on digits: one step's gradients, resuming, baselines, the density term."""

from dataclasses import replace

import pandas as pd
import pytest
import torch

from ssgan_core import losses
from ssgan_core.bench import timing
from ssgan_core.bench.digits import (
    PlainDiscriminator,
    PlainGenerator,
    plain_step,
    profile,
    roofline_of_ours,
    speeds,
)
from ssgan_core.device import Hardware, descend
from ssgan_core.digits.images import draw_labeled, load_digits
from ssgan_core.digits.networks import StackedLinear, digits_pair
from ssgan_core.digits.step import (
    METHODS,
    Batch,
    Density,
    Recipe,
    Weights,
    draw_batch,
    train_step,
)
from ssgan_core.digits.training import DigitsSettings, predict, spread_labels, train
from ssgan_core.errors import InputError

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


@pytest.mark.parametrize("side", [8, 28])
def test_one_pass_makes_the_update_of_the_plain_loop(side):
    """The fast step against the benchmark's plain one: same weights in, same gradients out."""
    torch.manual_seed(2)
    fast = digits_pair(side)
    plain = PlainGenerator(side), PlainDiscriminator(side)
    for ours, theirs in zip(fast, plain, strict=True):
        theirs.load_state_dict(
            {
                name: (value.T if value.dim() == 2 else value).reshape(other.shape)
                for (name, other), value in zip(
                    theirs.state_dict().items(), ours.state_dict().values(), strict=True
                )
            }
        )
        ours.eval(), theirs.eval()  # no noise: it would differ from pass to pass
    for network in (fast[0], plain[0]):
        network.train()
    batch = Batch(torch.rand(1, 10, side**2), torch.arange(10)[None], torch.rand(1, 32, side**2))

    torch.manual_seed(3)
    train_step(*fast, sgd(*fast), batch, Recipe(), 0.0, PLAIN)
    torch.manual_seed(3)
    z = torch.randn(32, fast[0].latent)
    plain_step(*plain, sgd(*plain), batch.labeled[0], batch.labels[0], batch.unlabeled[0], z)
    for ours, theirs in zip(fast, plain, strict=True):
        for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert torch.allclose((p.T if p.dim() == 2 else p).reshape(q.shape), q, atol=1e-5)


def test_explicit_form_with_its_last_logit_at_zero_is_the_implicit_form():
    logits = torch.randn(2, 16, 10)
    eleven = torch.cat([logits, torch.zeros(2, 16, 1)], -1)
    assert torch.allclose(losses.EXPLICIT.real(eleven), losses.IMPLICIT.real(logits))
    assert torch.allclose(losses.EXPLICIT.fake(eleven), losses.IMPLICIT.fake(logits))
    labels = torch.randint(10, (2, 16))
    both = losses.labeled_loss(logits, labels) + losses.IMPLICIT.real(logits)
    assert torch.allclose(losses.labeled_loss(eleven, labels), both)


def test_complement_terms_reach_the_right_network(digits, batch):
    torch.manual_seed(2)
    generator, discriminator = digits_pair(8, 2)
    discriminator.eval()
    density = replace(Density.fit(digits.images), threshold=-1e6)  # every image is above it

    def gradients(**changes):
        torch.manual_seed(3)
        late = changes.pop("late", 1.0)
        networks = (generator, discriminator)
        still = tuple(torch.optim.SGD(network.parameters(), 0.0) for network in networks)
        weights = METHODS["complement"]._replace(**changes)
        recipe = Recipe("complement", own_weights=weights)
        train_step(*networks, still, batch, recipe, late, PLAIN, density)
        return [
            torch.cat([p.grad.flatten().clone() for p in n.parameters() if p.requires_grad])
            for n in networks
        ]

    of_g, of_d = gradients()
    for name, changes_g in [("pull_away", True), ("low_density", True), ("entropy", False)]:
        other_g, other_d = gradients(**{name: 0.0})
        assert (not torch.allclose(of_g, other_g, atol=1e-9)) is changes_g, name
        assert (not torch.allclose(of_d, other_d, atol=1e-9)) is not changes_g, name
    early_g, early_d = gradients(late=0.0)
    none_g, none_d = gradients(entropy=0.0, low_density=0.0)
    assert torch.equal(early_g, none_g) and torch.equal(early_d, none_d)


def stepped(digits, method, batch, late=1.0):
    """Generator, discriminator and terms after a step of a method from the same start."""
    recipe = Recipe(method)
    torch.manual_seed(2)
    generator, discriminator = digits_pair(8, 2, norm_logits=recipe.norm_logits)
    teacher = digits_pair(8, 2, norm_logits=recipe.norm_logits)[1]
    density = replace(Density.fit(digits.images), threshold=-1e6)
    torch.manual_seed(3)
    networks = (generator, discriminator.eval())  # noise would differ with the size of the batch
    how = (recipe, late, PLAIN, density, teacher)
    return *networks, train_step(*networks, sgd(*networks), batch, *how)


def same(network, other, runs=slice(None)):
    """Whether two stacks of two runs have the same weights, or those of one of the runs."""
    pairs = zip(network.parameters(), other.parameters(), strict=True)
    parts = [
        [p.unflatten(-1, (2, -1)).movedim(-2, 0) if p.shape[0] != 2 else p for p in pair]
        for pair in pairs
    ]
    return all(torch.allclose(p[runs], q[runs], atol=1e-6) for p, q in parts)


TERMS = {
    "supervised": set(),
    "supervised_without_norm": set(),
    "pseudo_label": {"pseudo"},
    "mean_teacher": {"consistency"},
    "vat": {"vat"},
    "entropy": {"entropy"},
    "feature_matching": {"real", "fake", "matching"},
    "feature_matching_frozen": {"real", "fake"},
    "complement": {"real", "fake", "matching", "entropy", "pull_away", "low_density"},
    "matching_vat": {"real", "fake", "matching", "vat"},
}


@pytest.mark.parametrize("method", METHODS)
def test_a_method_moves_what_it_should(digits, batch, method):
    generator, discriminator, terms = stepped(digits, method, batch)
    assert terms.keys() == TERMS[method] | {"labeled"}
    assert all(term.shape == (2,) and not term.requires_grad for term in terms.values())
    torch.manual_seed(2)
    fresh = digits_pair(8, 2)
    assert same(generator, fresh[0]) is ("matching" not in terms)
    assert not same(discriminator, fresh[1])
    other = stepped(digits, method, batch._replace(unlabeled=batch.unlabeled.flip(-1)))[1]
    assert same(discriminator, other) is method.startswith("supervised")
    # at first what trusts the classifier's guesses weighs nothing
    early, alone = (stepped(digits, name, batch, 0.0)[1] for name in (method, "supervised"))
    assert same(early, alone) is not ("fake" in terms or method == "vat")


def test_a_frozen_generator_shows_the_same_images_to_the_end(digits, rows):
    found = {
        method: train(digits, rows, Recipe(method, steps=20), evaluations=2, hardware=PLAIN,
                      report=lambda _: None)
        for method in ("supervised", "feature_matching", "feature_matching_frozen")
    }  # fmt: skip
    moved, still = (found[f"feature_matching{control}"] for control in ("", "_frozen"))
    assert torch.equal(still.walls[0], moved.walls[0])
    assert torch.equal(still.walls[0], still.walls[20])
    assert not torch.equal(moved.walls[0], moved.walls[20])
    alone = found["supervised"]
    assert all(not torch.equal(still.logits, other.logits) for other in (moved, alone))


def test_a_frozen_generator_without_a_gan_is_refused():
    with pytest.raises(InputError, match="method 'vat' has no gan, and cannot have frozen"):
        Recipe("vat", own_weights=Weights(vat=1.0, frozen=True))


def test_virtual_adversarial_training_reaches_all_weights_and_smooths_the_network(digits, batch):
    torch.manual_seed(2)
    networks = digits_pair(8, 2)
    networks[1].standardize(digits.images[:500])  # without, there is nothing to smooth
    recipe = Recipe("vat", own_weights=Weights(labeled=0.0, vat=1.0), epsilon=0.025)
    optimizers = tuple(torch.optim.Adam(n.parameters(), 1e-3) for n in networks)
    found = []
    for _ in range(20):
        torch.manual_seed(3)
        found.append(train_step(*networks, optimizers, batch, recipe, 0.0, PLAIN)["vat"])
    assert (found[-1] < found[0] / 2).all()
    for p in networks[1].parameters():
        assert not p.requires_grad or p.grad.abs().sum() > 0
    assert networks[1].training


@pytest.mark.parametrize("norm_logits", [True, False])
def test_vat_gains_nothing_by_flat_logits_under_batch_norm(digits, batch, norm_logits):
    torch.manual_seed(2)
    networks = digits_pair(8, 2, norm_logits=norm_logits)
    networks[1].standardize(digits.images[:500])
    still = tuple(torch.optim.SGD(network.parameters(), 0.0) for network in networks)
    how = (still, batch, Recipe("vat", epsilon=0.1), 0.0, PLAIN)
    found = []
    for scale in (1.0, 0.1):
        networks[1].last.parametrizations.weight.original0.data.mul_(scale)
        torch.manual_seed(3)
        found.append(train_step(*networks, *how)["vat"])
    assert torch.allclose(*found, rtol=0.05) is norm_logits
    assert norm_logits or (found[1] < 0.1 * found[0]).all()


def test_only_without_a_gan_logits_are_under_batch_norm():
    normalized = {"supervised", "pseudo_label", "mean_teacher", "vat", "entropy"}
    assert {method for method in METHODS if Recipe(method).norm_logits} == normalized


@pytest.mark.parametrize("method", METHODS)
def test_a_run_of_a_stack_does_not_feel_the_other(digits, batch, method):
    images = batch.unlabeled.clone()
    images[1] = images[1].flip(-1)
    labels = batch.labels.clone()
    labels[1] = labels[1].flip(0)
    networks = stepped(digits, method, batch)[:2]
    others = stepped(digits, method, batch._replace(unlabeled=images, labels=labels))[:2]
    for network, other in zip(networks, others, strict=True):
        assert same(network, other, 0)
    assert not same(networks[1], others[1], 1)


def test_a_method_is_known_and_its_weights_can_be_changed():
    with pytest.raises(InputError, match="method 'wgan' is unknown; accepted: supervised, "):
        Recipe("wgan")
    recipe = Recipe("vat", own_weights=Weights(vat=0.5))
    assert recipe.weights.vat == 0.5 and Recipe("vat").weights == METHODS["vat"]
    assert replace(Recipe("vat"), method="entropy").weights == METHODS["entropy"]


def test_schedules():
    recipe = Recipe(steps=100)
    assert [recipe.rate(step) for step in (0, 50, 75)] == pytest.approx([1, 1, 0.5])
    long = replace(recipe, steps=60_000)
    assert [long.rate(step) for step in (30_000, 54_000, 57_000)] == pytest.approx([1, 1, 0.5])
    assert [recipe.late(step) for step in (0, 20, 40, 60, 99)] == pytest.approx([0, 0, 0.5, 1, 1])


def test_training_learns_and_leaves_the_random_state_alone(digits, rows):
    state = torch.get_rng_state()
    lines = []
    recipe = Recipe(steps=150)
    result = train(digits, rows, recipe, evaluations=3, report=lines.append, hardware=PLAIN)
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
        train(data, rows, recipe, report=lambda _: None, hardware=PLAIN).logits
        for data in (digits, wrong, replace(digits, labels=hidden))
    ]
    assert torch.equal(results[0], results[1]) and torch.equal(results[0], results[2])


class Killed(Exception):
    pass


@pytest.mark.parametrize("method", ["complement", "pseudo_label", "mean_teacher"])
def test_a_killed_run_goes_on_and_ends_with_the_same_numbers(digits, rows, method, tmp_path):
    recipe = Recipe(method=method, steps=30)
    arguments = {"evaluations": 3, "hardware": PLAIN}
    whole = train(digits, rows, recipe, report=lambda _: None, **arguments)

    lines = []

    def kill(line):
        lines.append(line)
        if len(lines) == 2:
            raise Killed

    path = tmp_path / "run.pt"
    with pytest.raises(Killed):
        train(digits, rows, recipe, checkpoint=path, report=kill, **arguments)
    lines.clear()
    rest = train(digits, rows, recipe, checkpoint=path, report=lines.append, **arguments)
    assert len(lines) == 2  # that it goes on from step 20, and step 30
    assert torch.equal(rest.logits, whole.logits)
    assert rest.last_accuracy == whole.last_accuracy
    assert rest.history.step.tolist() == [10, 20, 30]
    pd.testing.assert_frame_equal(*(run.history.drop(columns="seconds") for run in (rest, whole)))
    assert rest.walls.keys() == whole.walls.keys()
    assert all(torch.equal(rest.walls[at], whole.walls[at]) for at in whole.walls)

    again = train(digits, rows, recipe, checkpoint=path, report=lines.append, **arguments)
    assert len(lines) == 2 and torch.equal(again.logits, whole.logits)


def test_a_checkpoint_of_another_training_is_refused(digits, rows, tmp_path):
    how = {"checkpoint": tmp_path / "a.pt", "hardware": PLAIN, "report": lambda _: None}
    recipe = Recipe(steps=4)
    train(digits, rows, recipe, **how)
    for other, changed, name in (
        (rows.flip(0), recipe, "labeled"),
        (rows, replace(recipe, own_weights=Weights(2.0, gan=1.0)), "recipe"),
        (rows, replace(recipe, form=losses.EXPLICIT), "outputs"),
    ):
        with pytest.raises(InputError, match=rf"checkpoint of another training \({name}"):
            train(digits, other, changed, **how)


def test_each_image_is_told_right_or_wrong(digits, rows):
    recipe = Recipe("supervised", steps=20)
    result = train(digits, rows, recipe, report=lambda _: None, hardware=PLAIN)
    values = result.values(digits.test_labels)
    marks = values["correct"]
    assert values["last"] == pytest.approx(result.accuracy) and values["steps"] == [20, 20]
    assert values["last_raw"] == result.last_accuracy and len(values["minutes"]) == 2
    assert [len(run) for run in marks] == [500, 500] and marks[0] != marks[1]
    assert [run.count("1") / 500 for run in marks] == pytest.approx(result.accuracy)
    assert marks[0][3] == str(int(result.logits[0, 3].argmax() == digits.test_labels[3]))


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


def test_label_spreading(digits):
    """Ten labels are enough for it; over scikit-learn's graph, 80 % of these are right."""
    rows = torch.stack([draw_labeled(digits.labels, 10, seed) for seed in range(10)])
    predictions = spread_labels(digits, rows)
    assert predictions.shape == (10, 500)
    assert (predictions == digits.test_labels).double().mean() > 0.85


def test_benchmark_and_profile(digits, monkeypatch):
    monkeypatch.setattr(timing, "SIDE", {"cpu": 64})
    monkeypatch.setattr(timing, "COPIED", 1000)
    frame = speeds(digits, rounds=1, steps=1)
    assert list(frame.index) == ["plain", "ours"] and frame.loc["plain", "times plain"] == 1
    table = profile(digits, steps=1, top=5)
    assert len(table) == 5 and 0 < table.share.sum() <= 1
    roofline = roofline_of_ours(digits, 1e9)  # no machine is so slow
    assert list(roofline.index) == ["arithmetic", "bytes"]
    assert (roofline["billions"] > 0).all() and roofline["share of ours"].between(0, 1).all()


def test_defaults_depend_on_the_data():
    small, mnist = DigitsSettings.resolve(), DigitsSettings.resolve(mnist="somewhere")
    assert (small.labels, mnist.labels) == (10, 100)
    assert DigitsSettings.resolve(mnist="somewhere", steps=50).steps == 50
    assert DigitsSettings.resolve(profile="full").steps > small.steps


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"generator": "wgan"}, r"'generator' is 'wgan'.*feature_matching, complement"),
        ({"labels": 25}, r"'labels' is 25.*multiple of 10"),
        ({"budgets": [10, 25]}, "'budgets'"),
        ({"profile": "fast"}, r"'profile' is 'fast' \(str\); accepted: smoke, quick, full$"),
    ],
)
def test_refused_parameters(parameters, message):
    with pytest.raises(InputError, match=message):
        DigitsSettings.resolve(**parameters)


def test_an_update_is_adams_whatever_the_layout_of_the_gradient():
    """Fused Adam reads gradients in memory order, and those of a stacked layer are transposed."""
    after = []
    for fused in (False, True):
        torch.manual_seed(2)
        layer, x = StackedLinear(1, 5, 3), torch.randn(1, 4, 5)
        optimizer = torch.optim.Adam(layer.parameters(), 0.1, fused=fused)
        for _ in range(2):
            descend(optimizer, layer(x).square().sum((1, 2)))
        after.append(layer.weight.detach())
    assert torch.allclose(*after, atol=1e-5)
