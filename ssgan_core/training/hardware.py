"""Device, number format and memory layout, decided in one place."""

import contextlib
from dataclasses import dataclass
from typing import Self

import torch
from torch import nn


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
