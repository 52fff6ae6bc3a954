"""Adam's three ways are one update, where they read the gradient as it is."""

import torch
from torch import nn

from ssgan_core.bench import adam


def test_every_way_is_timed_on_every_network():
    table = adam.update_times({"one": nn.Linear(3, 2), "two": nn.Linear(4, 2)}, rounds=1, steps=1)
    assert table.index.tolist() == list(adam.WAYS) and table.columns.tolist() == ["one", "two"]
    assert (table > 0).all(axis=None)


def test_without_fusion_a_transposed_gradient_is_read_as_it_is():
    right = adam.moves_of_a_transposed_gradient().squeeze()
    assert right.drop("fused").tolist() == [1, 1] and 0 < right["fused"] <= 1


def test_the_gradients_of_a_layer_lie_in_the_order_of_its_weights():
    """So that fused Adam may be used: see tests/digits for the stacked layers."""
    layer = nn.Linear(5, 3)
    layer(torch.randn(2, 5)).square().sum().backward()
    assert layer.weight.grad.stride() == layer.weight.stride()
