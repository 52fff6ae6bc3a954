"""What builds and publishes the book; nothing in `ssgan_core` knows of it."""

import ssgan_core  # noqa: F401 (Ctrl-C while a command imports is no traceback)
