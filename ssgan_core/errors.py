"""The one error that bad input raises, and the system's errors in words."""

import errno
import os


class InputError(ValueError):
    """A file, row or parameter that a person gave cannot be used.

    The message is one sentence that names it, says what was found and what is accepted.
    """


def explain(error: OSError) -> str:
    """What the system says has gone wrong, without the file's name."""
    words = error.strerror or str(error)
    return "no space left on the disk" if words == os.strerror(errno.ENOSPC) else words
