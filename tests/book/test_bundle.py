"""The bundle for machines without a network, on a stand-in of two small wheels."""

import base64
import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from book import bundle as module
from book.bundle import SUMS, Parts, bundle, main
from book.common import BuildError

HERE = f"3.{sys.version_info.minor}"
MAKEFILE = """UV_VERSION := 1.0
env:
\t@$(PYTHON) -m venv .venv
\t@.venv/bin/python -m pip install -q uv==$(UV_VERSION)
\t@.venv/bin/python -m pip install -q --require-hashes -r requirements.lock
book:
\t@.venv/bin/python -c 'import dots, uv; print("ran at $(PROFILE)")'
"""


def wheel(folder: Path, name: str) -> str:
    """A wheel of one empty module; its checksum."""
    info, path = f"{name}-1.0.dist-info", folder / f"{name}-1.0-py3-none-any.whl"
    files = {
        f"{name}.py": "",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    sums = {
        file: base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        for file, text in files.items()
    }
    record = "".join(f"{file},sha256={sums[file]},{len(text)}\n" for file, text in files.items())
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in (files | {f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}).items():
            archive.writestr(file, text)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def git(root, *words):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", *identity, *words], cwd=root, check=True, capture_output=True)


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A repository of its own, and an index of two wheels."""
    index, root = tmp_path / "index", tmp_path / "root"
    index.mkdir()
    root.mkdir()
    wheel(index, "uv")
    (root / "requirements.lock").write_text(
        f"dots==1.0 ; sys_platform == 'linux' \\\n    --hash=sha256:{wheel(index, 'dots')}\n"
        f"    # via nothing\nlost==1.0 ; sys_platform == 'win32' \\\n    --hash=sha256:{'0' * 64}\n"
    )
    (root / "Makefile").write_text(MAKEFILE)
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "all")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return root


def install(folder, to, *words):
    """What the script of a bundle says where no index can be reached."""
    return subprocess.run(
        ["sh", str(folder / "install.sh"), str(to), *words],
        env={"PATH": os.environ["PATH"], "HOME": str(to), "PYTHON": sys.executable,
             "PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_CONFIG_FILE": os.devnull},
        capture_output=True, text=True,
    )  # fmt: skip


def test_parts_install_and_run_without_an_index_and_a_faulty_one_is_named(root, tmp_path, capsys):
    out, to = tmp_path / "bundle", tmp_path / "a folder"
    bundle(root, HERE, "x86_64", out, part=20_000)
    parts = sorted(out.glob("book.tar.*"))
    assert len(parts) > 1 and all(part.stat().st_size <= 20_000 for part in parts)
    assert f"{out}: {len(parts)} parts" in capsys.readouterr().out

    done = install(out, to, "PROFILE=smoke")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "ran at smoke"
    assert {path.name for path in to.iterdir()} >= {"book", "wheels"}
    commit = ["git", "-C", str(to / "book"), "rev-parse", "HEAD"]
    assert subprocess.check_output(commit) == subprocess.check_output(
        ["git", "rev-parse", "HEAD"], cwd=root
    )

    whole = parts[1].read_bytes()
    parts[1].write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    done = install(out, tmp_path / "other")
    assert done.returncode == 1
    assert done.stderr == "error: part book.tar.001 is damaged; copy it here again\n"
    parts[1].unlink()
    done = install(out, tmp_path / "other")
    assert done.stderr == "error: part book.tar.001 is missing; copy it here\n"
    assert not list((tmp_path / "other").iterdir()), "nothing is unpacked before all is checked"
    (out / SUMS).unlink()
    assert install(out, to).stderr == "error: SHA256SUMS is missing\n"
    assert "give the folder" in subprocess.run(
        ["sh", str(out / "install.sh")], capture_output=True, text=True
    ).stderr  # fmt: skip


def test_what_is_written_comes_back_from_parts_of_a_size(tmp_path):
    data = os.urandom(1000)
    with Parts(tmp_path, 300) as parts:
        for start in range(0, 1000, 70):
            parts.write(data[start : start + 70])
    found = [path.read_bytes() for path in sorted(tmp_path.iterdir())]
    assert b"".join(found) == data and [len(part) for part in found] == [300, 300, 300, 100]
    sums = [f"{hashlib.sha256(p).hexdigest()}  book.tar.{i:03d}\n" for i, p in enumerate(found)]
    assert parts.sums == sums


def test_what_cannot_be_packed_is_one_line(root, tmp_path, monkeypatch, capsys):
    for given, message in (
        (("3.9", "x86_64"), "--python is 3.9; accepted: 3.11, 3.12, 3.13"),
        ((HERE, "windows"), "--platform is windows; accepted: x86_64, aarch64"),
    ):
        with pytest.raises(BuildError, match=f"^{message}$"):
            bundle(root, *given, tmp_path / "out")
    with pytest.raises(BuildError, match="where something else lies"):
        bundle(root, HERE, "x86_64", root)
    monkeypatch.chdir(root)
    (root / "requirements.lock").write_text(f"lost==1.0 --hash=sha256:{'0' * 64}\n")
    assert main(["--out", str(tmp_path / "out")]) == 1
    (line,) = [x for x in capsys.readouterr().err.splitlines() if x.startswith("error: ")]
    assert line == "error: a wheel is missing: No matching distribution found for lost==1.0"
    (tmp_path / "plain").mkdir()
    with pytest.raises(BuildError, match=r"^the source cannot be packed, it is no clone"):
        bundle(tmp_path / "plain", HERE, "x86_64", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert module.PART <= 60_000_000
