"""The ResNet classifier and the generator's ladder."""

import pytest
import torch
from torchvision.models import resnet18

from ssgan_core.errors import InputError
from ssgan_core.photos.networks import LADDERS, Generator, ResNet18


def test_full_width_network_is_torchvisions_resnet18():
    torch.manual_seed(0)
    theirs, ours = resnet18(num_classes=2).eval(), ResNet18(classes=2).eval()
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        torch.testing.assert_close(ours(images)[0], theirs(images))


@pytest.mark.parametrize(("stem", "size", "side"), [("imagenet", 64, 2), ("small", 64, 4)])
def test_the_small_stem_keeps_twice_the_resolution(stem, size, side):
    network = ResNet18(classes=3, width=8, stem=stem).eval()
    seen = []
    network.layer4.register_forward_hook(lambda *args: seen.append(args[2].shape[-1]))
    logits, features = network(torch.randn(2, 3, size, size))
    assert logits.shape == (2, 3) and features.shape == (2, 64)
    assert seen == [side]


@pytest.mark.parametrize("size", LADDERS)
def test_every_ladder_ends_at_its_size(size):
    for generator in (Generator(size, width=32), Generator(size, width=32, grows=True)):
        images = generator(torch.randn(2, 100))
        assert images.shape == (2, 3, size, size)
        assert images.abs().max() <= 1
    assert generator(torch.randn(2, 100), half=True).shape == (2, 3, size // 2, size // 2)


def test_the_articles_ladder_has_its_sides_and_channels():
    generator, shapes = Generator(224), []
    x = torch.randn(1, 100)[:, :, None, None]
    generator.eval()
    with torch.no_grad():
        for rung in generator.body:
            x = rung(x)
            shapes.append(tuple(x.shape[1:]))
    assert shapes == [(512, 7, 7), (256, 14, 14), (128, 28, 28), (64, 112, 112)]


def test_convolutions_start_at_the_dcgan_spread():
    torch.manual_seed(0)
    weight = Generator(32, width=256).head.weight
    assert weight.std().item() == pytest.approx(0.02, rel=0.05)


def test_another_size_is_refused_by_name():
    with pytest.raises(InputError, match="size is 48; the generator makes 32, 64, 128, 224"):
        Generator(48)
