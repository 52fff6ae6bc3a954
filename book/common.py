"""What the book's commands share; brings no other package, for machines that only record."""

import os
import sys
from collections.abc import Callable

DATA_VARIABLES = {"photos": "SSGAN_PHOTOS", "mnist": "SSGAN_MNIST"}  # kinds of data, exported


class BuildError(Exception):
    """The book cannot be built; the message is one line for a person."""


def say(line: str) -> None:
    """Progress as it comes; where nobody reads it any more, the work goes on in silence."""
    try:
        print(f"{line}\n", end="", flush=True)  # one write: chapters speak side by side
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def status_of(call: Callable[[], object]) -> int:
    """Exit status of a command: 0, or 1 where the book cannot be built, its faults a line each.

    An OSError, a full disk say, is such a fault.
    """
    try:
        call()
    except (BuildError, OSError) as error:
        for line in str(error).splitlines():
            print(f"error: {line}", file=sys.stderr)
        return 1
    return 0
