"""The digit networks: shapes, independence of the stacked runs, weight norm, noise."""

import pytest
import torch

from ssgan_core.digits.networks import (
    GaussianNoise,
    StackedBatchNorm,
    StackedLinear,
    digits_pair,
    noise_bank,
    with_same_noise,
)
from ssgan_core.errors import InputError


@pytest.mark.parametrize(("side", "runs", "classes"), [(8, 3, 10), (28, 1, 11)])
def test_shapes(side, runs, classes):
    generator, discriminator = digits_pair(side, runs, classes)
    images = generator.sample(4)
    logits, features = discriminator(images)
    assert images.shape == (runs, 4, side * side)
    assert images.min() >= 0 and images.max() <= 1
    assert logits.shape == (runs, 4, classes) and features.shape[:2] == (runs, 4)


def test_published_widths():
    generator, discriminator = digits_pair(28)
    shapes = [tuple(layer.weight.shape) for layer in (*discriminator.hidden, discriminator.last)]
    assert shapes == [(784, 1000), (1000, 500), (500, 250), (250, 250), (250, 250), (250, 10)]
    assert generator.latent == 100 and tuple(generator.last.weight.shape) == (500, 784)


def test_unknown_side():
    with pytest.raises(InputError, match="side is 32"):
        digits_pair(32)


def test_stacked_layer_is_one_linear_layer_per_run():
    layer = StackedLinear(3, 5, 4)
    x = torch.randn(3, 7, 5)
    for r in range(3):
        alone = torch.nn.functional.linear(
            x[r], layer.weight[:, 4 * r : 4 * (r + 1)].T, layer.bias[r, 0]
        )
        assert torch.allclose(layer(x)[r], alone, atol=1e-6)


def test_runs_do_not_touch_each_other():
    generator, discriminator = digits_pair(8, runs=3)
    logits, _ = discriminator.eval()(generator.sample(6))
    logits[1].square().sum().backward()
    for network in (generator, discriminator):
        for parameter in filter(lambda p: p.requires_grad, network.parameters()):
            grad = parameter.grad  # weights are stacked along their last axis, the rest along 0
            per_run = grad.tensor_split(3, 0 if grad.shape[0] == 3 else -1)
            assert [part.abs().sum() > 0 for part in per_run] in ([False, True, False], [False] * 3)
    assert generator.layers[0].weight.grad.abs().sum() > 0


def test_batch_norm_is_per_run_and_unit():
    x = torch.randn(2, 64, 5) * torch.tensor([1.0, 10.0]).view(2, 1, 1) + 3
    y = StackedBatchNorm(2, 5)(x)
    assert torch.allclose(y.mean(1), torch.zeros(2, 5), atol=1e-5)
    assert torch.allclose(y.var(1, unbiased=False), torch.ones(2, 5), atol=1e-3)


def test_logits_under_batch_norm_are_standardized_and_in_testing_alone_as_in_a_batch():
    _, discriminator = digits_pair(8, runs=2, norm_logits=True)
    images = torch.rand(2, 400, 64)
    for _ in range(60):  # running statistics come near those of the batch
        logits, _ = discriminator(images)
    assert torch.allclose(logits.mean(1), torch.zeros(2, 10), atol=1e-4)
    assert torch.allclose(logits.var(1, unbiased=False), torch.ones(2, 10), atol=1e-2)
    tested = discriminator.eval()(images)[0]
    assert torch.allclose(discriminator(images[:, :1])[0], tested[:, :1], atol=1e-5)
    assert tested.mean(1).abs().max() < 1  # without noise
    learned = {name for name, _ in discriminator.named_parameters()}
    assert learned == {name for name, _ in digits_pair(8, runs=2)[1].named_parameters()}


def test_weight_norm_separates_length_from_direction():
    _, discriminator = digits_pair(8)
    layer = discriminator.hidden[0]
    length = layer.parametrizations.weight.original0
    before = layer.weight.detach().clone()
    direction = layer.parametrizations.weight.original1
    with torch.no_grad():
        direction.mul_(3)
    assert torch.allclose(layer.weight, before, atol=1e-6)
    with torch.no_grad():
        length.mul_(2)
    assert torch.allclose(layer.weight, 2 * before, atol=1e-6)


def test_noise_has_its_sigma_and_is_off_in_evaluation():
    layer = GaussianNoise(0.5)
    x = torch.zeros(2, 100, 500)
    torch.manual_seed(0)
    noise = layer(x)
    assert abs(float(noise.std()) - 0.5) < 0.01 and abs(float(noise.mean())) < 0.01
    assert not torch.equal(noise, layer(x))
    torch.manual_seed(0)
    assert torch.equal(noise, layer(x))
    assert torch.equal(layer.eval()(x), x)


def test_noise_bank_is_standard_normal():
    bank = noise_bank(torch.device("cpu"), torch.float32)
    shares = [float((bank.abs() < k).float().mean()) for k in (1, 2, 3)]
    assert shares == pytest.approx([0.6827, 0.9545, 0.9973], abs=1e-3)


def test_noise_for_more_numbers_than_the_bank_has():
    noise = GaussianNoise(1.0)(torch.zeros(3, 1000, 1500))
    assert abs(float(noise.std()) - 1) < 0.01 and not torch.equal(noise[0], noise[1])


def test_standardized_units_have_mean_zero_and_variance_one():
    _, discriminator = digits_pair(8, runs=2)
    images = torch.rand(400, 64)
    discriminator.eval().standardize(images)
    x = images.expand(2, -1, -1)
    for layer in (*discriminator.hidden, discriminator.last):
        outputs = layer(x)
        assert torch.allclose(outputs.mean(1), torch.zeros(()), atol=1e-3)
        assert torch.allclose(outputs.std(1), torch.ones(()), atol=1e-2)
        x = outputs.relu()


def test_only_the_last_layer_learns_its_lengths():
    _, discriminator = digits_pair(8)
    fixed = {name for name, p in discriminator.named_parameters() if not p.requires_grad}
    assert fixed == {f"hidden.{i}.parametrizations.weight.original0" for i in range(3)}


def test_the_same_noise_at_every_call():
    _, discriminator = digits_pair(8)
    images = torch.rand(1, 6, 64)
    predict = with_same_noise(discriminator)
    first = predict(images)
    torch.rand(3)
    assert torch.equal(predict(images), first)
    other = with_same_noise(discriminator)(images)
    assert not torch.equal(other, first)
    assert not torch.equal(first, discriminator.eval()(images)[0])
