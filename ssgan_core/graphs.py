"""Training steps recorded once as CUDA graphs: the host starts one operation, not thousands."""

from collections import Counter
from collections.abc import Callable

import torch
from torch import Tensor

from ssgan_core.parallel import world
from ssgan_core.ssgan.step import Learner

Step = Callable[..., dict[str, Tensor]]
EAGER = 3  # steps taken as usual before one is recorded: in them everything allocates


def fast(learner: Learner, step: Step) -> Step:
    """`step(learner, *batch)` as a function of the batch alone, the fastest way that is here.

    On a CUDA GPU from graphs, unless several processes share the training.
    """
    if learner.hardware.device.type == "cuda" and world() == 1:
        return Replayed(learner, step)
    return lambda *batch: step(learner, *batch)


class Replayed:
    """A step that is recorded once for every stage of a training, then replayed.

    A small network's step is thousands of operations of microseconds, and starting them takes the
    host longer than the GPU needs for all of them (CUDA C++ Programming Guide, "CUDA Graphs").
    A graph reads its batch where the first one lay, and everything else where it always is:
    weights, optimizer states, learning rates, and the seed of the random numbers. What is decided
    in Python is recorded as it was decided; a stage is everything on which that depends.
    """

    def __init__(self, learner: Learner, step: Step):
        self.learner, self.step = learner, step
        self.stream = torch.cuda.Stream()
        self.memory = torch.cuda.graph_pool_handle()
        self.taken: Counter = Counter()
        self.graphs: dict[tuple, tuple[torch.cuda.CUDAGraph, list[Tensor], dict]] = {}

    def __call__(self, *batch: Tensor) -> dict[str, Tensor]:
        """The terms of one step, valid until the next."""
        shapes = tuple(part.shape for part in batch)
        stage = (self.learner.reduction, self.learner.generates, shapes)
        self.taken[stage] += 1
        if self.taken[stage] <= EAGER:
            return self._eager(batch)
        if stage not in self.graphs:
            self.graphs[stage] = self._record(batch)
        graph, inputs, terms = self.graphs[stage]
        for held, part in zip(inputs, batch, strict=True):
            held.copy_(part, non_blocking=True)
        graph.replay()
        return terms

    def _eager(self, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """On a stream of its own, as PyTorch asks of what comes before a recording."""
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            terms = self.step(self.learner, *batch)
        torch.cuda.current_stream().wait_stream(self.stream)
        return terms

    def _record(
        self, batch: tuple[Tensor, ...]
    ) -> tuple[torch.cuda.CUDAGraph, list[Tensor], dict[str, Tensor]]:
        """A graph of one step, which it does not take, and where it reads and writes."""
        device, graph = self.learner.hardware.device, torch.cuda.CUDAGraph()
        inputs = [part.to(device, copy=True) for part in batch]
        with torch.cuda.graph(graph, pool=self.memory, stream=self.stream):
            terms = self.step(self.learner, *inputs)
        return graph, inputs, terms
