"""One training step on photographs: every term moves what it should, and nothing else."""

from dataclasses import replace

import pytest
import torch
from photo_tables import dark_and_bright
from torch import nn

from ssgan_core import losses
from ssgan_core.device import Hardware
from ssgan_core.errors import InputError
from ssgan_core.loop import Kept, parts_of
from ssgan_core.photos.networks import ResNet18
from ssgan_core.ssgan import step as photos
from ssgan_core.ssgan.fit import fit
from ssgan_core.ssgan.recipes import Recipe, find_recipe
from ssgan_core.ssgan.step import (
    WEAK,
    Learner,
    Stage,
    aligned,
    discriminator,
    make_learner,
    schedule,
    ssgan_step,
    supervised_step,
    untracked_statistics,
    weak_view,
)

CPU = Hardware(torch.device("cpu"), False)
IMAGES = torch.randint(
    0, 256, (8, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
)


def still(recipe: Recipe) -> Learner:
    """A learner whose steps make gradients and leave its weights alone."""
    torch.manual_seed(0)
    learner = make_learner(recipe, 32, 8, 16, 2, CPU)
    for optimizer in (learner.optimizer, learner.generator_optimizer):
        if optimizer:
            optimizer.param_groups[0]["lr"] = 0.0
    return learner


def step(learner: Learner, generates: bool = True) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    stage = Stage(generates=generates and learner.recipe.gan)
    return ssgan_step(learner, stage, IMAGES, torch.arange(8) % 2, IMAGES.flip(0))


def gradient(network: nn.Module) -> list[torch.Tensor]:
    return [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in network.parameters()]


def descend(network: nn.Module, direction: list[torch.Tensor]) -> None:
    """A short way against a gradient, which has to be there."""
    norm = torch.cat([part.flatten() for part in direction]).norm()
    assert norm > 1e-6
    with torch.no_grad():
        for p, part in zip(network.parameters(), direction, strict=True):
            p -= 1e-2 * part / norm


@pytest.mark.parametrize(
    ("weight", "terms", "network"),
    [
        ("consistency", ["consistency"], "classifier"),
        ("contrast", ["contrast"], "classifier"),
        ("rotation", ["rotation"], "classifier"),
        ("entropy", ["entropy"], "classifier"),
        ("unlabeled_weight", ["real", "fake"], "classifier"),
        ("pull_away", ["generator"], "generator"),
    ],
)
def test_what_a_weight_adds_to_the_gradient_lowers_its_terms(weight, terms, network):
    """`confidence` is 0, or an untrained teacher might be sure of nothing."""
    more = {"contrast": 1.0, "entropy": 0.1, "pull_away": 0.1}
    recipe = replace(find_recipe("ssgan"), confidence=0.0, **more)
    once, twice = still(recipe), still(replace(recipe, **{weight: 2 * getattr(recipe, weight)}))
    before = step(once)
    step(twice)
    first, second = (gradient(getattr(learner, network)) for learner in (once, twice))
    descend(getattr(once, network), [b - a for a, b in zip(first, second, strict=True)])
    after = step(once)
    assert sum(after[term] for term in terms) < sum(before[term] for term in terms)


@pytest.mark.parametrize("name", ["ssgan", "article", "explicit-class"])
def test_the_generator_descends_its_loss(name):
    learner = still(find_recipe(name))
    before = step(learner)["generator"]
    descend(learner.generator, gradient(learner.generator))
    assert step(learner)["generator"] < before


def test_the_explicit_form_has_its_own_losses():
    logits, explicit = torch.randn(5, 3), find_recipe("explicit-class")
    assert losses.EXPLICIT.real(logits) == losses.explicit_real_loss(logits)
    assert losses.EXPLICIT.fake(logits) == losses.explicit_fake_loss(logits)
    p = logits.softmax(1)
    torch.testing.assert_close(discriminator(logits, explicit), 1 - p[:, -1])


@pytest.mark.parametrize(
    ("name", "kept_out"), [("ssgan", True), ("feature-matching", True), ("article", False)]
)
def test_a_step_keeps_generated_images_out_of_the_statistics(name, kept_out):
    def running(brightness: float) -> torch.Tensor:
        learner = still(find_recipe(name))
        with torch.no_grad():
            learner.generator.head.bias += brightness
        step(learner)
        buffers = learner.classifier.named_buffers()
        return torch.cat([value for key, value in buffers if "running" in key])

    assert torch.equal(running(0.0), running(5.0)) is kept_out


def test_a_control_that_means_nothing_is_refused():
    alone = find_recipe("article-labels")
    for part in ("frozen", "feature_matching", "explicit"):
        with pytest.raises(InputError, match=f"'article-labels' has no gan.*{part}"):
            replace(alone, **{part: True})
    with pytest.raises(InputError, match="has no consistency, and cannot have aligned"):
        replace(alone, aligned=True)
    with pytest.raises(InputError, match="has no consistency or contrast, and cannot have crops"):
        replace(alone, crops=True)
    for part in ("feature_matching", "pull_away"):
        with pytest.raises(InputError, match=f"'article-frozen' is frozen.*cannot have {part};"):
            replace(find_recipe("article-frozen"), **{part: 1.0})


@pytest.mark.parametrize(("name", "kept"), [("article", False), ("article-frozen", True)])
def test_the_control_of_the_trained_generator_keeps_its_weights(name, kept):
    torch.manual_seed(0)
    learner = make_learner(find_recipe(name), 32, 8, 16, 2, CPU)
    before = [
        [p.clone() for p in net.parameters()] for net in (learner.generator, learner.classifier)
    ]
    terms = step(learner)
    made, judged = (
        all(torch.equal(a, b) for a, b in zip(old, net.parameters(), strict=True))
        for old, net in zip(before, (learner.generator, learner.classifier), strict=True)
    )
    assert (made, judged) == (kept, False)
    assert {"real", "fake"} <= set(terms)


def test_the_control_of_batch_norm_changes_the_statistics_and_no_gradient():
    labels = torch.arange(8) % 2
    alone, seen = (still(find_recipe(f"article-{name}")) for name in ("labels", "batch-norm"))
    stage = Stage(generates=False)
    terms = supervised_step(alone, stage, IMAGES, labels)
    assert ssgan_step(seen, stage, IMAGES, labels, IMAGES // 2) == terms
    assert all(map(torch.equal, *(gradient(one.classifier) for one in (alone, seen))))
    first, second = (one.classifier.state_dict() for one in (alone, seen))
    moved = [name for name in first if not torch.equal(first[name], second[name])]
    assert {name.split("running_")[-1] for name in moved} >= {"mean", "var"}
    assert not any(name.endswith((".weight", ".bias")) for name in moved)


def test_alignment_gives_weak_views_the_classes_of_the_labels():
    """Views that call nearly all one class, long enough: their mean comes to the labels' shares."""
    torch.manual_seed(0)
    shares = Kept(labeled=torch.tensor([0.75, 0.25]), predicted=torch.tensor([0.5, 0.5]))
    logits = torch.randn(256, 2) + torch.tensor([-2.0, 2.0])
    for _ in range(2000):
        moved = aligned(logits, shares)
    seen = logits.softmax(1).mean(0)
    assert torch.allclose(shares["predicted"], seen, atol=1e-4)
    expected = logits.softmax(1) * torch.tensor([0.75, 0.25]) / seen
    assert torch.allclose(moved.softmax(1), expected / expected.sum(1, keepdim=True), atol=1e-4)
    assert seen[1] > 0.9 and moved.softmax(1).mean(0)[0] > 0.5


def test_a_training_aligns_to_the_shares_of_its_labels():
    recipe = find_recipe("ssgan-aligned")
    learner = still(recipe)
    step(learner)
    assert not torch.equal(learner.shares["predicted"], learner.shares["labeled"])
    assert "predicted" in parts_of(learner)["shares"]
    data = dark_and_bright()
    few = data.table.index[(data.table.split == "labeled") & (data.table.label == 1)][:5]
    table = data.table.copy()
    table.loc[few, "split"] = "unlabeled"
    trained = fit(recipe, replace(data, table=table), 1, width=8, generator_width=16).learner
    assert trained.shares["labeled"].tolist() == pytest.approx([10 / 15, 5 / 15])


def test_between_two_looks_ours_is_its_training_without_a_gan():
    """The same gradient from the same random numbers, and a generator that stays as it is."""
    ours, other = (still(find_recipe(name)) for name in ("ssgan", "ssgan-minus-gan"))
    looks = []
    for number in range(9):
        looks.append(schedule(ours, 0.5, number).generates)
    assert looks == [True, False, False, False] * 2 + [True]
    before = [p.clone() for p in ours.generator.parameters()]
    assert step(ours, generates=False) == step(other)
    for one, two in zip(gradient(ours.classifier), gradient(other.classifier), strict=True):
        assert torch.equal(one, two)
    assert all(map(torch.equal, before, ours.generator.parameters()))


def test_batch_norm_over_processes_is_kept_out_alike():
    network = nn.SyncBatchNorm.convert_sync_batchnorm(ResNet18(width=8))

    def momenta() -> set[float]:
        return {m.momentum for m in network.modules() if isinstance(m, nn.SyncBatchNorm)}

    with untracked_statistics(network):
        assert momenta() == {0.0}
    assert momenta() == {0.1}


def test_the_teacher_looks_at_weak_views(monkeypatch):
    strengths = []
    monkeypatch.setattr(photos, "augment", lambda images, by: strengths.append(by) or images)
    learner = still(find_recipe("ssgan"))
    weak_view(learner.teacher, learner.images(IMAGES))
    assert strengths == [WEAK]


@pytest.mark.parametrize(
    ("name", "factors"), [("ssgan", [1, 0.5, 0]), ("ssgan-minus-schedule", [1, 1, 1])]
)
def test_both_learning_rates_follow_the_schedule(name, factors):
    learner = still(find_recipe(name))
    for progress, factor in zip((0, 0.5, 1), factors, strict=True):
        schedule(learner, progress, step=0)
        for optimizer in (learner.optimizer, learner.generator_optimizer):
            rate = optimizer.param_groups[0]["lr"]
            assert rate == pytest.approx(factor * learner.recipe.learning_rate * 2)  # width 8


def test_wider_networks_learn_at_lower_rates_where_the_recipe_says_so():
    ours, article = find_recipe("ssgan"), find_recipe("article")
    assert [ours.rate(width) for width in (16, 64)] == [6e-3, 1.5e-3]
    assert [article.rate(width) for width in (16, 64)] == [2e-3, 2e-3]
