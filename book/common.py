"""What the book's commands share; brings no other package, for machines that only record."""

DATA_VARIABLES = {"photos": "SSGAN_PHOTOS", "mnist": "SSGAN_MNIST"}  # kinds of data, exported


class BuildError(Exception):
    """The book cannot be built; the message is one line for a person."""
