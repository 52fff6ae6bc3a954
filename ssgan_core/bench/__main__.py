"""How fast the book's programs are on this machine."""

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any

import torch

from ssgan_core.bench import digits, graphs, loader, plane, step
from ssgan_core.bench.timing import roofline
from ssgan_core.command_line import Subcommands, run_subcommand, tell
from ssgan_core.device import Hardware
from ssgan_core.digits.images import load_digits
from ssgan_core.errors import InputError
from ssgan_core.photos.loader import choose_backend
from ssgan_core.photos.networks import LADDERS
from ssgan_core.process import cores
from ssgan_core.results import device_name

Options = argparse.Namespace


def time_step(given: Options) -> None:
    """A training step of the article's recipe, the usual loop's and the least possible."""
    hardware = Hardware.detect()
    say_step(hardware, given.size, given.labels, given.unlabeled)
    setting = step.Setting(given.size, given.width, given.labels, given.unlabeled, hardware)
    table = step.speeds(setting, given.rounds, given.steps)
    print(table.round(3).to_string())
    seconds = 1 / table.loc["ours", "steps/s"]
    print(roofline(setting.step("ours"), seconds, hardware).round(3).to_string())
    if given.side_by_side:
        beside = step.side_by_side(setting, given.side_by_side, given.rounds, given.steps)
        print(beside.round(2).to_string())


def time_graphs(given: Options) -> None:
    """Steps started one operation at a time and replayed from CUDA graphs; needs a GPU."""
    hardware = Hardware.detect()
    if hardware.device.type != "cuda":
        raise InputError("this machine has no CUDA GPU; only there are steps replayed")
    torch.manual_seed(0)
    say_step(hardware, given.size, graphs.LABELED, given.unlabeled)
    table = graphs.stage_times(given.size, given.width, given.unlabeled, hardware)
    print(table.round(1).to_string())


def say_step(hardware: Hardware, size: int, labels: int, unlabeled: int) -> None:
    print(f"{device_name()}, {'bf16' if hardware.bf16 else 'fp32'}, {size} px, "
          f"{labels} labeled and {unlabeled} unlabeled images a step")  # fmt: skip


def time_loaders(given: Options) -> None:
    """The loaders, on a folder of photos."""
    threads = given.threads or cores()
    table = loader.rates(given.photos, given.size, given.count, threads, given.repeats, tell)
    print(f"{given.photos}, {threads} threads; {choose_backend()[1]}")
    print(table.to_string(index=False, na_rep="–"))


def time_digits(given: Options) -> None:
    """A step on digits: the usual loop's, ours, the least possible, and where the time goes."""
    data = load_digits(given.mnist)
    print(data.name)
    table = digits.speeds(data)
    print(table.round(2).to_string())
    print(digits.roofline_of_ours(data, table.loc["ours", "ms a step"]).round(3).to_string())
    print(digits.profile(data).round(3).to_string())


def time_plane(given: Options) -> None:
    """Runs in the plane, stacked and one by one."""
    print(f"{given.runs} runs, {given.steps} steps, {torch.get_num_threads()} threads")
    print(plane.step_times(given.runs, given.steps).round(2).to_string())


def from_up(least: int) -> Callable[[str], int]:
    """What reads a whole number of at least `least`."""

    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} up")
        return int(text)

    return read


def number(default: int | None, about: str, least: int = 1, **more: Any) -> dict[str, Any]:
    return {"type": from_up(least), "default": default, "help": about, **more}


def side(default: int) -> dict[str, Any]:
    about = f"side of the images ({default})"
    return {"type": int, "choices": list(LADDERS), "default": default, "help": about}


WIDTH = number(64, "classifier's first channels (64)", least=8)  # fewer break oneDNN under AVX2
COMMANDS: Subcommands = {
    "step": (time_step, {
        "--size": side(64),
        "--width": WIDTH,
        "--labels": number(100, "labeled images in a step (100)", least=2),
        "--unlabeled": number(64, "unlabeled images in a step (64)", least=2),
        "--rounds": number(3, "rounds, the best counts (3)"),
        "--steps": number(2, "steps timed in a round (2)"),
        "--side-by-side": number(
            None, "also so many trainings at once, such as 1 2 4 8", nargs="+"
        ),
    }),
    "graphs": (time_graphs, {
        "--size": side(128),
        "--width": WIDTH,
        "--unlabeled": number(128, "unlabeled images in a step (128)", least=2),
    }),
    "loader": (time_loaders, {
        "photos": {"metavar": "PHOTOS", "help": "folder of photos"},
        "--size": number(loader.SIZES, "sides of the images (64 224)", nargs="+"),
        "--count": number(None, "photos an epoch (all)"),
        "--threads": number(None, "threads or workers of each (all cores)"),
        "--repeats": number(2, "epochs, the best counts (2)"),
    }),
    "digits": (time_digits, {
        "--mnist": {"metavar": "PATH", "help": "folder with MNIST/raw (the 8×8 digits)"},
    }),
    "plane": (time_plane, {
        "--runs": number(20, "runs in a stack (20)"),
        "--steps": number(40, "steps of each (40)"),
    }),
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0 measured, 2 for bad input."""
    return run_subcommand("ssgan_core.bench", __doc__, COMMANDS, arguments)


if __name__ == "__main__":
    sys.exit(main())
