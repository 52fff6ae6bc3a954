"""A pool without processes, for tests of what the pools' users print."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any


class AtOnce(Executor):
    """Calls at once, in this thread: the product never trains in two threads of one process."""

    def __init__(self, *processes: Any):
        """Takes what a pool of processes takes."""

    def submit(self, call: Callable, /, *given: Any) -> Future:
        done = Future()
        try:
            done.set_result(call(*given))
        except Exception as error:
            done.set_exception(error)
        return done
