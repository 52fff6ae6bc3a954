"""Checkpoints: they survive a kill or a full disk, and hold tensors and plain values only."""

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ssgan_core.errors import InputError
from ssgan_core.paths import whole_file


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
    `weights_only=True`: a checkpoint cannot run code. Raises InputError for any other file.
    """
    if not path.exists():
        return None
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise InputError(f"{path} is not a checkpoint of this package: {error}") from error


def resume_checkpoint(path: Path | None, identity: Mapping[str, Any]) -> dict[str, Any] | None:
    """The checkpoint of the training that `identity` describes; None where there is none.

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
