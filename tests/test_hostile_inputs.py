"""Tables, parameters and files that nobody should trust: one error that names the place, or none.

With `-m scale` some ten thousand inputs, else a few hundred.
"""

import contextlib
import json
import os
import pickle
import tempfile
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from photo_tables import collection, pets
from torch import nn

from book.common import BuildError
from book.expectations import check
from ssgan_core import loop
from ssgan_core.command_line import parse
from ssgan_core.compare import main as compare
from ssgan_core.errors import InputError
from ssgan_core.photos.labels_csv import read_labeled
from ssgan_core.photos.splits import split_photos
from ssgan_core.predict import load_model
from ssgan_core.results import read_recorded
from ssgan_core.train import TrainSettings

PHOTOS = split_photos(collection(pets(40)))
SMALL, LARGE = 60, 1700


def many(strategy):
    """A property over a strategy: a few examples each time, many under the marker `scale`."""

    def decorate(test):
        def sized(examples):
            return settings(
                max_examples=examples, suppress_health_check=list(HealthCheck), deadline=None
            )(given(strategy)(test))

        def both(examples):
            sized(examples)()

        both.__name__ = test.__name__
        both.__doc__ = test.__doc__
        return pytest.mark.parametrize(
            "examples", [SMALL, pytest.param(LARGE, marks=pytest.mark.scale)]
        )(both)

    return decorate


@contextlib.contextmanager
def refused(kind, *places):
    """What is refused inside names one of the places; any other exception fails the test."""
    try:
        yield
    except kind as error:
        if not any(str(place) in str(error) for place in places):
            raise AssertionError(f"{error} names none of {places}") from error


def temporary(data: bytes, name: str) -> Path:
    path = Path(tempfile.gettempdir(), f"{os.getpid()}-{name}")
    path.write_bytes(data)
    return path


# What hypothesis makes of text is rarely near to what is accepted, so pieces of that are mixed in.
WORDS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["path", "label", "cat", "dog", "cat.3.jpg", "dog.9.jpg", "train/cat.1.jpg",
                     "Cat/1.jpg", "../x", "/", "~", "", " ", '"', '""', "\\", "\0", "\ufeff", "é",
                     "1e400", "nan", "-1", "NaN", "None", "True", "[]", "{"]),
)  # fmt: skip
TABLES = st.lists(st.lists(WORDS, max_size=4).map(lambda row: ",".join(row)), max_size=8).flatmap(
    lambda rows: st.sampled_from(["\n", "\r\n", "\r", ";"]).map(
        lambda end: end.join(["path,label", *rows])
    )
)
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), WORDS)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)


@many(st.one_of(TABLES.map(lambda t: t.encode("utf-8", "surrogatepass")), st.binary(max_size=200)))
def test_any_bytes_are_a_labeled_set_or_an_error_that_names_the_file(data):
    file = temporary(data, "set.csv")
    with refused(InputError, file):
        assert len(read_labeled(file, PHOTOS)) >= 4


@many(st.dictionaries(st.sampled_from([*TrainSettings.model_fields, "sped"]), VALUES, max_size=4))
def test_any_parameters_are_settings_or_an_error_that_names_one(parameters):
    with refused(InputError, *parameters):
        json.dumps(TrainSettings.resolve(**parameters).model_dump(), allow_nan=False)


@many(st.lists(st.one_of(WORDS, st.sampled_from(["--steps", "--seed", "--size", "--photos", "--out",
                                                 "--max-minutes", "--recipe", "--steps=3"])),
               max_size=5))  # fmt: skip
def test_any_command_line_is_settings_or_an_error(words):
    with refused(InputError, ""), contextlib.suppress(SystemExit):  # --help, or what begins so
        parse(TrainSettings, words, "ssgan_core.train")


@many(VALUES)
def test_any_bands_are_checked_or_the_file_is_named(bands):
    text = f'["01_first".quick.embedded]\naccuracy = {json.dumps(bands)}\n'
    with tempfile.TemporaryDirectory() as root:
        Path(root, "book").mkdir()
        Path(root, "book/expectations.toml").write_bytes(text.encode("utf-8", "surrogatepass"))
        about = {"chapter": "01_first", "profile": "quick", "settings": {}}
        for value in (0.5, [0.5, None], bands):
            with refused(BuildError, "book/expectations.toml"):
                check(Path(root), about | {"values": {"accuracy": value}})


RECORD = {"values": {"ours": {"last": [0.9]}}, "settings": {"seed": 0}, "device": "d", "git": "g",
          "finished": "2026", "data": {"name": "n"}, "chapter": "train"}  # fmt: skip


@many(st.tuples(st.sampled_from([*RECORD, "remark", "recipe", ""]), VALUES))
def test_any_metrics_are_runs_or_an_error_that_names_the_file(change):
    name, value = change
    record = RECORD | {name: value} if name else value
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "metrics.json")
        path.write_text(json.dumps(record), "utf-8", "surrogatepass")
        with refused(InputError, path):
            read_recorded(Path(folder))
        assert compare([folder]) in (0, 2)


class Attack:
    def __reduce__(self):
        return os.mkdir, (f"{tempfile.gettempdir()}/executed-{os.getpid()}",)


TENSORS = st.lists(st.integers(0, 3), max_size=3).map(lambda shape: torch.zeros(shape))
STATES = st.dictionaries(
    st.sampled_from(["network", "loop", "identity", "kind", "classes", "size", "weights", "other"]),
    st.one_of(VALUES, TENSORS, st.dictionaries(st.sampled_from(["weight", "bias"]), TENSORS),
              st.just({"name": "tiny"}), st.just(Attack()),
              st.just({"step": 1, "seconds": 0.0, "evaluated": 0, "sums": {}, "rows": []})),
)  # fmt: skip


@many(st.one_of(STATES, VALUES, st.binary(max_size=100)))
def test_any_file_is_a_checkpoint_or_an_error_and_no_code_runs(state):
    path = Path(tempfile.gettempdir(), f"{os.getpid()}-checkpoint.pt")
    if isinstance(state, bytes):
        path.write_bytes(state)
    else:
        torch.save(state, path)
    network = nn.Linear(2, 1)
    with refused(InputError, path):
        loop.run(
            {"network": network},
            lambda number, progress: {"loss": network.weight.sum().detach()},
            lambda number, progress: {},
            {"name": "tiny"},
            steps=2,
            checkpoint=path,
        )
    with pytest.raises(InputError, match="checkpoint"):
        load_model(path)
    assert not Path(Attack().__reduce__()[1][0]).exists()


def test_a_pickle_is_no_checkpoint(tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(pickle.dumps(Attack()))
    with pytest.raises(InputError, match=r"model\.pt"):
        load_model(path)
    assert not Path(Attack().__reduce__()[1][0]).exists()
