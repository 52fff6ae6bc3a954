"""Damaged photos, decoded in a process of its own: python tests/photos/hostile.py FOLDER BACKEND.

Prints one line of JSON: the faults by file, the seconds of the slowest, the memory that all took.
"""

import json
import re
import sys
import time
from pathlib import Path

import numpy as np

from ssgan_core.photos.decode import quiet
from ssgan_core.photos.files import scan
from ssgan_core.photos.loader import decoder_of

MARKS = [0xC0, 0xC2, 0xC4, 0xDA, 0xDB, 0xDD, 0xE0, 0xE1, 0xFE]


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """A photo after one of the accidents that files meet, or an attack on its headers."""
    changed = bytearray(data)
    kind, at = rng.integers(8), int(rng.integers(2, len(data)))
    head = int(rng.integers(2, 700))  # where the headers lie
    if kind == 0:  # a bit
        changed[at] ^= 1 << int(rng.integers(8))
    elif kind == 1:  # a byte of the headers
        changed[head] = int(rng.integers(256))
    elif kind == 2:  # cut off
        return data[:at]
    elif kind == 3:  # a hole in the middle, but with an end
        return data[:at] + data[min(len(data) - 2, at + int(rng.integers(1, 3000))) :]
    elif kind == 4:  # a run of one byte
        changed[at : at + 400] = bytes([int(rng.integers(256))]) * len(changed[at : at + 400])
    elif kind == 5:  # another size in the frame header
        frame = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
        changed[frame + 5 : frame + 9] = rng.bytes(4)
    elif kind == 6:  # a segment of nonsense
        segment = bytes([0xFF, int(rng.choice(MARKS)), 0, int(rng.integers(2, 200))])
        return data[:2] + segment + rng.bytes(segment[3] - 2) + data[2:]
    else:  # two photos in one
        return data[:at] + data[head:]
    return bytes(changed)


def main(folder: str, backend: str) -> None:
    photos, faults, slowest = scan(folder), {}, 0.0
    batches = np.split(np.arange(len(photos)), range(16, len(photos), 16))
    decoder = decoder_of(backend)
    with quiet():
        list(decoder(photos, batches[:1], 64))  # what loading the libraries takes is not counted
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
        before = peak()
        started = time.perf_counter()
        for decoded in decoder(photos, batches, 64):
            slowest = max(slowest, time.perf_counter() - started)
            started = time.perf_counter()
            assert decoded.images.shape[1:] == (3, 64, 64)
            assert len(decoded.rows) == len(decoded.images)
            faults |= {photos.table["path"][row]: reason for row, reason in decoded.faults}
    print(json.dumps({"faults": faults, "slowest_s": slowest, "kilobytes": peak() - before}))


def peak() -> int:
    """The most memory that this process has held, in kilobytes (Linux)."""
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1])


if __name__ == "__main__":
    main(*sys.argv[1:])
