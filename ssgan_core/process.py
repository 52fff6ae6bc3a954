"""A process: the cores it may use, and the signals that ask it to stop.

These are Ctrl-C, SIGTERM, and SIGHUP when its terminal closes.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator

STOPS = [number for number in signal.Signals if number.name in ("SIGINT", "SIGTERM", "SIGHUP")]


def cores() -> int:
    """The processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads_of(jobs: int) -> int:
    """Threads for each of so many processes: their share of the cores, or OMP_NUM_THREADS."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdecimal() and int(given) else max(1, cores() // jobs)


@contextlib.contextmanager
def on_stop(handle: Callable[[str], object]) -> Iterator[None]:
    """Inside, such a signal calls `handle` with its name; afterwards it does what it did before.

    SIGHUP stays ignored where it was, as nohup wants it. Signals reach the main thread alone: in
    another thread nothing changes.
    """
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.getsignal(number) for number in STOPS}
    try:
        for number, handler in before.items():
            if (number.name, handler) != ("SIGHUP", signal.SIG_IGN):
                signal.signal(number, lambda number, frame: handle(signal.Signals(number).name))
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_with_parent() -> None:
    """In a process of `multiprocessing`: end when the one that started it is killed, in mid-work
    too."""

    def wait() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
