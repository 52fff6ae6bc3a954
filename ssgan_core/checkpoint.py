"""Checkpoints: they survive a kill or a full disk, and hold tensors and plain values only."""

import warnings
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ssgan_core.errors import InputError, apart, explain
from ssgan_core.paths import whole_file


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write `state`; the file is always either the previous checkpoint or the whole new one.

    Raises OSError where the disk is full.
    """
    with whole_file(path) as partial, partial.open("wb") as file:
        try:
            torch.save(state, file)
        except RuntimeError as error:
            if isinstance(error.__context__, OSError):  # torch buries what the system said
                raise error.__context__ from None
            raise


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """The state that `save_checkpoint` wrote, on the CPU, or None where there is none.

    Networks and optimizers move what they load to where they are. Loaded with
    `weights_only=True`: a checkpoint cannot run code. Raises InputError for any other file.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {explain(error)}") from error
    with file, warnings.catch_warnings(action="ignore"):
        try:
            state = torch.load(file, map_location="cpu", weights_only=True)
        except Exception:  # torch has many, some of which advise to run the code in the file
            state = None
    if not isinstance(state, dict):
        raise InputError(f"{path} is no checkpoint of this package, or not a whole one")
    return state


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
    if differ := apart(theirs, identity):
        raise InputError(
            f"{path} is a checkpoint of another training ({differ}); "
            "remove it, or give another folder"
        )
    return saved


def checksum(numbers: Tensor) -> int:
    """A short number that tells tensors apart, for the identity of a training."""
    return zlib.crc32(numbers.contiguous().numpy())
