"""Each loss term: its value by hand, its sign, its gradient to the generator, its stability."""

import math

import pytest
import torch
from torch import nn

from ssgan_core import losses
from ssgan_core.errors import InputError

LOG = math.log
ZERO = torch.zeros(3, 2)  # zero logits, K = 2: Z = 2, D = 2/3
HALF = torch.full((3, 2), -LOG(2))  # Z = 1, D = 1/2


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (losses.log_z(ZERO)[0], LOG(2)),
        (losses.real_loss(ZERO), -LOG(2 / 3)),
        (losses.fake_loss(ZERO), -LOG(1 / 3)),
        (losses.generator_loss(ZERO), -LOG(2 / 3)),
        (losses.real_loss(HALF), LOG(2)),
        (losses.fake_loss(HALF), LOG(2)),
        # p(class 0) = 1/4 at the first point, 1/2 at the second
        (
            losses.labeled_loss(torch.tensor([[0, LOG(3)], [5.0, 5.0]]), torch.tensor([0, 1])),
            (LOG(4) + LOG(2)) / 2,
        ),
        (
            losses.conditional_entropy(torch.tensor([[0, LOG(3)], [5.0, 5.0]])),
            (0.25 * LOG(4) + 0.75 * LOG(4 / 3) + LOG(2)) / 2,
        ),
        # means (2, 0) and (0, 1): (4 + 1) / 2 features; batches of different sizes
        (
            losses.feature_matching(
                torch.tensor([[1.0, 0], [3, 0]]), torch.tensor([[0.0, 1], [0, 1], [0, 1]])
            ),
            2.5,
        ),
        # cosines 0, 1/sqrt2, 1/sqrt2 whatever the lengths: mean square 1/3
        (losses.pull_away(torch.tensor([[2.0, 0], [0, 3], [5, 5]])), 1 / 3),
        # one kernel of width 1 at distance 1: -1/2 - log 2 pi
        (
            losses.kde_log_density(torch.tensor([[1.0, 0]]), torch.zeros(1, 2), 1.0)[0],
            -0.5 - LOG(2 * math.pi),
        ),
        # two kernels of width 2, one at the point and one at distance 2
        (
            losses.kde_log_density(torch.zeros(1, 2), torch.tensor([[0.0, 0], [2, 0]]), 2.0)[0],
            LOG((1 + math.exp(-0.5)) / 2) - LOG(8 * math.pi),
        ),
        # one point a nat above the threshold, one far below it
        (
            losses.low_density(
                torch.tensor([[0.0, 0], [9, 9]]), torch.zeros(1, 2), 1.0, -LOG(2 * math.pi) - 1
            ),
            0.5,
        ),
        # orthogonal keys, queries along the first: cosines 1 and 0, of which one row finds its own
        (
            losses.contrast(torch.tensor([[2.0, 0], [3, 0]]), torch.eye(2), 1.0),
            LOG(1 + math.exp(-1)) / 2 + LOG(1 + math.exp(1)) / 2,
        ),
        # p = (1/4, 3/4) and (1/2, 1/2), q = (1/2, 1/2) both times
        (
            losses.divergence(torch.tensor([[0, LOG(3)], [5.0, 5.0]]), torch.zeros(2, 2)),
            (0.25 * LOG(1 / 2) + 0.75 * LOG(3 / 2)) / 2,
        ),
        # distances 1/4 twice, and 0
        (
            losses.mean_teacher(torch.zeros(2, 2), torch.tensor([[0, LOG(3)], [5.0, 5.0]])),
            2 * 0.25**2 / 2,
        ),
        # a prediction that does not look at the image
        (losses.vat(lambda x: 0 * x + torch.tensor([1.0, 2]), torch.rand(4, 2), 1.0), 0.0),
        # 2 + 1 logits, all zero: p_generated = 1/3
        (losses.explicit_real_loss(torch.zeros(4, 3)), -LOG(2 / 3)),
        (losses.explicit_fake_loss(torch.zeros(4, 3)), -LOG(1 / 3)),
    ],
)
def test_value_by_hand(value, expected):
    torch.testing.assert_close(value, torch.tensor(expected), rtol=1e-5, atol=1e-6)


def descend(function, start, rate=0.1):
    """One step along the negative gradient."""
    start = start.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(function(start).sum(), start)
    assert gradient.abs().sum() > 0
    return (start - rate * gradient).detach()


@pytest.fixture
def logits():
    return torch.randn(16, 3, generator=torch.Generator().manual_seed(0))


def test_real_and_generator_loss_raise_z_and_fake_loss_lowers_it(logits):
    before = losses.log_z(logits)
    assert (losses.log_z(descend(losses.real_loss, logits)) > before).all()
    assert (losses.log_z(descend(losses.generator_loss, logits)) > before).all()
    assert (losses.log_z(descend(losses.fake_loss, logits)) < before).all()


def test_labeled_loss_raises_the_probability_of_the_label(logits):
    labels = torch.arange(16) % 3
    after = descend(lambda x: losses.labeled_loss(x, labels), logits)
    rows = torch.arange(16)
    assert (after.softmax(-1)[rows, labels] > logits.softmax(-1)[rows, labels]).all()


def test_entropy_loss_firms_the_prediction_and_leaves_a_tie_alone(logits):
    after = descend(losses.conditional_entropy, logits)
    assert losses.conditional_entropy(after) < losses.conditional_entropy(logits)
    tie = torch.zeros(1, 3, requires_grad=True)
    losses.conditional_entropy(tie).backward()
    torch.testing.assert_close(tie.grad, torch.zeros(1, 3))


@pytest.mark.parametrize("loss", [losses.divergence, losses.mean_teacher])
def test_a_prediction_is_drawn_to_its_target_which_stays(loss, logits):
    target = (logits.flip(0) + 1).requires_grad_()
    after = descend(lambda x: loss(target, x), logits)
    assert loss(target, after) < loss(target, logits) and loss(target, logits) > 0
    assert loss(logits, logits + 7) == pytest.approx(0, abs=1e-6)  # the classes' odds count
    moved = logits.clone().requires_grad_()
    loss(target, moved).backward()
    assert target.grad is None and moved.grad.abs().sum() > 0


class Seen(nn.Module):
    """A classifier of points that keeps the points it was asked about."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(20, 30), nn.Tanh(), nn.Linear(30, 3))
        self.asked = []

    def forward(self, x):
        self.asked.append(x)
        return self.layers(x)


def test_an_adversarial_perturbation_has_its_norm_and_beats_random_ones():
    network = Seen()
    x = torch.randn(2, 64, 20, generator=torch.Generator().manual_seed(5))
    target = network(x).detach()

    def change(perturbation):
        return losses.divergence(target, network(x + perturbation))

    for epsilon in (0.1, 1.0):
        found = losses.adversarial_perturbation(network, x, target, epsilon)
        assert not found.requires_grad
        torch.testing.assert_close(found.norm(dim=-1), torch.full((2, 64), epsilon))
        directions = torch.randn(50, *x.shape, generator=torch.Generator().manual_seed(6))
        random = epsilon * nn.functional.normalize(directions, dim=-1)
        assert (change(found) > max(change(other).max() for other in random)).all()
    # one step of power iteration, from a random start, comes near the best direction there is
    best = torch.zeros_like(x).uniform_(-1e-3, 1e-3).requires_grad_()
    for _ in range(30):
        (gradient,) = torch.autograd.grad(change(best).sum(), best)
        best = nn.functional.normalize(gradient, dim=-1).mul_(0.1).requires_grad_()
    found = losses.adversarial_perturbation(network, x, target, 0.1)
    assert (change(found) > 0.8 * change(best)).all()


def test_vat_smooths_the_network_and_no_gradient_passes_through_its_target():
    network = Seen()
    x = torch.randn(64, 20, generator=torch.Generator().manual_seed(5))

    def loss():
        torch.manual_seed(1)
        return losses.vat(network, x, 1.0)

    before = loss()
    before.backward()
    gradients = [p.grad.clone() for p in network.parameters()]
    assert before > 0 and all(g.abs().sum() > 0 for g in gradients)
    target, perturbed = network.layers(x).detach(), network.asked[-1]
    assert not perturbed.requires_grad
    network.zero_grad()
    losses.divergence(target, network.layers(perturbed)).backward()
    for p, gradient in zip(network.parameters(), gradients, strict=True):
        torch.testing.assert_close(p.grad, gradient)
        p.data -= 0.1 * gradient
    assert loss() < before


def test_feature_matching_moves_the_means_together_and_pull_away_the_samples_apart(logits):
    real = logits + 1
    after = descend(lambda x: losses.feature_matching(real, x), logits)
    assert (after.mean(0) - real.mean(0)).norm() < (logits.mean(0) - real.mean(0)).norm()
    bunch = torch.ones(8, 5) + 0.1 * torch.randn(8, 5, generator=torch.Generator().manual_seed(1))
    assert losses.pull_away(descend(losses.pull_away, bunch, 10.0)) < losses.pull_away(bunch)


def test_low_density_moves_points_off_the_data_and_no_further():
    data = torch.zeros(1, 2)
    points = torch.tensor([[0.5, 0.0], [3.0, 0.0]])
    threshold = -math.log(2 * math.pi) - 1  # reached at distance sqrt 2
    after = descend(lambda x: losses.low_density(x, data, 1.0, threshold), points)
    assert after[0].norm() > 0.5
    assert after[1].equal(points[1])


def generator_terms():
    data = torch.randn(50, 2, generator=torch.Generator().manual_seed(2))
    classifier = nn.Sequential(nn.Linear(2, 8), nn.Tanh())
    head = nn.Linear(8, 2)
    return {
        "generator_loss": lambda x: losses.generator_loss(head(classifier(x))),
        "feature_matching": lambda x: losses.feature_matching(classifier(data), classifier(x)),
        "pull_away": lambda x: losses.pull_away(classifier(x)),
        "low_density": lambda x: losses.low_density(x, data, 0.5, -9.0),
    }


@pytest.mark.parametrize("name", list(generator_terms()))
def test_gradient_reaches_every_generator_parameter(name):
    torch.manual_seed(0)
    generator = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
    generator_terms()[name](generator(torch.randn(32, 4))).backward()
    for parameter in generator.parameters():
        assert parameter.grad is not None
        assert parameter.grad.abs().sum() > 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("scale", [1e4, -1e4])
def test_extreme_logits_stay_finite_with_the_right_limits(dtype, scale):
    logits = torch.full((4, 3), scale, dtype=dtype).requires_grad_()
    size = abs(float(logits.detach()[0, 0]))  # 1e4 as bfloat16 holds it
    real, fake = losses.real_loss(logits), losses.fake_loss(logits)
    assert real.dtype == torch.float32
    high, low = (fake, real) if scale > 0 else (real, fake)
    assert float(high.detach()) == pytest.approx(size, rel=1e-3)
    assert float(low.detach()) == 0
    split = torch.tensor([[scale, -scale, 0.0]], dtype=dtype).requires_grad_()
    total = (
        real
        + fake
        + losses.labeled_loss(logits, torch.zeros(4, dtype=torch.long))
        + losses.conditional_entropy(logits)
        + losses.conditional_entropy(split)
        + losses.explicit_real_loss(split)
        + losses.explicit_fake_loss(split)
    )
    total.backward()
    assert total.isfinite()
    assert logits.grad.isfinite().all()
    assert split.grad.isfinite().all()


def test_implicit_form_is_the_explicit_softmax_with_its_last_logit_at_zero(logits):
    explicit = torch.cat([logits, torch.zeros(16, 1)], -1)
    torch.testing.assert_close(losses.real_loss(logits), losses.explicit_real_loss(explicit))
    torch.testing.assert_close(losses.fake_loss(logits), losses.explicit_fake_loss(explicit))
    softmax = explicit.softmax(-1)
    torch.testing.assert_close(losses.log_z(logits).sigmoid(), 1 - softmax[:, -1])
    # a shift of all K+1 logits changes nothing
    torch.testing.assert_close(
        losses.explicit_real_loss(explicit + 7), losses.real_loss(logits), rtol=1e-5, atol=1e-5
    )


def test_a_stack_of_runs_gives_each_run_its_own_value():
    stack = torch.randn(5, 16, 3, generator=torch.Generator().manual_seed(3))
    labels = torch.arange(16).expand(5, 16) % 3
    data = torch.randn(20, 3, generator=torch.Generator().manual_seed(4))
    for function in (
        losses.real_loss,
        losses.fake_loss,
        losses.conditional_entropy,
        losses.pull_away,
        lambda x: losses.labeled_loss(x, labels[..., : x.shape[-2]] if x.ndim == 3 else labels[0]),
        lambda x: losses.feature_matching(x, x + 1),
        lambda x: losses.divergence(x, x.square()),
        lambda x: losses.mean_teacher(x, x.square()),
        lambda x: losses.low_density(x, data, 0.5, -9.0),
    ):
        together = function(stack)
        assert together.shape == (5,)
        alone = torch.stack([function(run) for run in stack])
        torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_bad_input_is_named():
    with pytest.raises(InputError, match="bandwidth must be above 0"):
        losses.kde_log_density(torch.zeros(1, 2), torch.zeros(1, 2), 0.0)
    with pytest.raises(InputError, match="at least 2"):
        losses.pull_away(torch.zeros(1, 4))
