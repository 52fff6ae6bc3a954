"""The one error that bad input raises."""


class InputError(ValueError):
    """A file, row or parameter that a person gave cannot be used.

    The message is one sentence that names it, says what was found and what is accepted.
    """
