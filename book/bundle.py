"""`make bundle`: all that the book needs, to carry to a machine without a network.

python -m book.bundle --python 3.11 --platform x86_64
"""

import argparse
import hashlib
import io
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

from packaging.requirements import Requirement

from book.common import BuildError, say, status_of

PART = 60_000_000  # bytes of a part at most
GLIBC = 28  # 2.28: clusters of 2019 and later have it
MACHINES = ("x86_64", "aarch64")
PYTHONS = ("3.11", "3.12", "3.13")
NAME = "book.tar"
SUMS = "SHA256SUMS"
INSTALL = Path(__file__).with_name("install.sh")


class Parts(io.RawIOBase):
    """A file to write to that becomes `book.tar.000`, `.001`, …, and the checksum of each."""

    def __init__(self, folder: Path, size: int = PART) -> None:
        self.folder, self.size, self.sums, self.left = folder, size, [], 0
        self.part: io.BufferedWriter | None = None

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:
        rest = memoryview(data)
        while rest:
            if not self.left:
                self._finish()
                self.name, self.left = f"{NAME}.{len(self.sums):03d}", self.size
                self.part, self.sum = (self.folder / self.name).open("wb"), hashlib.sha256()
            chunk = rest[: self.left]
            self.part.write(chunk)
            self.sum.update(chunk)
            self.left -= len(chunk)
            rest = rest[len(chunk) :]
        return len(data)

    def _finish(self) -> None:
        if self.part:
            self.part.close()
            self.sums.append(f"{self.sum.hexdigest()}  {self.name}\n")

    def __exit__(self, *raised: object) -> None:
        self._finish()

    def __enter__(self) -> Self:
        return self


def bundle(root: Path, python: str, machine: str, out: Path, part: int = PART) -> None:
    """Pack the last commit and wheels of the lock file, in parts, and what puts them in place.

    Raises
    ------
    BuildError
        No such Python or machine, no clone of the repository, a package without a wheel, or a
        folder in which something else lies.
    """
    for name, value, accepted in (("python", python, PYTHONS), ("platform", machine, MACHINES)):
        if value not in accepted:
            raise BuildError(f"--{name} is {value}; accepted: {', '.join(accepted)}")
    if out.exists() and not (out / SUMS).exists() and any(out.iterdir()):
        raise BuildError(f"--out is {out}, where something else lies; give a new folder")
    with TemporaryDirectory(dir=_made(out.parent)) as folder:
        inside, work = Path(folder) / "book", Path(folder)
        clone = ["git", "clone", "-q", "--depth=1", root.resolve().as_uri(), str(inside)]
        _call(clone, "the source cannot be packed, it is no clone of a repository")
        if subprocess.run(["git", "diff", "--quiet", "HEAD"], cwd=root).returncode:
            say("note: what is not committed is not in the bundle")
        say(f"wheels of requirements.lock for Python {python} on {machine}")
        _download(root, python, machine, work)
        shutil.rmtree(out, ignore_errors=True)  # an older bundle stays until all is at hand
        _made(out)
        with Parts(out, part) as parts, tarfile.open(fileobj=parts, mode="w|") as tar:
            tar.add(inside, "book")
            tar.add(work / "wheels", "wheels")
    script = INSTALL.read_text(encoding="utf-8").replace("@PYTHON@", f"python{python}")
    (out / INSTALL.name).write_text(script, encoding="utf-8")
    (out / SUMS).write_text("".join(parts.sums), encoding="utf-8")
    size = sum(path.stat().st_size for path in out.iterdir())
    say(f"{out}: {len(parts.sums)} parts, {size / 1e9:.2f} GB; there: sh {INSTALL.name} FOLDER")


def _download(root: Path, python: str, machine: str, work: Path) -> None:
    """Wheels of the lock file, and of uv, which installs them, into `work/wheels`."""
    (work / "here.txt").write_text("\n".join(_wanted(root, python, machine)), encoding="utf-8")
    uv = re.search(r"^UV_VERSION := (.+)$", (root / "Makefile").read_text("utf-8"), re.M)[1]
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:"]
    pip += ["--disable-pip-version-check", "--python-version", python, "-d", str(work / "wheels")]
    pip += [word for tag in _tags(machine) for word in ("--platform", tag)]
    _call([*pip, "--require-hashes", "-r", str(work / "here.txt")], "a wheel is missing")
    _call([*pip, f"uv=={uv}"], "a wheel is missing")


def _wanted(root: Path, python: str, machine: str) -> Iterator[str]:
    """The lines of the lock file that such a machine installs, with their hashes."""
    there = {
        "python_version": python, "python_full_version": f"{python}.0", "os_name": "posix",
        "sys_platform": "linux", "platform_system": "Linux", "platform_machine": machine,
    }  # fmt: skip
    lock = (root / "requirements.lock").read_text("utf-8").replace("\\\n", " ")
    for line in lock.splitlines():
        named, *hashes = line.split("#")[0].split("--hash=")
        if named.strip():
            needed = Requirement(named)
            if needed.marker is None or needed.marker.evaluate(there):
                needed.marker = None
                yield " ".join([str(needed), *(f"--hash={one.strip()}" for one in hashes)])


def _tags(machine: str) -> Iterator[str]:
    """Names of the platforms whose wheels such a machine takes, the newest first."""
    yield from (f"manylinux_2_{minor}_{machine}" for minor in range(GLIBC, 4, -1))
    yield from (f"{name}_{machine}" for name in ("manylinux2014", "manylinux2010", "manylinux1"))
    yield f"linux_{machine}"


def _call(command: Sequence[str], fault: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        told = [line for line in done.stderr.splitlines() if line.strip()] or ["no message"]
        told = [line for line in told if line.startswith("ERROR: ")] or told
        raise BuildError(f"{fault}: {told[-1].removeprefix('ERROR: ')}")


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m book.bundle", description=__doc__.splitlines()[0]
    )
    here = f"3.{sys.version_info.minor}"
    parser.add_argument("--python", default=here, help=f"{', '.join(PYTHONS)} ({here})")
    parser.add_argument("--platform", default=MACHINES[0], help=f"{' or '.join(MACHINES)}, Linux")
    parser.add_argument("--out", type=Path, default=Path("build/bundle"), help="(build/bundle)")
    given = parser.parse_args(arguments)
    return status_of(lambda: bundle(Path.cwd(), given.python, given.platform, given.out))


if __name__ == "__main__":
    sys.exit(main())
