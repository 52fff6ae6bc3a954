"""Adam's update one tensor at a time, in lists and fused: how long it takes, and what it reads."""

from collections.abc import Mapping

import pandas as pd
import torch
from torch import nn

from ssgan_core.bench.timing import race

WAYS = {
    "one tensor at a time": {"foreach": False},
    "lists of tensors": {"foreach": True},
    "fused": {"fused": True},
}


def update_times(networks: Mapping[str, nn.Module], rounds: int, steps: int) -> pd.DataFrame:
    """Milliseconds of an update of all weights of a network, a column each, by the way it is made.

    `race` says how they are timed; the gradients are the weights themselves.
    """
    table = {}
    for title, network in networks.items():
        weights = [weight for weight in network.parameters() if weight.requires_grad]
        for weight in weights:
            weight.grad = weight.detach().clone()
        calls = {
            name: torch.optim.Adam(weights, 1e-6, **options).step for name, options in WAYS.items()
        }
        table[title] = {name: 1e3 * value for name, value in race(calls, rounds, steps).items()}
    return pd.DataFrame(table)


def moves_of_a_transposed_gradient() -> pd.DataFrame:
    """How often each way moves a weight against its gradient, as it should: a share of 1.

    The gradient is a transposed view, as that of a stacked layer is; Adam's first step has the
    size of its rate and the sign of the gradient.
    """
    random = torch.Generator().manual_seed(0)
    gradient = torch.randn(64, 32, generator=random).T
    right = {}
    for name, options in WAYS.items():
        weight = nn.Parameter(torch.zeros(32, 64))
        weight.grad = gradient
        torch.optim.Adam([weight], 0.1, **options).step()
        right[name] = (weight.sign() == -gradient.sign()).double().mean().item()
    return pd.DataFrame({"weights moved against their gradient": right})
