"""What a killed training needs to go on exactly: checkpoints, and seeds of single steps.

Checkpoints survive a kill or a full disk, and hold tensors and plain values only.
"""

import os
from pathlib import Path
from typing import Any

import torch

from ssgan_core.errors import InputError


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write `state`; the file is always either the previous checkpoint or the whole new one.

    Raises OSError where the disk is full.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        torch.save(state, partial)
        os.replace(partial, path)
    except RuntimeError as error:  # torch's word for a write that failed
        raise OSError(f"{path} could not be written: {error}") from error
    finally:
        partial.unlink(missing_ok=True)


def load_checkpoint(path: Path, device: torch.device | str = "cpu") -> dict[str, Any] | None:
    """The state that `save_checkpoint` wrote, or None where there is none.

    Loaded with `weights_only=True`: a checkpoint cannot run code.

    Raises
    ------
    InputError
        The file is not a checkpoint.
    """
    if not path.exists():
        return None
    try:
        return torch.load(path, map_location=device, weights_only=True)
    except Exception as error:
        raise InputError(f"{path} is not a checkpoint of this package: {error}") from error


def seed_step(seed: int, step: int) -> None:
    """Seed torch's default generators with a number that only this seed and step give."""
    torch.manual_seed((seed << 32) + step + 1)
