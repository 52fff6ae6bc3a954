"""What test_kills.py runs: `kill_trainings.py KILLS FOLDER MODULE OPTIONS…`.

A command that trains goes to its end in FOLDER/whole, and then in FOLDER/killed-0, -1, … until it
has been killed so many times: by turns at a random moment and while it writes a checkpoint. What
it says is in FOLDER/*.log. PyTorch is imported once; each training is a fork of a process that
has computed nothing yet.
"""

import importlib
import itertools
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from ssgan_core import loop
from ssgan_core.results import source_fingerprint


def begin(main, options: list[str], out: Path) -> int:
    """The number of a process that runs the command."""
    child = os.fork()
    if child:
        return child
    log = os.open(out.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    status = 70
    try:
        status = main([*options, "--out", str(out)])
    finally:
        os._exit(status)


def killed(child: int, out: Path, kind: str, seconds: float) -> bool:
    """Kill a process at its moment; whether it was still there, and had not failed."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if kind == "writing" and any(out.rglob(f".*.pt.*.{child}")):
            break
        number, status = os.waitpid(child, os.WNOHANG)
        if number:
            assert status == 0, f"status {status} in {out}"
            return False
        time.sleep(0.001)  # leaves the processor to the training
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


if __name__ == "__main__":
    kills, folder, module, options = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4:]
    torch.set_num_threads(1)
    loop.SAVE_SECONDS = 0.0  # a checkpoint after every step
    for place in ("ssgan_core", module):  # seconds that every training would take again
        source_fingerprint(place)
    main, chance = importlib.import_module(module).main, random.Random(0)
    began = time.monotonic()
    assert not killed(begin(main, options, folder / "whole"), folder / "whole", "never", 1e9)
    whole, done = time.monotonic() - began, {"anywhere": 0, "writing": 0}
    for number in itertools.count():
        out, going_on = folder / f"killed-{number}", True
        while going_on:
            kind = min(done, key=done.get) if sum(done.values()) < kills else "never"
            seconds = chance.uniform(0, whole) if kind == "anywhere" else 1e9
            going_on = killed(begin(main, options, out), out, kind, seconds)
            if going_on:
                done[kind] += 1
        if sum(done.values()) == kills:
            break
    print(done["anywhere"], done["writing"])
