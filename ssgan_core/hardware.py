"""Device, number format and memory layout, decided in one place."""

import contextlib
import ctypes
import platform
from dataclasses import dataclass
from typing import Self

import torch
from torch import nn

# glibc's mallopt (its manual, "Malloc Tunable Parameters")
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4


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
        return cls(
            torch.device("cpu"),
            bool(abilities.get("amx_tile") or abilities.get("avx512_bf16")),
        )

    def own_random_numbers(self) -> contextlib.AbstractContextManager:
        """Context after which PyTorch's generators are as they were before it."""
        return torch.random.fork_rng([self.device] if self.device.type == "cuda" else [])

    def autocast(self) -> contextlib.AbstractContextManager:
        """Context in which convolutions and matrix products run in bf16 where that pays."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)

    def place(self, module: nn.Module) -> nn.Module:
        """Move a network to the device, weights in the channels-last layout."""
        return module.to(self.device, memory_format=torch.channels_last)


def keep_freed_memory() -> None:
    """Let tensors take over the memory of freed ones, instead of asking the system each time.

    The system clears what it hands out: a tenth to a third of a step at 224 px on a CPU. Without
    glibc, nothing changes.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)  # bytes, the most that it takes
        libc.mallopt(M_TOP_PAD, 2**30)
