"""Nothing that a person has set, installed or configured for themselves changes a page."""

import os
import subprocess
import sys

import nbformat
import pytest
from book_root import FINISH, make_root, write_chapter

from book.build import build
from book.environment import clean_environment

DRAWS = """import os, sys
print(sorted(set(os.environ) & set(ASKED)))
print(os.path.samefile(sys.executable, EXECUTABLE), "started" in globals())
import matplotlib.style
print(matplotlib.rcParams["figure.dpi"], "theirs" in matplotlib.style.library)
from matplotlib import pyplot
pyplot.plot([1, 2])
pyplot.show()
"""
SET = {
    "MPLBACKEND": "TkAgg",
    "PYTHONPATH": "/theirs",
    "PYTHONWARNINGS": "error",
    "PYTHONSTARTUP": "/theirs.py",
    "PYTHONHASHSEED": "7",
    "TORCH_LOGS": "all",
    "COLUMNS": "20",
    "LC_ALL": "de_DE.ISO-8859-1",
    "SSGAN_PHOTOS": "/theirs",
    "JUPYTER_DEFAULT_PROVISIONER_NAME": "theirs",
}


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The home of somebody who has configured everything, and exports what shells export."""
    home = tmp_path / "home"
    files = {
        ".config/matplotlib/matplotlibrc": "figure.dpi: 33\n",
        ".config/matplotlib/stylelib/theirs.mplstyle": "lines.linewidth: 9\n",
        ".ipython/profile_default/startup/00.py": "started = True\n",
        ".local/share/jupyter/kernels/python3/kernel.json": '{"argv": ["/bin/false"], '
        '"display_name": "theirs", "language": "python"}',
    }
    for name, text in files.items():
        (home / name).parent.mkdir(parents=True)
        (home / name).write_text(text)
    jupyter, config = home / ".local/share/jupyter", home / ".config/matplotlib"
    folders = {
        "HOME": home,
        "IPYTHONDIR": home / ".ipython",
        "JUPYTER_PATH": jupyter,
        "JUPYTER_DATA_DIR": jupyter,
        "MPLCONFIGDIR": config,
        "MATPLOTLIBRC": config / "matplotlibrc",
    }
    for name, value in (SET | folders).items():
        monkeypatch.setenv(name, str(value))
    return home


def test_a_page_is_the_same_in_every_environment(home, tmp_path):
    root = make_root(tmp_path / "root")
    asked = f"ASKED, EXECUTABLE = {[*SET, 'MATPLOTLIBRC', 'JUPYTER_PATH']!r}, {sys.executable!r}\n"
    write_chapter(root, "01_first", asked + DRAWS + FINISH.format(name="01_first"))
    before = dict(os.environ)
    build(root, "smoke", only="1", html=False)
    outputs = nbformat.read(root / "book/chapters/01_first.ipynb", as_version=4).cells[-1].outputs
    text = "".join(output.get("text", "") for output in outputs)
    assert text.splitlines() == [
        "['MPLBACKEND']",  # the kernel's own: inline
        "True False",
        "100.0 False",
        "accuracy 0.8",
    ]
    assert [list(o.data) for o in outputs if o.output_type == "display_data"] == [
        ["image/png", "text/plain"]
    ]
    assert os.environ == before


def test_a_process_keeps_what_it_needs(tmp_path, monkeypatch):
    kept = {
        **{"PATH": "/bin", "LD_LIBRARY_PATH": "/lib", "TMPDIR": "/tmp", "SSGAN_DATA": "/data"},
        **{"CUDA_VISIBLE_DEVICES": "1", "OMP_NUM_THREADS": "2", "https_proxy": "http://proxy"},
        "GITHUB_REPOSITORY": "us/book",
    }
    for name, value in kept.items():
        monkeypatch.setenv(name, value)
    root = make_root(tmp_path / "root")
    with clean_environment(root):
        assert {name: os.environ.get(name) for name in kept} == kept
        assert os.environ["MPLCONFIGDIR"] == str(root / "book/logs/config/matplotlib")


def test_the_pages_are_built_in_the_same_environment(tmp_path, monkeypatch):
    seen = {}

    def run(command, **options):
        seen.update(os.environ)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setattr("book.build.subprocess.run", run)
    build(make_root(tmp_path / "root"), pages_only=True)
    assert seen["LANG"] == "C.UTF-8"
    assert not {"SOURCE_DATE_EPOCH", "LC_ALL"} & set(seen)


def test_a_home_that_cannot_be_written_leaves_no_note(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", "/proc/nobody")
    root = make_root(tmp_path / "root")
    draws = "import matplotlib.pyplot\n" + FINISH.format(name="01_first")
    write_chapter(root, "01_first", draws)
    build(root, "smoke", only="1", html=False)
    assert "note" not in capsys.readouterr().out


def test_fonts_are_looked_for_before_the_first_chapter(tmp_path):
    with clean_environment(tmp_path):
        assert list((tmp_path / "book/logs/config/matplotlib").glob("fontlist-*.json"))
