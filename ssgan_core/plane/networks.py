"""Small networks for points in the plane, stacked so that many runs train as one tensor program."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from ssgan_core.errors import InputError


class StackedMLP(nn.Module):
    """R independent multilayer perceptrons of one shape, evaluated together.

    Layer weights have shape (R, inputs, outputs) and one `torch.baddbmm` a layer serves all runs.
    Run r is initialised from `seeds[r]` alone, so it is the same network in a stack of any size.

    Parameters
    ----------
    sizes : widths from input to output, such as (2, 64, 64, 2).
    seeds : one integer a run.
    tied_outputs : start every output unit of a run with the same weights. The K logits of a
        classifier are then equal everywhere, and stay so until a loss tells the classes apart.
    """

    def __init__(self, sizes: Sequence[int], seeds: Sequence[int], tied_outputs: bool = False):
        super().__init__()
        if len(sizes) < 2:
            raise InputError(f"sizes needs at least input and output widths, found {tuple(sizes)}")
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        randoms = [torch.Generator().manual_seed(seed) for seed in seeds]
        for inputs, outputs in pairwise(sizes):
            bound = 1 / math.sqrt(inputs)
            draws = [torch.rand(inputs + 1, outputs, generator=random) for random in randoms]
            layer = (torch.stack(draws) * 2 - 1) * bound
            self.weights.append(nn.Parameter(layer[:, :-1] * math.sqrt(2)))
            self.biases.append(nn.Parameter(layer[:, -1:].clone()))
        if tied_outputs:
            with torch.no_grad():
                self.weights[-1].copy_(self.weights[-1][..., :1].expand_as(self.weights[-1]))
                self.biases[-1].copy_(self.biases[-1][..., :1].expand_as(self.biases[-1]))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs (R, B, K), features (R, B, F) of x (R, B, inputs), or (B, inputs) for all."""
        if x.ndim == 2:
            x = x.expand(len(self.weights[0]), -1, -1)
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = leaky_relu(torch.baddbmm(bias, x, weight), 0.1)
        return torch.baddbmm(self.biases[-1], x, self.weights[-1]), x
