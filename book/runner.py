"""A machine that runs the whole book: whether all is there, and afterwards what it has run.

python -m book.runner check       one line that says what is missing for `full`, in seconds
python -m book.runner summary     a table of durations and bands, for the run's page on GitHub
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from book import expectations
from book._ext.run_facts import duration, read_records
from book.common import DATA_VARIABLES, BuildError, status_of

FILES = (".jpg", ".jpeg", ".tar")  # a folder of photos holds some of these


def check() -> str:
    """What this machine has for the book at `full`, in a line.

    Raises BuildError, also in a line, where a GPU, DALI or data is missing.
    """
    import torch

    from ssgan_core.digits.images import MNIST_SHAPES
    from ssgan_core.photos.loader import choose_backend

    backend, told = choose_backend()
    missing = []
    if not torch.cuda.is_available():
        missing.append("a CUDA GPU, or a driver for it (nvidia-smi shows both)")
    elif backend != "dali":
        missing.append(f"DALI on the GPU ({told})")
    found = {}
    for kind, name in DATA_VARIABLES.items():
        folder = found[kind] = Path(os.environ.get(name) or ".no-such-folder").expanduser()
        if not folder.is_dir():
            missing.append(f"{kind} ({name}={os.environ.get(name, '')} names no folder)")
        elif kind == "photos" and not any(p.suffix.lower() in FILES for p in folder.rglob("*")):
            missing.append(f"photos (there is no JPEG below {folder})")
        elif kind == "mnist":
            raw = folder / "MNIST/raw"
            if lacking := [file for file in MNIST_SHAPES if not (raw / file).is_file()]:
                missing.append(f"mnist ({raw} lacks {', '.join(lacking)})")
    if missing:
        raise BuildError(f"missing for the book at full: {'; '.join(missing)}")
    return f"{torch.cuda.get_device_name()}; {told}; photos in {found['photos']}"


def summary(root: Path) -> str:
    """A table in Markdown: how each chapter was run, how long, and whether its bands are held."""
    records = read_records(root)
    lines = [
        "| chapter | profile | data | device | wall time | bands |",
        "|---|---|---|---|--:|---|",
    ]
    for name, record in records.items():
        checked = expectations.check(root, record)
        cells = [name, record["profile"], record["data"]["name"], record["device"]]
        cells += [duration(record["wall_s"]), "; ".join([str(checked), *checked.faults])]
        lines.append(f"| {' | '.join(cells)} |")
    total = duration(sum(record["wall_s"] for record in records.values()))
    return "\n".join([*lines, f"| in all | | | | {total} | |"])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m book.runner", description=__doc__.splitlines()[0]
    )
    parser.add_argument("what", choices=("check", "summary"))
    what = parser.parse_args(arguments).what
    return status_of(lambda: print(check() if what == "check" else summary(Path.cwd())))


if __name__ == "__main__":
    sys.exit(main())
