"""DCGAN: the mirrored ladder, the alternating step, exact resumption, the animation."""

import io
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from ssgan_core.dcgan import training as dcgan
from ssgan_core.dcgan.figures import animate_samples, loss_curves, score_curves
from ssgan_core.dcgan.networks import Discriminator
from ssgan_core.dcgan.training import DCGANSettings, Gan, Recipe, dcgan_step, train
from ssgan_core.errors import InputError
from ssgan_core.photos.networks import LADDERS, Generator

SIZES = {"width": 32, "evaluations": 3}
RECIPE = Recipe(batch=8)


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    """Red squares on black, uint8: something to learn at once."""
    pictures = torch.zeros(40, 3, 32, 32, dtype=torch.uint8)
    pictures[:, 0, 8:24, 8:24] = 220
    return pictures


def weights(network) -> torch.Tensor:
    return torch.cat([p.detach().flatten().clone() for p in network.parameters()])


def maps(body, x) -> list[tuple[int, ...]]:
    shapes = []
    with torch.no_grad():
        for rung in body.eval():
            x = rung(x)
            shapes.append(tuple(x.shape[1:]))
    return shapes


@pytest.mark.parametrize("size", LADDERS)
def test_the_discriminator_climbs_down_what_the_generator_climbed_up(size):
    up = maps(Generator(size, width=64).body, torch.randn(1, 100, 1, 1))
    discriminator = Discriminator(size, 64, classes=3).eval()
    down = maps(discriminator.body, torch.randn(1, 3, size, size))
    assert down == up[::-1]
    logits, features = discriminator(torch.randn(2, 3, size, size))
    assert logits.shape == (2, 3) and features.shape == (2, 64 * LADDERS[size][0] ** 2)


def test_its_weights_start_at_the_dcgan_spread_and_its_first_rung_is_not_normalized():
    torch.manual_seed(0)
    discriminator = Discriminator(32, 128)
    assert discriminator.body[2][0].weight.std().item() == pytest.approx(0.02, rel=0.05)
    kinds = [[type(layer).__name__ for layer in rung] for rung in discriminator.body]
    assert kinds[0] == ["Conv2d", "LeakyReLU"]
    assert kinds[1] == kinds[2] == ["Conv2d", "BatchNorm2d", "LeakyReLU"]


def test_another_size_is_refused_by_name():
    with pytest.raises(InputError, match="size is 48; the discriminator reads 32, 64, 128, 224"):
        Discriminator(48)


@pytest.mark.parametrize(
    ("still", "moving"), [("generator", "discriminator"), ("discriminator", "generator")]
)
def test_each_half_of_a_step_moves_its_own_network(still, moving):
    torch.manual_seed(0)
    gan = Gan.make(replace(RECIPE, **{f"{still}_rate": 0.0}), 32, 32)
    before = {name: weights(getattr(gan, name)) for name in (still, moving)}
    dcgan_step(gan, torch.rand(8, 3, 32, 32) * 2 - 1)
    assert torch.equal(before[still], weights(getattr(gan, still)))
    assert not torch.equal(before[moving], weights(getattr(gan, moving)))
    assert all(p.requires_grad for p in gan.discriminator.parameters())


@pytest.mark.parametrize(
    "remedy", [{"augment": 1.0}, {"smoothing": 0.1}, {"r1": 1.0}], ids=lambda r: next(iter(r))
)
def test_each_remedy_changes_the_discriminators_step(remedy):
    after = []
    for recipe in (RECIPE, replace(RECIPE, **remedy)):
        torch.manual_seed(0)
        gan = Gan.make(recipe, 32, 32)
        torch.manual_seed(1)
        real = torch.rand(8, 3, 32, 32) * 2 - 1
        for _ in range(2):
            terms = dcgan_step(gan, real)
        assert all(torch.isfinite(term) for term in terms.values())
        after.append(weights(gan.discriminator))
    assert not torch.equal(*after)


def test_it_learns_an_easy_picture(images):
    recipe = replace(RECIPE, generator_rate=2e-3, discriminator_rate=1e-3, ema=0.9)
    trained = train(recipe, images, 150, **SIZES)
    start, end = (
        (trained.samples[step].float() - images[0].float()).abs().mean() for step in (0, 150)
    )
    assert end < start / 3
    assert trained.steps.shape == (150, 4) and trained.steps.index[-1] == 150
    assert list(trained.samples) == [0, 5, 17, 67, 150] == [0, *trained.evaluations["step"]]
    assert trained.samples[0].shape == (24, 3, 32, 32)
    assert trained.samples[0].dtype == torch.uint8


def test_mean_d_reads_a_batch_as_training_does_and_is_higher_on_real_images(images):
    torch.manual_seed(0)
    discriminator = Discriminator(32, 32)
    batch = images[:16]
    logits, _ = discriminator(batch / 127.5 - 1)
    found = dcgan.mean_d(discriminator, batch, 16)
    assert found == pytest.approx(float(logits.detach().sigmoid().mean()), abs=1e-5)
    trained = train(RECIPE, images, 30, **SIZES)
    real, noise = images[:32], torch.randint_like(images[:32], 256)
    assert dcgan.mean_d(trained.discriminator, real, 16) > dcgan.mean_d(
        trained.discriminator, noise, 16
    )


def test_a_killed_training_goes_on_exactly(images, tmp_path):
    asked = []

    def judge(generator) -> dict[str, float]:
        asked.append(generator)
        return {"score": float(weights(generator).sum())}

    whole = train(RECIPE, images, 6, **SIZES, judge=judge)

    class Killed(Exception):
        pass

    def kill(line: str) -> None:
        if "step 3/" in line:
            raise Killed

    path = tmp_path / "a.pt"
    with pytest.raises(Killed):
        train(RECIPE, images, 6, **SIZES, judge=judge, checkpoint=path, report=kill)
    resumed = train(RECIPE, images, 6, **SIZES, judge=judge, checkpoint=path)
    assert len(asked) == 2 * len(whole.evaluations)  # none is judged again
    assert torch.equal(weights(whole.generator), weights(resumed.generator))
    assert all(torch.equal(whole.samples[step], resumed.samples[step]) for step in whole.samples)
    pd.testing.assert_frame_equal(whole.steps, resumed.steps)
    pd.testing.assert_frame_equal(
        whole.evaluations.drop(columns="seconds"), resumed.evaluations.drop(columns="seconds")
    )
    again = train(RECIPE, images, 6, **SIZES, checkpoint=path)
    assert torch.equal(again.samples[6], whole.samples[6])


def test_a_checkpoint_of_another_training_is_refused(images, tmp_path):
    path = tmp_path / "a.pt"
    train(RECIPE, images, 2, **SIZES, checkpoint=path)
    with pytest.raises(InputError, match=r"checkpoint of another training \(recipe"):
        train(replace(RECIPE, smoothing=0.1), images, 2, **SIZES, checkpoint=path)
    with pytest.raises(InputError, match=r"checkpoint of another training \(images"):
        train(RECIPE, images.flip(1), 2, **SIZES, checkpoint=path)


def test_a_loss_that_is_not_a_number_stops_the_training(images, monkeypatch):
    broken = dict.fromkeys(dcgan.TERMS, torch.tensor(float("nan")))
    monkeypatch.setattr(dcgan, "dcgan_step", lambda gan, real: broken)
    with pytest.raises(FloatingPointError, match="not finite before step 1"):
        train(RECIPE, images, 6, **SIZES)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"size": 48}, "'size' is 48 .*accepted: 32, 64, 128, 224"),
        ({"steps": -5}, "'steps' is -5 .*≥ 2"),
        ({"width": 100}, "'width' is 100 .*multiple of 32"),
    ],
)
def test_settings_name_what_they_refuse(wrong, message):
    with pytest.raises(InputError, match=message):
        DCGANSettings.resolve(**wrong)


def test_the_animation_begins_with_its_end_has_a_frame_a_sample_and_stays_small():
    torch.manual_seed(0)
    base = torch.randint(0, 256, (24, 3, 8, 8)).float()
    samples = {
        step: torch.nn.functional.interpolate(base + step, (32, 32), mode="bilinear")
        .clamp(0, 255)
        .to(torch.uint8)
        for step in range(0, 16)
    }
    data = animate_samples(samples, columns=8, alt="x").data
    assert len(data) < 300 * 1024
    picture = Image.open(io.BytesIO(data))
    assert picture.n_frames == 17
    first = np.asarray(picture.convert("RGB"))
    picture.seek(16)
    assert first.std() > 10 and (first == np.asarray(picture.convert("RGB"))).all()


def test_curves_are_means_in_bands_and_all_scores_have_the_floor_of_real_images():
    steps = pd.DataFrame({term: [0.2, 0.4, 0.6] for term in dcgan.TERMS}, [1, 2, 3])
    figure = loss_curves({"a": steps, "b": steps})
    assert [ax.get_title() for ax in figure.axes[:2]] == ["a", "b"]
    assert [len(ax.collections) for ax in figure.axes] == [2] * 4  # a band a line
    assert list(figure.axes[2].lines[0].get_ydata()) == [0.2, 0.4, 0.6]
    scores = pd.DataFrame({"step": [1, 2], "distance": [9, 3], "precision": 0.7, "recall": 0.5})
    floor = {"distance": 1.0, "precision": 0.9, "recall": 0.8}
    left, right = score_curves(scores, floor, 50.0).axes
    assert [line.get_ydata()[0] for line in left.lines[1:]] == [1.0, 50.0]
    assert [line.get_ydata()[0] for line in right.lines[2:]] == [0.9, 0.8]
    plt.close("all")
