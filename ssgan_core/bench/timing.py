"""Seconds that calls take, and the least that this machine could take for the same work."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from ssgan_core.device import Hardware
from ssgan_core.photos.decode import quiet

SIDE = {"cpu": 2048, "cuda": 8192}  # of the square product whose rate counts as the machine's
COPIED = 2**26  # numbers in fp32, 256 MB: more than a cache holds


def race(calls: Mapping[str, Callable[[], object]], rounds: int, steps: int) -> dict[str, float]:
    """Seconds a call of each: the best of `rounds` of `steps` calls, after one to warm up.

    They take turns, so that other load on the machine hits all; the best round is the one that
    was disturbed least. On a GPU its work is waited for.
    """
    best = dict.fromkeys(calls, float("inf"))
    for call in calls.values():
        call()
    for _ in range(rounds):
        for name, call in calls.items():
            synchronize()
            start = time.perf_counter()
            for _ in range(steps):
                call()
            synchronize()
            best[name] = min(best[name], (time.perf_counter() - start) / steps)
    return best


class Work(TorchDispatchMode):
    """Counts what is computed inside: `operations` and `bytes`.

    Operations are those of convolutions and matrix products, a multiplication and an addition
    being two. Bytes are what these and the fused optimizers read and write, every tensor once in
    each of them: whatever comes between two of them could in principle be done on the way.
    """

    def __init__(self) -> None:
        super().__init__()
        self.operations, self.bytes = 0, 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        kind = func.overloadpacket
        if kind in flop_registry:
            self.operations += flop_registry[kind](*args, **(kwargs or {}), out_val=out)
            self.bytes += _bytes(args) + _bytes(out)
        elif str(kind).startswith("aten._fused_"):
            weights, gradients, *moments = args[:4]
            self.bytes += 2 * _bytes((weights, moments)) + _bytes(gradients)
        return out


def roofline(
    step: Callable[[], object],
    seconds: float,
    hardware: Hardware,
    rates: tuple[float, float] | None = None,
) -> pd.DataFrame:
    """The least milliseconds of a step on this machine, against the `seconds` that it takes.

    One row for its arithmetic and one for its bytes (see `Work`). Columns: how much of it one
    `step` has, in billions; how much the machine does in a second, its `machine_rates`, measured
    anew where they are not given; the milliseconds that this makes; and their share of the step's
    own.
    """
    with Work() as work:
        step()
    operations, copied = rates or machine_rates(hardware)
    rows = {
        "arithmetic": (work.operations / 1e9, operations / 1e9),
        "bytes": (work.bytes / 1e9, copied / 1e9),
    }
    columns = ["billions", "billions a second"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    table["ms a step"] = 1e3 * table["billions"] / table["billions a second"]
    table["share of ours"] = table["ms a step"] / (1e3 * seconds)
    return table.rename_axis("roofline")


def machine_rates(hardware: Hardware) -> tuple[float, float]:
    """Operations a second in a large square product, in the number format of a step, and bytes a
    second in a copy in memory."""
    return product_rate(hardware), copy_rate(hardware.device)


def product_rate(hardware: Hardware) -> float:
    """Operations a second in a square matrix product, in bf16 where the hardware has it."""
    side, dtype = SIDE[hardware.device.type], torch.bfloat16 if hardware.bf16 else torch.float32
    matrix = torch.randn(side, side, device=hardware.device).to(dtype)
    return 2 * side**3 / race({"product": lambda: matrix @ matrix}, rounds=5, steps=1)["product"]


def copy_rate(device: torch.device) -> float:
    """Bytes a second, those read and those written, in a copy on the device."""
    source = torch.zeros(COPIED, device=device)
    target = torch.empty_like(source)
    copy = {"copy": lambda: target.copy_(source)}
    return 2 * source.nbytes / race(copy, rounds=5, steps=1)["copy"]


def profile(step: Callable[[], object], steps: int, top: int) -> pd.DataFrame:
    """Where the host's time in a step goes: torch.profiler's self time, the `top` operations."""
    step()
    with quiet(), torch.profiler.profile(activities=[ProfilerActivity.CPU]) as profiler:
        for _ in range(steps):
            step()
    rows = [
        (event.key, event.self_cpu_time_total / 1e3 / steps, event.count / steps)
        for event in profiler.key_averages()
    ]
    frame = pd.DataFrame(rows, columns=["operation", "ms a step", "calls a step"])
    frame["share"] = frame["ms a step"] / frame["ms a step"].sum()
    return frame.nlargest(top, "ms a step").set_index("operation")


def _bytes(tensors: Any) -> int:
    return sum(leaf.nbytes for leaf in tree_leaves(tensors) if isinstance(leaf, Tensor))


def synchronize() -> None:
    """Wait until the GPU, where there is one, has done what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
