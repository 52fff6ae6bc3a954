"""What a killed training needs to go on exactly: checkpoints, and seeds of single steps.

Checkpoints survive a kill or a full disk, and hold tensors and plain values only.
"""

import zlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ssgan_core.errors import InputError
from ssgan_core.paths import whole_file

SPREAD = 0x9E3779B1  # odd, near 2³² divided by the golden ratio: multiples spread evenly (Knuth)


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write `state`; the file is always either the previous checkpoint or the whole new one.

    Raises OSError where the disk is full.
    """
    try:
        with whole_file(path) as partial:
            torch.save(state, partial)
    except RuntimeError as error:  # torch's word for a write that failed
        raise OSError(f"{path} could not be written: {error}") from error


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """The state that `save_checkpoint` wrote, on the CPU, or None where there is none.

    Networks and optimizers move what they load to where they are. Loaded with
    `weights_only=True`: a checkpoint cannot run code.

    Raises
    ------
    InputError
        The file is not a checkpoint.
    """
    if not path.exists():
        return None
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise InputError(f"{path} is not a checkpoint of this package: {error}") from error


def resume_checkpoint(path: Path | None, identity: dict[str, Any]) -> dict[str, Any] | None:
    """The checkpoint of the training that `identity` describes; None where there is none.

    `identity` holds plain values, and was saved under that name.

    Raises
    ------
    InputError
        The file is not a checkpoint, or that of another training; says in what it differs.
    """
    saved = load_checkpoint(path) if path else None
    if saved is None:
        return None
    theirs = saved.get("identity")
    theirs = theirs if isinstance(theirs, dict) else {}
    differ = [key for key, value in identity.items() if theirs.get(key) != value]
    if differ:
        here = ", ".join(f"{key} {identity[key]!r}" for key in differ)
        there = ", ".join(f"{key} {theirs.get(key)!r}" for key in differ)
        raise InputError(f"{path} is a checkpoint of another training ({there}, not {here})")
    return saved


def checksum(numbers: Tensor) -> int:
    """A short number that tells tensors apart, for the identity of a training."""
    return zlib.crc32(numbers.contiguous().numpy())


def seed_step(seed: int, step: int) -> None:
    """Seed torch's default generators with a number that this seed and step give.

    On a CPU only its low 32 bits count. The steps of a seed follow one another there, and those of
    different seeds begin far apart.
    """
    torch.manual_seed((seed * SPREAD + step + 1) % 2**32)
