"""Augmentation: each image on its own, the same distribution for all, differentiable."""

import torch

from ssgan_core.data.augment import augment, quarter_turns


def test_strength_zero_only_flips():
    torch.manual_seed(0)
    images = torch.rand(32, 3, 16, 16)
    out = augment(images, strength=0)
    same = (out - images).abs().amax((1, 2, 3)) < 1e-4
    flipped = (out - images.flip(3)).abs().amax((1, 2, 3)) < 1e-4
    assert (same | flipped).all() and same.any() and flipped.any()


def test_each_image_moves_on_its_own():
    torch.manual_seed(0)
    out = augment(torch.rand(1, 3, 16, 16).expand(8, -1, -1, -1))
    distances = torch.pdist(out.flatten(1))
    assert distances.min() > 0.1


def test_content_stays_in_the_picture():
    """A bright square in the middle is still there, and its area changes by at most the zoom."""
    torch.manual_seed(0)
    images = torch.full((64, 3, 32, 32), -1.0)
    images[:, :, 12:20, 12:20] = 1.0
    area = (augment(images) > 0).float().mean((1, 2, 3)) * 32 * 32
    assert area.min() > 64 / 1.25**2 * 0.75
    assert area.max() < 64 * 1.25**2 * 1.25


def test_gradients_reach_the_images():
    images = torch.rand(4, 3, 16, 16, requires_grad=True)
    augment(images).square().mean().backward()
    assert images.grad.abs().sum() > 0


def test_the_seed_decides():
    images = torch.rand(4, 3, 16, 16)
    torch.manual_seed(5)
    first = augment(images)
    torch.manual_seed(5)
    assert torch.equal(first, augment(images))


def test_quarter_turns_can_be_undone_and_come_equally_often():
    images = torch.rand(8, 3, 6, 6)
    turned, turns = quarter_turns(images)
    assert turns.bincount().tolist() == [2, 2, 2, 2]
    for image, result, k in zip(images, turned, turns.tolist(), strict=True):
        assert torch.equal(torch.rot90(result, -k, (1, 2)), image)
    assert not torch.equal(turned[1], images[1])
