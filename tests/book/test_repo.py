"""The repository's furniture: README, Makefile and lock file agree with one another."""

import os
import re
import subprocess
from pathlib import Path
from urllib.error import URLError

import pytest

from book import get_photos

REPO = Path(__file__).resolve().parents[2]
README = (REPO / "README.md").read_text(encoding="utf-8")


def make(*words, **variables):
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL")}
    return subprocess.run(
        ["make", *words], cwd=REPO, env=environment | variables,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    "command", sorted(set(re.findall(r"(?:^|`)(make [a-z]+(?: [A-Z]+=[^\s`]+)*)", README, re.M)))
)
def test_commands_in_the_readme_are_targets(command):
    result = make("-n", *command.split()[1:])
    assert result.returncode == 0, result.stderr


def test_help_lists_every_target_and_variable():
    makefile = (REPO / "Makefile").read_text()
    text = make("help").stdout
    for target in re.findall(r"^([a-z]+):.*##", makefile, re.MULTILINE):
        assert target == "help" or f"make {target} " in text
    for variable in ("PROFILE", "PHOTOS", "MNIST", "ONLY", "VENV"):
        assert f"{variable}=" in text
        assert f"`{variable}`" in README


@pytest.mark.parametrize("target", ["book", "test"])
def test_an_unknown_profile_is_one_clear_error(target):
    result = make(target, "PROFILE=fast")
    assert result.returncode != 0
    assert result.stdout == ""
    assert "PROFILE=fast: accepted are smoke, quick, full" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_an_old_python_is_one_clear_error_and_leaves_nothing(tmp_path):
    python = tmp_path / "python3"
    python.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2" && exit 0\nexit 1\n')
    python.chmod(0o755)
    result = make("test", f"PYTHON={python}", f"VENV={tmp_path / 'venv'}")
    assert result.returncode != 0
    assert "Python 3.9.2; 3.11 or newer is needed" in result.stderr.splitlines()[0]
    assert not (tmp_path / "venv").exists()


def test_paths_with_spaces_and_quotes_reach_the_builder():
    line = make("-n", "book", "PHOTOS=my cat's photos").stdout
    assert """--photos 'my cat'\\''s photos'""" in line


def test_the_lock_file_pins_every_requirement_with_hashes():
    lock = (REPO / "requirements.lock").read_text()
    pinned = dict(re.findall(r"^([a-z0-9._-]+)(?:\[.*?\])?==(\S+)", lock, re.MULTILINE))
    for line in (REPO / "requirements.txt").read_text().splitlines():
        if match := re.match(r"([A-Za-z0-9._-]+)(?:\[.*?\])?(?:==([^\s;]+))?", line):
            name, exact = match.groups()
            assert name in pinned, f"{name} is not in requirements.lock: run `make lock`"
            assert exact in (None, pinned[name])
    for block in re.split(r"^(?=[a-z0-9])", lock, flags=re.MULTILINE)[1:]:
        assert "--hash=sha256:" in block, block.splitlines()[0]


def test_no_address_of_a_package_index_is_written_down():
    text = (REPO / "requirements.lock").read_text() + (REPO / "requirements.txt").read_text()
    assert "://" not in text
    assert "--index-url" not in text


def test_what_is_made_is_not_tracked():
    made = ["_build/x", "book/chapters/x.ipynb", "book/logs/x", "runs/x", "data/x", ".venv/x"]
    result = subprocess.run(
        ["git", "check-ignore", *made], cwd=REPO, capture_output=True, text=True
    )
    assert result.stdout.split() == made


def test_continuous_integration_runs_the_tests_first():
    script = (REPO / ".ci/run").read_text()
    assert os.access(REPO / ".ci/run", os.X_OK)
    assert script.index("make test") < script.index("make book")


def test_a_download_that_fails_is_one_line_and_leaves_nothing(tmp_path, monkeypatch, capsys):
    def offline(folder, download):
        (folder / "oxford-iiit-pet").mkdir(parents=True)
        raise URLError("no network")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(get_photos, "OxfordIIITPet", offline)
    assert get_photos.main() == 1
    error = capsys.readouterr().err
    assert error.startswith("error: Oxford-IIIT Pet could not be downloaded:")
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "data/oxford-iiit-pet").exists()
