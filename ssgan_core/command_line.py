"""Commands whose options are the fields of a `Settings` class, checked like a chapter's."""

import io
import os
import signal
import sys
from argparse import ArgumentParser, HelpFormatter, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NoReturn, TypeVar

from pydantic.fields import FieldInfo
from pydantic_settings import CliSettingsSource, SettingsError

from ssgan_core.errors import InputError, explain
from ssgan_core.process import on_stop
from ssgan_core.settings import Settings, takes_text

UNREAD = 128 + 13  # SIGPIPE's number
Chosen = TypeVar("Chosen", bound=Settings)
# By name what a command does, whose docstring is its help, and its options for argparse.
Subcommands = Mapping[str, tuple[Callable[[Namespace], int | None], Mapping[str, dict[str, Any]]]]


class _Options(CliSettingsSource):
    def prepare_field_value(self, name: str, field: FieldInfo, value: Any, *_: Any) -> Any:
        """A number where no text is taken and this is one; the library would make `true` a 1."""
        if takes_text(field):
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
            first = next(iter(unknown.split()), "")
            message = f"unknown argument {first!r}; accepted: {known}"
        raise InputError(message) from None
    return kind.resolve(**options())


def _add(parser: ArgumentParser, *names: str, **given: Any) -> None:
    """An option as the library words it, less the list of choices and `None` as a default."""
    if "metavar" in given:
        given |= {"metavar": "…", "help": given["help"].removesuffix(" (default: None)")}
    parser.add_argument(*names, **given)


def run_command(call: Callable[[], int | None]) -> int:
    """A command's exit status: what `call` gives, or 0; 1 failed, 2 for bad input.

    Stopped by a signal, 128 and its number: 130 for Ctrl-C. Where nobody reads what is said, the
    command ends without a word, with the status of a program that the system has ended so. What
    a stream has no letter for is said as an escape.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        with on_stop(_interrupt):
            status = call() or 0
    except KeyboardInterrupt as stop:
        status = 128 + signal.Signals[stop.args[0] if stop.args else "SIGINT"]
    except BrokenPipeError:
        status = UNREAD
    except (InputError, FloatingPointError) as error:
        print(f"error: {error}", file=sys.stderr)
        status = 2 if isinstance(error, InputError) else 1
    except (MemoryError, RuntimeError) as error:
        first = str(error).partition("\n")[0]
        if isinstance(error, RuntimeError) and "allocate" not in first:  # torch's, on CPU and GPU
            raise
        print(f"error: out of memory: {first}; a smaller size, width or batch needs less",
              file=sys.stderr)  # fmt: skip
        status = 1
    except OSError as error:  # a full disk, say
        place = f"{error.filename}: " if error.filename else ""
        print(f"error: {place}{explain(error)}", file=sys.stderr)
        status = 1
    except SystemExit as end:  # of argparse
        status = end.code or 0
    try:
        print(end="", flush=True)
    except OSError as error:  # Python would try again at its end, and complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = status or (UNREAD if isinstance(error, BrokenPipeError) else 1)
    return status


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(message)


def run_subcommand(
    program: str, about: str, commands: Subcommands, arguments: Sequence[str] | None
) -> int:
    """The exit status of the command that the first argument names; `run_command` says which."""
    parser = _Parser(
        prog=f"python -m {program}", description=about, formatter_class=RawDescriptionHelpFormatter
    )
    parsers = parser.add_subparsers(required=True, metavar="WHAT")
    for name, (command, options) in commands.items():
        added = parsers.add_parser(name, help=command.__doc__, description=command.__doc__)
        added.set_defaults(command=command)
        for option, how in options.items():
            added.add_argument(option, **how)

    def call() -> int | None:
        given = parser.parse_args(arguments)
        return given.command(given)

    return run_command(call)


def _interrupt(name: str) -> NoReturn:
    raise KeyboardInterrupt(name)


def tell(line: str) -> None:
    """Progress as it comes, through a pipe too."""
    print(line, flush=True)
