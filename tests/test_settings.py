"""Parameters are strict: each fault is one error naming the parameter and what it accepts."""

from typing import ClassVar

import pytest
from pydantic import Field

from ssgan_core.command_line import parse
from ssgan_core.errors import InputError
from ssgan_core.settings import Folder, Settings


class Example(Settings):
    PROFILES: ClassVar = {"smoke": {"steps": 2}, "quick": {"steps": 20}, "full": {"steps": 200}}
    photos: str | None = Field(None, description="folder of photos")
    steps: int = Field(None, ge=1, le=1000, description="training steps")
    rate: float = Field(0.1, gt=0, description="learning rate")


class Output(Example):
    out: Folder = Field("runs", description="folder for all results")


def test_none_means_as_the_profile_says():
    assert Example.resolve().steps == 20
    assert Example.resolve(profile="smoke", steps=None).steps == 2
    assert Example.resolve(profile="smoke", steps=7).steps == 7


def test_whole_numbers_serve_as_floats():
    assert Example.resolve(rate=1).rate == 1.0


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"no_such_parameter": 1}, ["unknown parameter 'no_such_parameter'", "steps"]),
        ({"step": 1}, ["'step'", "did you mean 'steps'"]),
        ({"steps": "many"}, ["'steps'", "'many'", "whole number", "≥ 1 and ≤ 1000"]),
        ({"steps": 0}, ["'steps'", "is 0", "≥ 1"]),
        ({"steps": 2.5}, ["'steps'", "2.5", "whole number"]),
        ({"steps": True}, ["'steps'", "True", "whole number"]),
        ({"rate": -1.0}, ["'rate'", "-1.0", "> 0"]),
        ({"profile": "fast"}, ["'profile'", "'fast'", "smoke, quick, full"]),
        ({"seed": -1}, ["'seed'", "≥ 0"]),
        ({"photos": 3.5}, ["'photos'", "3.5", "text or None"]),
        ({"photos": True}, ["'photos'", "True", "text or None"]),
        ({"rate": float("inf")}, ["'rate' is inf", "a finite number > 0"]),
        ({"rate": float("nan")}, ["'rate' is nan", "a finite number > 0"]),
    ],
)
def test_each_fault_names_the_parameter_and_what_it_accepts(parameters, words):
    with pytest.raises(InputError) as error:
        Example.resolve(**parameters)
    for word in words:
        assert word in str(error.value)


def test_a_whole_number_is_the_name_of_a_folder():
    """papermill makes a number of `-p photos 2024`."""
    assert Example.resolve(photos=2024).photos == "2024"


def test_a_folder_may_have_a_name_that_is_no_utf8_and_none_at_all_is_refused():
    given = parse(Output, ["--photos", "\udce9", "--out", "runs/\udce9"], "example")
    assert (given.photos, given.out) == ("\udce9", "runs/\udce9")
    with pytest.raises(InputError, match=r"'out' is '' \(str\); accepted: text"):
        parse(Output, ["--out", ""], "example")


def test_environment_serves_where_no_path_is_given(monkeypatch):
    monkeypatch.setenv("SSGAN_PHOTOS", "/from/environment")
    assert Example.resolve().photos == "/from/environment"
    assert Example.resolve(photos="/given").photos == "/given"


def test_a_command_line_is_checked_like_parameters():
    given = parse(Example, ["--steps", "7", "--rate=1", "--photos", "1"], "example")
    assert (given.steps, given.rate, given.photos) == (7, 1.0, "1")
    assert parse(Example, ["--steps", "None"], "example").steps == 20
    for text in ("true", "2.0", "many", ""):
        with pytest.raises(InputError, match=r"'steps' is .*; accepted: a whole number"):
            parse(Example, ["--steps", text], "example")


@pytest.mark.parametrize("text", ["a,b", "[x]", '{"a": 1}', '"q"', "true", "1e3"])
def test_a_command_line_leaves_text_as_it_is(text):
    assert parse(Example, ["--photos", text], "example").photos == text


def test_no_other_variable_of_the_environment_is_read(monkeypatch):
    for name in ("steps", "STEPS", "PHOTOS", "photos"):
        monkeypatch.setenv(name, "7")
    settings = parse(Example, [], "example")
    assert (settings.steps, settings.photos) == (20, None)


def test_unknown_names_of_the_leading_cells_are_found():
    cells = ["", "# defaults\nseed = 0\nsteps = None", "# Parameters\nno_such_parameter = 1"]
    namespace = {"In": cells, "seed": 0, "steps": None, "no_such_parameter": 1}
    with pytest.raises(InputError, match="no_such_parameter"):
        Example.from_parameters(namespace)


def test_names_of_later_cells_are_not_parameters():
    cells = ["", "seed = 4", "from x import y\nresult = 3", "other = 2"]
    settings = Example.from_parameters({"In": cells, "seed": 4, "result": 3, "other": 2})
    assert settings.seed == 4


def test_choices_are_all_values_but_where_something_lies():
    settings = Example.resolve(steps=20, photos="a")
    assert settings.choices == Example.resolve(photos="b").choices
    assert settings.choices == {"profile": "quick", "seed": 0, "steps": 20, "rate": 0.1}


def test_table_explains_every_parameter():
    table = Example.resolve().table()
    assert list(table.index) == list(Example.model_fields)
    assert table.meaning.str.len().min() > 0
    assert not table.isna().drop(columns=["value", "default"]).any(axis=None)
    assert table.accepted["steps"] == "a whole number ≥ 1 and ≤ 1000"
    assert table.accepted["seed"] == "a whole number ≥ 0 and < 2147483648"  # not rounded


def test_the_table_tells_a_changed_value_from_its_profiles():
    table = Example.resolve(profile="smoke", steps=7).table()
    assert table.loc["steps", ["value", "default"]].tolist() == [7, 2]
    assert table.loc["profile", ["value", "default"]].tolist() == ["smoke", "quick"]
    assert "accepted" not in Example.resolve()._repr_html_()
