"""The judge's numbers, on cases with a known answer."""

import pytest
import torch
from photo_tables import dark_and_bright

from ssgan_core import losses
from ssgan_core.dcgan.score import frechet_distance, precision_recall, train_judge
from ssgan_core.photos.files import UNKNOWN


def test_shifted_and_stretched_features_lie_at_the_distance_of_the_formula():
    torch.manual_seed(0)
    x = torch.randn(500, 6) @ torch.randn(6, 6)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-6)
    shift = torch.arange(6.0)
    assert frechet_distance(x, x + shift) == pytest.approx(55, rel=1e-5)
    spread = x.double().T.cov().trace().item()
    assert frechet_distance(x, 3 * (x - x.mean(0)) + x.mean(0)) == pytest.approx(
        4 * spread, rel=1e-5
    )


def test_fewer_images_than_features_are_no_obstacle():
    torch.manual_seed(0)
    x, y = torch.randn(2, 10, 30)
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(y, x), rel=1e-6)
    assert frechet_distance(x, y) > 0


def test_precision_asks_whether_points_are_good_and_recall_whether_all_are_there():
    torch.manual_seed(0)
    cluster = torch.randn(200, 2)
    both = torch.cat([cluster, cluster + 100])
    near = cluster + 0.001
    assert precision_recall(both, near) == (1.0, 0.5)  # good, and half of the kinds are missing
    assert precision_recall(cluster, torch.cat([near, near + 50])) == (0.5, 1.0)
    assert precision_recall(cluster, cluster + 50) == (0.0, 0.0)


def test_the_penalty_is_the_squared_slope_and_can_be_descended():
    torch.manual_seed(0)
    slope = torch.randn(12, 1, requires_grad=True)
    images = torch.randn(5, 3, 2, 2, requires_grad=True)
    penalty = losses.gradient_penalty(images.flatten(1) @ slope, images)
    torch.testing.assert_close(penalty, slope.square().sum())
    penalty.backward()
    torch.testing.assert_close(slope.grad, 2 * slope)


def test_the_judge_puts_likely_images_before_unlikely_ones_and_reads_no_unknown_label():
    data = dark_and_bright(train=140, val=30, test=30)
    data.table.loc[:19, "label"] = UNKNOWN  # a loss on label −1 would raise
    judge, fit = train_judge(data, 40, width=8)
    images = data.images
    assert judge.reference.shape == (60, 64)
    assert fit.test["last"] > 0.9
    real, dark = judge(images[80:140]), judge(images[80:140:2].repeat(2, 1, 1, 1))
    black = judge(torch.zeros(60, 3, 32, 32, dtype=torch.uint8))
    assert real["distance"] < dark["distance"] < black["distance"]
    assert real["recall"] > 0.6 > 2 * dark["recall"]  # half of the kinds, so half at most
