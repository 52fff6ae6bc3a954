"""What a training needs that is left alone: a stop that loses nothing, an estimate, a warning."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

COLLAPSED = 0.1  # generated images that vary less than this share of the real ones are all alike


@dataclass
class Stop:
    """Whether somebody asked for an end."""

    asked: bool = False


@contextlib.contextmanager
def graceful_stop() -> Iterator[Stop]:
    """Turn the first Ctrl-C (or SIGTERM) into a request; a second one interrupts at once.

    Signals reach the main thread alone: in another thread nothing changes.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(number: int, frame: object) -> None:
        if stop.asked:
            raise KeyboardInterrupt
        stop.asked = True

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def remaining(seconds: float, progress: float) -> str:
    """How long the rest will take at the pace so far, `12 min to go`; progress in (0, 1]."""
    left = seconds * (1 - progress) / progress
    if left < 90:
        return f"{left:.0f} s to go"
    return f"{left / 60:.0f} min to go" if left < 90 * 60 else f"{left / 3600:.1f} h to go"


def variety(generated: Tensor, real: Tensor) -> float:
    """How much generated images differ from each other, against how much real ones do.

    The standard deviation of a pixel over the images, averaged over the pixels: 1 where they
    vary alike, near 0 where the generator has collapsed to one image. Shapes: (N, 3, S, S).
    """
    spread, usual = (images.float().std(0).mean().item() for images in (generated, real))
    return spread / max(usual, 1e-6)
