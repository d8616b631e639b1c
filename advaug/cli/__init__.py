"""The command line: files in, files out.

What the user can mend is one line on stderr, with a wrong rule shown below it, and exit code 2.
Nothing heavy is imported before there is work to do.
"""

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from advaug import __version__
from advaug.cli import attack, demo, fit, grow, oversample, report, undersample
from advaug.cli.files import CliError, streams
from advaug.cli.options import Parser, as_options
from advaug.core.drawing import visible


def parser() -> Parser:
    """All commands and options."""
    top = Parser(prog="advaug", description="Adversarial examples as new training rows.")
    top.add_argument("--version", action="version", version=f"advaug {__version__}")
    commands = top.add_subparsers(required=True, metavar="command", parser_class=Parser)
    for command in (demo, oversample, fit, grow, undersample, report, attack):
        options = commands.add_parser(command.NAME, help=command.HELP)
        options.siblings = commands.choices
        command.add_options(options)
        options.set_defaults(work=command.work, out_suffixes=command.OUT)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, 2 for what the user can mend, 130."""
    try:
        options = parser().parse_args(arguments)
        with one_line_warnings(), streams(options):
            options.work(options)
    except (CliError, ValueError, TypeError, ImportError, OSError) as error:
        message = " ".join(str(error).split()) + getattr(error, "below", "")
        print(visible(f"advaug: error: {message}", keep="\n"), file=sys.stderr)
        return 2
    except MemoryError:
        print("advaug: error: out of memory: ask for fewer rows (--strategy)", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("advaug: stopped", file=sys.stderr)
        return 130
    return 0


@contextmanager
def one_line_warnings() -> Iterator[None]:
    """The library's own warnings without file and line; other libraries' ones not at all."""

    def show(message: Any, category: Any, *_: Any, **__: Any) -> None:
        if issubclass(category, UserWarning):
            text = as_options(" ".join(str(message).split()))
            print(visible(f"advaug: warning: {text}"), file=sys.stderr)

    with warnings.catch_warnings():
        warnings.simplefilter("default", UserWarning)
        warnings.showwarning = show
        yield
