"""Commands whose options are the fields of a `Settings` class, checked like a chapter's."""

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn, TypeVar

from ssgan_core.errors import InputError
from ssgan_core.settings import Settings

Chosen = TypeVar("Chosen", bound=Settings)


class Parser(argparse.ArgumentParser):
    """Options of a command; those that it cannot use are an InputError."""

    def error(self, message: str) -> NoReturn:
        raise InputError(message)


def parse(kind: type[Chosen], arguments: Sequence[str] | None, program: str) -> Chosen:
    """Settings of one kind from a command line: the field `max_minutes` is `--max-minutes 60`.

    `--help` prints every option with its meaning.

    Raises
    ------
    InputError
        An unknown option, an option without its value, or what `Settings.resolve` refuses.
    """
    parser = Parser(
        prog=f"python -m {program}", description=kind.__doc__, argument_default=argparse.SUPPRESS
    )
    for name, field in kind.model_fields.items():
        parser.add_argument(_option(name), metavar="…", help=field.description)
    given, unknown = parser.parse_known_args(arguments)
    if unknown:
        known = ", ".join(map(_option, kind.model_fields))
        raise InputError(f"unknown argument {unknown[0]!r}; accepted: {known}")
    properties = kind.model_json_schema()["properties"]
    return kind.resolve(
        **{name: _value(text, properties[name]) for name, text in vars(given).items()}
    )


def run_command(call: Callable[[], object]) -> int:
    """A command's exit status: 0 done, 1 failed, 2 for bad input, 130 stopped by Ctrl-C."""
    try:
        call()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (FloatingPointError, OSError) as error:  # a full disk keeps the last checkpoint
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def tell(line: str) -> None:
    """Progress as it comes, through a pipe too."""
    print(line, flush=True)


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _value(text: str, schema: dict) -> str | int | float:
    """A number where the field takes one and the text is one, else the text."""
    options = schema.get("anyOf", [schema])
    types = {option.get("type") for option in options}
    for name, convert in (("integer", int), ("number", float)):
        if name in types:
            try:
                return convert(text)
            except ValueError:
                continue
    return text
