"""One training in several processes, which `torchrun` starts: gloo on CPUs, NCCL on GPUs.

Every process draws the whole batch and takes its share, so that N processes compute what one
would. Exact are the terms that are means over images; feature matching, pull-away and contrast see
the share alone, and so does batch norm on CPUs (on GPUs it is `SyncBatchNorm`).
"""

import contextlib
import os
from collections.abc import Iterator

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel


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
    """This process's part of a batch (B, …), B / world rows."""
    return batch[rank() :: world()]


def wrap(network: nn.Module, partly_idle: bool = False) -> nn.Module:
    """A network whose gradients are averaged over the processes; alone, the network itself.

    Several forward passes come before one backward pass, so batch-norm buffers are not broadcast
    in between. `partly_idle` says that some steps leave some of its layers out.
    """
    if world() == 1:
        return network
    return DistributedDataParallel(
        network, broadcast_buffers=False, find_unused_parameters=partly_idle
    )


def synchronized(network: nn.Module) -> nn.Module:
    """The network with batch norm over all processes, where they have GPUs."""
    if world() == 1 or not torch.cuda.is_available():
        return network
    return nn.SyncBatchNorm.convert_sync_batchnorm(network)


def agree(*values: float) -> list[float]:
    """What process 0 says: clocks and signals differ, decisions must not."""
    if world() == 1:
        return list(values)
    said = torch.tensor(values, dtype=torch.float64)
    distributed.broadcast(said, 0)
    return said.tolist()


def average(value: Tensor) -> Tensor:
    """Mean over the processes of what each of them measured on its share."""
    if world() == 1:
        return value
    total = value.clone()
    distributed.all_reduce(total)
    return total / world()


def _joined() -> bool:
    return distributed.is_available() and distributed.is_initialized()
