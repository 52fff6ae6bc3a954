"""Rings, moons and label draws: reproducible, balanced, and refused when they make no sense."""

import pytest
import torch

from ssgan_core.errors import InputError
from ssgan_core.plane.points import article_labels, draw_labeled, draw_many, moons, rings
from ssgan_core.plane.settings import RingSettings


def test_rings_have_their_radii_and_a_test_cloud_of_their_own():
    data = rings(400)
    radius = data.points.norm(dim=-1)
    assert radius[data.classes == 0].mean() == pytest.approx(1, abs=0.02)
    assert radius[data.classes == 1].mean() == pytest.approx(0.5, abs=0.02)
    assert data.points.shape == data.test_points.shape == (400, 2)
    assert not data.points.equal(data.test_points)
    assert data.gap == pytest.approx((0.65, 0.85))


def test_data_depends_on_the_seed_alone():
    assert rings(100).checksum == rings(100).checksum
    assert rings(100).checksum != rings(100, seed=1).checksum
    assert rings(100).checksum != moons(100).checksum


@pytest.mark.parametrize("noise", [-0.01, 0.09, float("nan")])
def test_noise_that_merges_the_clouds_is_refused_with_its_range(noise):
    with pytest.raises(InputError, match=r"'noise' is .*accepted.*0 to 0\.083"):
        rings(noise=noise)
    with pytest.raises(InputError, match=r"'noise' is .*accepted: 0 to 0\.08"):
        moons(noise=noise)


@pytest.mark.parametrize("per_class", [0, -1, 51])
def test_zero_labels_and_more_labels_than_points_are_refused(per_class):
    with pytest.raises(InputError, match=rf"'labels_per_ring' is {per_class}; accepted: 1 to 50"):
        draw_labeled(rings(100).classes, per_class, seed=0)


def test_settings_name_the_parameter_and_its_range():
    with pytest.raises(InputError, match=r"'labels_per_ring' is 0 .* ≥ 1"):
        RingSettings.resolve(labels_per_ring=0)


def test_a_draw_is_balanced_distinct_and_a_function_of_its_seed():
    classes = rings(200).classes
    rows = draw_labeled(classes, 5, seed=3)
    assert classes[rows].tolist() == [0] * 5 + [1] * 5
    assert len(rows.unique()) == 10
    assert rows.equal(draw_labeled(classes, 5, seed=3))
    assert not rows.equal(draw_labeled(classes, 5, seed=4))


def test_draws_of_different_sizes_share_a_width_without_changing_the_mean():
    classes = rings(200).classes
    table = draw_many(classes, 2, draws=3, seed=0, width=16)
    assert table.shape == (3, 16)
    assert all((row.bincount(minlength=200)[row.unique()] == 4).all() for row in table)
    with pytest.raises(InputError, match="multiple of 6"):
        draw_many(classes, 3, draws=3, seed=0, width=16)


def test_the_articles_draw_has_four_labels_outside_and_three_inside():
    data = rings(400)
    rows = article_labels(data)
    assert data.classes[rows].tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert len(rows.unique()) == 7
    assert torch.is_tensor(rows)
