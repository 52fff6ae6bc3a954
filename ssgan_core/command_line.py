"""Commands whose options are the fields of a `Settings` class, checked like a chapter's."""

import sys
from argparse import ArgumentParser, HelpFormatter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar, get_args

from pydantic.fields import FieldInfo
from pydantic_settings import CliSettingsSource, SettingsError

from ssgan_core.errors import InputError
from ssgan_core.settings import Settings

Chosen = TypeVar("Chosen", bound=Settings)


class _Options(CliSettingsSource):
    def prepare_field_value(self, name: str, field: FieldInfo, value: Any, *_: Any) -> Any:
        """A number where no text is taken and this is one; the library would make `true` a 1."""
        if str in (field.annotation, *get_args(field.annotation)):
            return value
        for convert in (int, float):
            with suppress(ValueError, TypeError):
                return convert(value)
        return value


def parse(kind: type[Chosen], arguments: Sequence[str] | None, program: str) -> Chosen:
    """Settings of one kind from a command line: the field `max_minutes` is `--max-minutes 60`.

    `--help` prints every option with its meaning.

    Raises
    ------
    InputError
        An unknown option, an option without its value, or what `Settings.resolve` refuses.
    """
    try:
        options = _Options(
            kind,
            cli_parse_args=sys.argv[1:] if arguments is None else list(arguments),
            cli_prog_name=f"python -m {program}",
            cli_kebab_case=True,
            cli_parse_none_str="None",
            cli_exit_on_error=False,
            formatter_class=HelpFormatter,
            add_argument_method=_add,
        )
    except SettingsError as error:
        message = str(error).removeprefix("error parsing CLI: ")
        if unknown := message.partition("unrecognized arguments: ")[2]:
            known = ", ".join("--" + name.replace("_", "-") for name in kind.model_fields)
            message = f"unknown argument {unknown.split()[0]!r}; accepted: {known}"
        raise InputError(message) from None
    return kind.resolve(**options())


def _add(parser: ArgumentParser, *names: str, **given: Any) -> None:
    """An option as the library words it, less the list of choices and `None` as a default."""
    if "metavar" in given:
        given |= {"metavar": "…", "help": given["help"].removesuffix(" (default: None)")}
    parser.add_argument(*names, **given)


def run_command(call: Callable[[], object]) -> int:
    """A command's exit status: 0 done, 1 failed, 2 for bad input, 130 stopped by Ctrl-C."""
    try:
        call()
    except (InputError, FloatingPointError, OSError) as error:  # OSError: a full disk, say
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    except KeyboardInterrupt:
        return 130
    return 0


def tell(line: str) -> None:
    """Progress as it comes, through a pipe too."""
    print(line, flush=True)
