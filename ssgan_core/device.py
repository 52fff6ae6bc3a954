"""Where a training runs: number format, memory layout, several processes, CUDA graphs.

One training in several processes (`torchrun`; gloo on CPUs, NCCL on GPUs): every process draws the
whole batch and takes its share, and gradients are averaged, so that N processes compute what one
would. Exact are the terms that are means over images; feature matching, pull-away and contrast see
the share alone, and so does batch norm on CPUs (on GPUs it is `SyncBatchNorm`).
"""

import contextlib
import ctypes
import os
import platform
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, distributed, nn

# glibc's mallopt (its manual, "Malloc Tunable Parameters")
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
EAGER = 3  # steps taken as usual before one is captured: in them everything allocates

Step = Callable[..., dict[str, Tensor]]


@dataclass(frozen=True)
class Hardware:
    """Where and in which number format a network runs.

    bf16 keeps fp32's range, so no loss scaling is needed; convolutions gain from it, and from
    the channels-last layout, wherever the processor multiplies bf16 natively.
    """

    device: torch.device
    bf16: bool

    @classmethod
    def detect(cls) -> Self:
        """The first CUDA GPU where there is one; bf16 where the hardware computes in it."""
        if torch.cuda.is_available():
            return cls(torch.device("cuda"), torch.cuda.is_bf16_supported(False))
        abilities = torch.cpu.get_capabilities()
        bf16 = abilities.get("amx_tile") or abilities.get("avx512_bf16")
        return cls(torch.device("cpu"), bool(bf16))

    def autocast(self) -> contextlib.AbstractContextManager:
        """Context in which convolutions and matrix products run in bf16 where that pays."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)

    def rate(self, rate: float) -> float | Tensor:
        """A learning rate for an optimizer: on a GPU where captured steps read it."""
        return torch.tensor(rate, device=self.device) if self.device.type == "cuda" else rate

    def place(self, module: nn.Module) -> nn.Module:
        """Move a network to the device, weights in the channels-last layout."""
        return module.to(self.device, memory_format=torch.channels_last)


def keep_freed_memory() -> None:
    """Let tensors take over the memory of freed ones, for the rest of this process.

    Otherwise the system is asked each time and clears what it hands out: a tenth to a third of a
    step at 224 px on a CPU. Without glibc, nothing changes.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)  # bytes, the most that it takes
        libc.mallopt(M_TOP_PAD, 2**30)


@contextlib.contextmanager
def own_random_numbers() -> Iterator[None]:
    """Inside, PyTorch's generators may be seeded at will; afterwards they are as before."""
    with torch.random.fork_rng(["cuda"] if torch.cuda.is_available() else []):
        yield


@contextlib.contextmanager
def processes() -> Iterator[None]:
    """Join the processes that `torchrun` started; a process alone has nothing to join."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield
    finally:
        distributed.destroy_process_group()


def rank() -> int:
    """This process's number; 0 writes files and reports."""
    return distributed.get_rank() if _joined() else 0


def world() -> int:
    """How many processes train together."""
    return distributed.get_world_size() if _joined() else 1


def share(batch: Tensor) -> Tensor:
    """This process's rows (B / world, …) of a batch (B, …)."""
    return batch[rank() :: world()]


def synchronized(network: nn.Module) -> nn.Module:
    """The network with batch norm over all processes, where they have GPUs."""
    if world() == 1 or not torch.cuda.is_available():
        return network
    return nn.SyncBatchNorm.convert_sync_batchnorm(network)


def broadcast(*values: float) -> list[float]:
    """Process 0's values, in every process: clocks and signals differ, decisions must not."""
    if world() == 1:
        return list(values)
    sent = torch.tensor(values, dtype=torch.float64)
    distributed.broadcast(sent, 0)
    return sent.tolist()


def average(value: Tensor) -> Tensor:
    """Mean of a tensor over the processes."""
    if world() == 1:
        return value
    total = value.clone()
    distributed.all_reduce(total)
    return total / world()


def descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """One step of an optimizer down the sum of `loss`, by the mean gradient of all processes.

    Only what the optimizer holds gets a gradient: a generator's loss passes through the
    discriminator and leaves it alone.
    """
    weights = [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]
    optimizer.zero_grad(set_to_none=True)
    loss.sum().backward(inputs=weights)
    if world() > 1:
        gradients = [p.grad for p in weights if p.grad is not None]
        mean = average(torch.cat([gradient.flatten() for gradient in gradients]))
        sizes = [gradient.numel() for gradient in gradients]
        for gradient, part in zip(gradients, mean.split(sizes), strict=True):
            gradient.copy_(part.view(gradient.shape))
    optimizer.step()


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Change an optimizer's learning rate, where it lies on a GPU in place."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def captured(step: Step, device: torch.device) -> Step:
    """`step(stage, *batch)`, replayed from CUDA graphs on a GPU; elsewhere the step itself.

    Several processes that share a training take their steps one by one.
    """
    return Captured(step) if device.type == "cuda" and world() == 1 else step


class Captured:
    """A step that is captured once for every stage of a training, then replayed.

    A small network's step is thousands of operations of microseconds, and starting them takes the
    host longer than the GPU needs for all of them (CUDA C++ Programming Guide, "CUDA Graphs").
    A graph reads its batch where the first one lay, and everything else where it always is:
    weights, optimizer states, learning rates, and the seed of the random numbers. What is decided
    in Python is captured as it was decided, so `stage` must hold everything on which that depends.
    """

    def __init__(self, step: Step):
        self.step = step
        self.stream = torch.cuda.Stream()
        self.memory = torch.cuda.graph_pool_handle()
        self.taken: Counter = Counter()
        self.graphs: dict[tuple, tuple[torch.cuda.CUDAGraph, list[Tensor], dict]] = {}

    def __call__(self, stage: Hashable, *batch: Tensor) -> dict[str, Tensor]:
        """The terms of one step, valid until the next."""
        key = (stage, *(part.shape for part in batch))
        self.taken[key] += 1
        if self.taken[key] <= EAGER:
            return self._eager(stage, batch)
        if key not in self.graphs:
            self.graphs[key] = self._capture(stage, batch)
        graph, inputs, terms = self.graphs[key]
        for held, part in zip(inputs, batch, strict=True):
            held.copy_(part, non_blocking=True)
        graph.replay()
        return terms

    def _eager(self, stage: Hashable, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """On a stream of its own, as PyTorch asks of what comes before a capture."""
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            terms = self.step(stage, *batch)
        torch.cuda.current_stream().wait_stream(self.stream)
        return terms

    def _capture(
        self, stage: Hashable, batch: tuple[Tensor, ...]
    ) -> tuple[torch.cuda.CUDAGraph, list[Tensor], dict[str, Tensor]]:
        """A graph of one step, which it does not take, and where it reads and writes."""
        graph, inputs = torch.cuda.CUDAGraph(), [part.to("cuda", copy=True) for part in batch]
        with torch.cuda.graph(graph, pool=self.memory, stream=self.stream):
            terms = self.step(stage, *inputs)
        return graph, inputs, terms


def _joined() -> bool:
    return distributed.is_available() and distributed.is_initialized()
