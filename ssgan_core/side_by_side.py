"""Trainings side by side on one GPU: a process each, as many as its memory holds.

Small networks leave much of a GPU idle. NVIDIA's MPS lets the processes' work overlap there;
without it they take turns.
"""

import multiprocessing
import os
import sys
from collections.abc import Callable, Mapping
from multiprocessing.connection import wait
from typing import Any

import torch

from ssgan_core.process import end_with_parent

MOST = 8  # trainings at a time; more of them gained nothing on an H200
CONTEXT = 2**30  # bytes that a process takes on a GPU beside its tensors, roughly


def how_many(trial: Callable[[], object], wanted: int, report: Callable[[str], None]) -> int:
    """How many of the `wanted` trainings run side by side: on a CPU 1, on a GPU those that fit.

    What one of them takes is measured: `trial` makes a few steps of the largest. Where the GPU's
    memory holds fewer than `MOST`, `report` is told.
    """
    wanted = min(wanted, MOST)
    if not torch.cuda.is_available() or wanted == 1:
        return 1
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    trial()
    each = torch.cuda.max_memory_reserved() + CONTEXT
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info()
    held = max(1, min(wanted, free // each))
    if held < wanted:
        report(f"{held} of {wanted} trainings side by side: each takes {each / 2**30:.1f} GB, "
               f"{free / 2**30:.1f} GB are free on the GPU")  # fmt: skip
    return held


def run_side_by_side(
    work: Callable[..., object],
    tasks: Mapping[str, tuple[Any, ...]],
    jobs: int,
    report: Callable[[str], None],
) -> None:
    """Call `work(*arguments)` for every task in a process of its own, `jobs` of them at a time.

    A process that fails or is killed is reported and stops no other. The processes end with this
    one, and when it is interrupted they are asked to, so that their trainings are saved.
    """
    spawn, threads = multiprocessing.get_context("spawn"), max(1, torch.get_num_threads() // jobs)
    waiting, running = dict(tasks), {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                name = next(iter(waiting))
                given = (work, threads, waiting.pop(name))
                process = spawn.Process(target=_alone, args=given, name=name)
                process.start()
                running[process.sentinel] = process
            for sentinel in wait(list(running)):
                process = running.pop(sentinel)
                process.join()
                ended = f"ended early, status {process.exitcode}" if process.exitcode else "done"
                report(f"{process.name}: {ended}")
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.join()


def _alone(work: Callable[..., object], threads: int, arguments: tuple[Any, ...]) -> None:
    end_with_parent()
    os.setpgrp()  # a Ctrl-C asks the parent, which asks once: a second asking would save nothing
    torch.set_num_threads(threads)
    try:
        work(*arguments)
    except KeyboardInterrupt:  # as it was asked to; the training is saved
        sys.exit(130)
