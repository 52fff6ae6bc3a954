"""Strict chapter parameters: every one known, typed and in range, or one clear error."""

import ast
import difflib
import os
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

import pandas as pd
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from ssgan_core.errors import InputError


def _filled(text: str) -> str:
    if not text:
        raise ValueError("empty")
    return text


Folder = Annotated[str, AfterValidator(_filled)]  # a min_length refuses names that are no UTF-8


class Settings(BaseModel):
    """Base of each chapter's settings: frozen, no unknown names, no silent conversions.

    A subclass declares one field per parameter, with its range and a description, and
    `PROFILES`: the value that each profile gives to a parameter left at `None`.
    `ENVIRONMENT` names the variables that serve where a folder is not given. `PLACES` are the
    parameters that only say where something lies.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=()
    )
    PROFILES: ClassVar[dict[str, dict[str, Any]]] = {"smoke": {}, "quick": {}, "full": {}}
    ENVIRONMENT: ClassVar[dict[str, str]] = {"photos": "SSGAN_PHOTOS", "mnist": "SSGAN_MNIST"}
    PLACES: ClassVar = ("photos", "mnist", "labeled_set", "features", "out")

    profile: Literal["smoke", "quick", "full"] = Field(
        "quick", description="smoke tests the plumbing, quick suits a laptop, full wants a GPU"
    )
    seed: int = Field(0, ge=0, lt=2**31, description="seed of every random choice")

    @classmethod
    def defaults(cls, profile: str, given: dict[str, Any]) -> dict[str, Any]:
        """What a profile gives to parameters left open; `given` are the others."""
        return cls.PROFILES.get(profile, {})

    @classmethod
    def resolve(cls, **parameters: Any) -> Self:
        """Settings from parameters, where `None` means "as the profile says".

        Raises InputError for an unknown name, a wrong type or a value out of range; the message
        names the parameter and what it accepts.
        """
        fields = cls.model_fields
        for name in parameters:
            if name not in fields:
                close = difflib.get_close_matches(name, fields, n=1)
                hint = f" (did you mean {close[0]!r}?)" if close else ""
                raise InputError(f"unknown parameter {name!r}{hint}; accepted: {', '.join(fields)}")
        folders = {name: os.environ.get(variable) for name, variable in cls.ENVIRONMENT.items()}
        given = {name: value for name, value in folders.items() if value and name in fields}
        given |= {name: value for name, value in parameters.items() if value is not None}
        for name, value in given.items():
            if type(value) is int and takes_text(fields[name]):  # papermill's `-p photos 2024`
                given[name] = str(value)
        try:
            return cls(**cls.defaults(str(given.get("profile", "quick")), given) | given)
        except ValidationError as error:
            raise InputError("; ".join(_explain(cls, item) for item in error.errors())) from None

    @classmethod
    def from_parameters(cls, namespace: dict[str, Any]) -> Self:
        """Settings from a notebook's `globals()`, after its `parameters` cell has run.

        papermill only warns about a parameter that the notebook does not know, so the names
        assigned by the leading cells (the `parameters` cell and the one papermill injects
        behind it) are checked here.
        """
        names = set(cls.model_fields) | _assigned_in_leading_cells(namespace.get("In", []))
        return cls.resolve(**{name: namespace[name] for name in names if name in namespace})

    @property
    def choices(self) -> dict[str, Any]:
        """All values but places: with what lies there, they decide what a run computes."""
        return self.model_dump(exclude=set(self.PLACES))

    def table(self) -> pd.DataFrame:
        """One row a parameter: its value in this run, that of its profile, the values that it
        accepts, and its meaning."""
        cls = type(self)
        fields = cls.model_fields.items()
        usual = {name: field.default for name, field in fields}
        here = {name: value for name, value in self if name in self.PLACES and value}
        columns = {
            "value": dict(self),
            "default": usual | cls.defaults(self.profile, here),
            "accepted": {name: _accepted(cls, name) for name, _ in fields},
            "meaning": {name: field.description or "" for name, field in fields},
        }
        return pd.DataFrame(columns, dtype=object).rename_axis("parameter")

    def _repr_html_(self) -> str:
        return self.table()[["value", "meaning"]].to_html(na_rep="–", classes="settings")


def takes_text(field: FieldInfo) -> bool:
    """Whether a parameter is text, or None."""
    return str in (field.annotation, *get_args(field.annotation))


def _explain(cls: type[Settings], item: dict[str, Any]) -> str:
    name, found = item["loc"][0], item["input"]
    kind, accepted = type(found).__name__, _accepted(cls, name)
    return f"parameter {name!r} is {found!r} ({kind}); accepted: {accepted}"


def _accepted(cls: type[Settings], name: str) -> str:
    """What a field accepts, in words, read from its JSON schema."""
    words = {"integer": "a whole number", "number": "a finite number", "string": "text",
             "boolean": "True or False", "array": "a list", "null": "None"}  # fmt: skip
    schema = cls.model_json_schema()["properties"][name]
    parts = []
    for option in schema.get("anyOf", [schema]):
        if "enum" in option or "const" in option:
            parts.append(", ".join(map(str, option.get("enum", [option.get("const")]))))
            continue
        text = words.get(option.get("type"), option.get("type", "any value"))
        bounds = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<",
                  "multipleOf": "a multiple of"}  # fmt: skip
        limits = [
            f"{sign} {option[key] if isinstance(option[key], int) else format(option[key], 'g')}"
            for key, sign in bounds.items()
            if key in option
        ]
        parts.append(" ".join([text, " and ".join(limits)]).strip())
    return " or ".join(dict.fromkeys(parts))


def _assigned_in_leading_cells(cells: list[str]) -> set[str]:
    """Names that the first cells assign, up to the first cell that does more than that."""
    names: set[str] = set()
    for source in cells[1:]:  # IPython's history starts with an empty entry
        try:
            body = ast.parse(source).body
            for node in body:
                ast.literal_eval(node.value)
            names |= {target.id for node in body for target in node.targets}
        except (SyntaxError, ValueError, AttributeError):  # more than constants given names
            break
    return names
