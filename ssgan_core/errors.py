"""The one error that bad input raises, and the system's errors in words."""

import errno
import os
from collections.abc import Callable, Mapping
from typing import Any


class InputError(ValueError):
    """A file, row or parameter that a person gave cannot be used.

    The message is one sentence that names it, says what was found and what is accepted.
    """


def apart(
    theirs: Mapping[str, Any], ours: Mapping[str, Any], show: Callable[[Any], str] = repr
) -> str:
    """Where a record differs from `ours`, `seed 1, not seed 0`; empty where it holds all of it."""
    names = [name for name, value in ours.items() if theirs.get(name) != value]
    there, here = (
        ", ".join(f"{name} {show(record.get(name))}" for name in names) for record in (theirs, ours)
    )
    return f"{there}, not {here}" if names else ""


def explain(error: OSError) -> str:
    """What the system says has gone wrong, without the file's name."""
    words = error.strerror or str(error)
    return "no space left on the disk" if words == os.strerror(errno.ENOSPC) else words
