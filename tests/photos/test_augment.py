"""Augmentation: each image on its own, the same distribution for all, differentiable."""

import torch

from ssgan_core.photos import augment as module
from ssgan_core.photos.augment import augment, augment_strongly, crop_and_recolor, quarter_turns


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


def test_the_strong_view_tints_and_hides_half_a_side(monkeypatch):
    """On images of three gray channels whose mean is 0, which is what the square shows."""
    monkeypatch.setattr(module, "augment", lambda images, strength: images)
    torch.manual_seed(0)
    images = torch.tensor([-0.5, 0, 0.5]).view(1, 3, 1, 1).expand(64, 3, 16, 16)
    out = augment_strongly(images)
    hidden = (out.abs() < 1e-6).all(1)
    share = hidden.float().mean((1, 2))
    assert share.max() == 0.25 and share.min() >= 1 / 16
    red = torch.stack([image[0][~h][0] / -0.5 for image, h in zip(out, hidden, strict=True)])
    assert 0.7 <= red.min() < 0.8 and 1.2 < red.max() <= 1.3


def test_places_are_exact_where_numbers_are_half_as_long():
    """bf16 would lose a shift of half a pixel, and for some images only."""
    images = torch.rand(4, 3, 64, 64)
    torch.manual_seed(0)
    exact = augment(images)
    torch.manual_seed(0)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(augment(images), exact)


def test_processes_draw_together_what_one_would(monkeypatch):
    images = torch.rand(8, 3, 16, 16)

    def views(part):
        torch.manual_seed(0)
        return augment_strongly(part), *quarter_turns(part)

    whole = views(images)
    monkeypatch.setattr(module, "world", lambda: 2)
    for rank in range(2):
        monkeypatch.setattr(module, "rank", lambda rank=rank: rank)
        monkeypatch.setattr(module, "share", lambda batch, rank=rank: batch[rank::2])
        for mine, theirs in zip(views(images[rank::2]), whole, strict=True):
            assert torch.equal(mine, theirs[rank::2])


def test_crops_are_parts_of_the_image_in_other_colors():
    """On a ramp, a crop's range is a part of the whole one's, as its side is of the whole side."""
    torch.manual_seed(0)
    ramp = torch.linspace(-1, 1, 64).expand(256, 3, 64, 64)
    out = crop_and_recolor(ramp)
    assert out.shape == ramp.shape
    rising = out.mean(2)[..., 1:-1].diff(dim=-1).mean((1, 2)) > 0
    assert 0.35 < rising.float().mean() < 0.65  # flipped or not
    gray = (out.amax(1) - out.amin(1)).amax((1, 2)) < 1e-5
    assert 0.1 < gray.float().mean() < 0.3
    spans = (out.amax((1, 2, 3)) - out.amin((1, 2, 3))) / 2
    assert spans.min() < 0.4 and spans.max() > 0.9
    images = torch.rand(4, 3, 16, 16, requires_grad=True)
    crop_and_recolor(images).square().mean().backward()
    assert images.grad.abs().sum() > 0
