"""The repository's furniture: README, Makefile and lock file agree with one another."""

import os
import re
import shutil
import subprocess
from functools import partial
from pathlib import Path
from urllib.error import URLError

import pytest

from book import get_photos
from book.result import PICTURE, RANDOM, draw
from ssgan_core.intervals import gains
from ssgan_core.ssgan.study import recorded_runs

REPO = Path(__file__).resolve().parents[2]
README = (REPO / "README.md").read_text(encoding="utf-8")


def make(*words, folder=REPO, **variables):
    ours = ("MAKEFLAGS", "MAKELEVEL", "SSGAN_PHOTOS", "SSGAN_MNIST")
    environment = {k: v for k, v in os.environ.items() if k not in ours}
    return subprocess.run(
        ["make", *words], cwd=folder, env=environment | variables,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


SAYS = """#!/bin/sh
[ "$1" = --version ] && echo "uv 0.13.9" && exit
for word in "$(basename "$0")" "$@"; do printf '<%s>' "$word"; done
echo " photos=$SSGAN_PHOTOS mnist=$SSGAN_MNIST env=$VIRTUAL_ENV backend=$MPLBACKEND"
"""
ODD = "a 'folder' of $cats \"dogs\" #1"


@pytest.fixture
def checkout(tmp_path):
    """A checkout in a folder of an odd name, with an environment whose programs say their words."""
    folder = tmp_path / ODD
    for name in (".venv", ODD):
        (folder / name / "bin").mkdir(parents=True)
        for program in ("python", "uv", "ruff"):
            (folder / name / "bin" / program).write_text(SAYS)
            (folder / name / "bin" / program).chmod(0o755)
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(REPO / name, folder)
    return folder


def told(result):
    """What the programs that make ran have said, line by line."""
    assert result.returncode == 0, result.stderr
    assert not result.stderr
    return result.stdout.splitlines()


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
    for variable in ("PROFILE", "PHOTOS", "LABELS", "MNIST", "ONLY", "NOTEBOOK", "VENV"):
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


def test_a_checkout_may_lie_in_any_folder_and_is_installed_once(checkout):
    first, *installed, run = told(make("test", folder=checkout))
    assert first == "installing requirements.lock into .venv"
    assert [line.split(" photos=")[0] for line in installed] == [
        "<uv><pip><sync><-q><--require-hashes><requirements.lock>",
        "<uv><pip><install><-q><--no-deps><--no-build-isolation><-e><.>",
    ]
    assert all(f"env={checkout}/.venv backend" in line for line in installed)
    assert run.startswith("<python><-m><pytest>")
    assert told(make("test", folder=checkout)) == [run]
    for target, words in {
        "pages": "<python><-m><book.build><--pages-only>",
        "publish": "<python><-m><book.published>",
        "bundle": "<python><-m><book.bundle>",
        "page": "<python><-m><book.page><--><>",
        "pdf": "<python><-m><book.pdf>",
        "photos": "<python><-m><book.get_photos>",
        "lint": "<ruff><check><.>",
        "lock": "<uv><pip><compile><requirements.txt>",
        "clean": "rm -rf _build book/chapters book/logs runs",
    }.items():
        assert told(make(target, folder=checkout))[0].startswith(words)
    with (checkout / "requirements.lock").open("a") as lock:
        lock.write("# newer")
    assert told(make("test", folder=checkout))[0] == "installing requirements.lock into .venv"


def test_the_environment_may_lie_in_any_folder(checkout):
    told(make("test", f"VENV={ODD}", folder=checkout))
    assert len(told(make("test", f"VENV={ODD}", folder=checkout))) == 1
    (checkout / ODD).rename(checkout.parent / "elsewhere")
    home = {"HOME": str(checkout.parent)}
    assert len(told(make("test", "VENV=~/elsewhere", folder=checkout, **home))) == 1


def test_a_checkout_without_git_is_installed_anew_when_the_lock_file_changes(checkout, tmp_path):
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("sh", "basename", "cat", "cksum", "cut", "id", "test", "printf"):
        (programs / name).symlink_to(shutil.which(name))
    path = str(programs)
    command = [shutil.which("make"), "test"]
    lines = []
    for text in ("# one", "# two", "# two"):
        (checkout / "requirements.lock").write_text(text)
        done = subprocess.run(command, cwd=checkout, env={"PATH": path}, capture_output=True)
        assert not done.stderr
        lines.append(len(done.stdout.splitlines()))
    assert lines == [4, 4, 1]


@pytest.mark.parametrize("name", ["my photos", "cats$dogs", "$(HOME)", "a'b", "~/cats", "-x", ODD])
def test_a_folder_of_any_name_reaches_the_builder_and_jupyter(checkout, name):
    told(make("test", folder=checkout))
    there = name if name.startswith("~") else f"{checkout}/{name}"
    words = "<python><-m><book.build><--profile=quick>"
    for given, exported in (
        ({"PHOTOS": name, "MNIST": name}, {}),  # on the command line, in the environment
        ({}, {"PHOTOS": name, "MNIST": name}),
        ({}, {"SSGAN_PHOTOS": name, "SSGAN_MNIST": name}),
    ):
        options = [f"{key}={value}" for key, value in {"LABELS": name, **given}.items()]
        (line,) = told(make("book", *options, folder=checkout, **exported))
        assert line.startswith(
            f"{words}<--photos={name}><--labels={name}><--mnist={name}><--only=> "
        )
        (line,) = told(make("lab", *options, folder=checkout, MPLBACKEND="Agg", **exported))
        assert line.startswith("<python><-m><jupyterlab>")
        assert line.endswith(f" photos={there} mnist={there} env= backend=")
    (line,) = told(make("page", f"NOTEBOOK={name}", folder=checkout))
    assert line.startswith(f"<python><-m><book.page><--><{name}> ")
    assert told(make("help", f"PHOTOS={name}", folder=checkout))[-5].endswith(f"[{name}]")
    (line,) = told(make("book", "PHOTOS=", folder=checkout, SSGAN_PHOTOS=name))
    assert "<--photos=>" in line


def test_jupyter_is_allowed_to_run_for_root(checkout):
    programs = checkout.parent / "programs"
    programs.mkdir()
    for number, words in {
        "0": "<jupyterlab><--allow-root> ",
        "1": "<jupyterlab> ",
    }.items():
        (programs / "id").write_text(f"#!/bin/sh\necho {number}\n")
        (programs / "id").chmod(0o755)
        path = f"{programs}:{os.environ['PATH']}"
        assert words in told(make("lab", folder=checkout, PATH=path))[-1]


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


@pytest.mark.skipif(not shutil.which("git"), reason="git says what it ignores")
def test_what_is_made_is_not_tracked(tmp_path):
    """In a repository of its own: this may be a checkout without one, unpacked from an archive."""
    made = ["_build/x", "book/chapters/x.ipynb", "book/logs/x", "runs/x", "data/x", ".venv/x"]
    shutil.copy(REPO / ".gitignore", tmp_path)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    git = partial(subprocess.run, cwd=tmp_path, env=environment, capture_output=True, text=True)
    git(["git", "init"], check=True)
    assert git(["git", "check-ignore", *made]).stdout.split() == made


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


def test_the_readmes_result_is_that_of_the_records(tmp_path):
    draw(tmp_path / "drawn.svg")
    assert (tmp_path / "drawn.svg").read_bytes() == (REPO / PICTURE).read_bytes(), (
        "the records have changed since: python -m book.result"
    )
    assert str(PICTURE) in README
    ours = [f"ssgan-contrast{end}" for end in ("", "-minus-gan")]
    runs = recorded_runs(REPO / "book/recorded" / RANDOM)
    photos, gan = gains(runs, {0: (ours[1], "supervised-augmented"), 1: ours}).values()
    told = (
        f"photographs bring {photos.mean:.0f} points; that the GAN adds to them, three draws do not"
    )
    assert told in README
    assert gan.verdict == "open" and len(gan.each) == 3
