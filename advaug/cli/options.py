"""What several commands take on the line: the parser, shared options, numbers, --strategy."""

import argparse
import ast
import codecs
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from advaug.cli.files import SUFFIXES, CliError
from advaug.core.known_names import did_you_mean


class Parser(argparse.ArgumentParser):
    """argparse, with its errors on one line; a misspelt word is answered with the nearest one."""

    refusals: Mapping[str, str] = {}  # option of other commands -> what to do instead
    siblings: Mapping[str, argparse.ArgumentParser] = {}  # the parsers of all commands, by name

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        found, rest = super().parse_known_args(args, namespace)
        for word in rest:
            if word.startswith("--"):
                word = word.partition("=")[0]
                owners = [
                    name
                    for name, one in self.siblings.items()
                    if word in one._option_string_actions
                ]
                if owners:
                    mend = self.refusals.get(word, "leave it out")
                    self.error(f"{word} is an option of {' and '.join(owners)} alone: {mend}")
                known = [name[2:] for name in self._option_string_actions if name[:2] == "--"]
                self.error(f"option {word} is not known: {did_you_mean(word[2:], known)}")
        return found, rest

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            mend = did_you_mean(value, map(str, action.choices))
            raise argparse.ArgumentError(action, f"{value!r} is not known: {mend}")

    def error(self, message: str) -> NoReturn:
        raise CliError(f"{message} (see {self.prog} --help)")


def add_files(parser: Parser, source: str, out: str, suffixes: Sequence[str] = SUFFIXES) -> None:
    """The file to read, its column of classes and the file to write."""
    add_source(parser, source, suffixes)
    parser.add_argument("--out", required=True, type=Path, metavar="OUT", help=out)
    add_force(parser)


def add_source(parser: Parser, source: str, suffixes: Sequence[str] = SUFFIXES) -> None:
    """The file to read, its column of classes, and how a text file is written."""
    parser.add_argument(
        "source",
        type=Path,
        metavar=source,
        help=f"a file: {', '.join(suffixes)}; - for standard input",
    )
    parser.add_argument("--target", required=True, metavar="COL", help="the column of classes")
    parser.add_argument(
        "--sep",
        type=separator,
        metavar="CHAR",
        help="what stands between cells of a text file; by default found",
    )
    parser.add_argument(
        "--decimal",
        choices=(".", ","),
        help="the decimal mark of a text file; by default found",
    )
    parser.add_argument(
        "--encoding",
        type=encoding,
        metavar="NAME",
        help="of a text file, e.g. cp1252; by default UTF-8, or cp1252 if it is not",
    )


def add_force(parser: Parser) -> None:
    parser.add_argument("--force", action="store_true", help="replace the file OUT if it exists")


def add_drop(parser: Parser) -> None:
    """--drop for the commands in which it names columns."""
    parser.add_argument(
        "--drop",
        dest="drop_columns",
        action="append",
        default=[],
        metavar="COL",
        help="leave this column out, of OUT too; repeatable",
    )


def separator(text: str) -> str:
    character = {"tab": "\t", "\\t": "\t"}.get(text, text)
    if len(character) != 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no single character, such as ; or tab")
    return character


def encoding(text: str) -> str:
    try:
        return codecs.lookup(text).name
    except LookupError:
        raise argparse.ArgumentTypeError(f"{text!r} is no encoding, such as cp1252") from None


def add_text(parser: Parser, what: str) -> None:
    """--text, which names a column of texts that is read alone."""
    parser.add_argument("--text", metavar="COL", help=what)


def add_strategy(parser: Parser, one: str, example: str, growth: str = "") -> None:
    """--strategy, whose words are those of imbalanced-learn, and `growth`."""
    parser.add_argument(
        "--strategy",
        default="auto",
        metavar="S",
        help=f"auto, {one}, not minority, not majority or all; minority/majority ratio for two "
        f"classes; {growth}or totals as JSON: '{{\"{example}\": 900}}' (default: auto)",
    )


def as_options(message: str) -> str:
    """A warning of the library, with options of `advaug oversample` in place of parameters."""
    message = re.sub(r"sampling_strategy=(\{.*?\})", as_json, message)
    message = re.sub(r"recipe='(\w+)'", r"--recipe \1", message)
    return message.replace("SequenceAdapter(", "in Python SequenceAdapter(")


def as_json(found: re.Match[str]) -> str:
    """Totals of classes as --strategy takes them; as they were if JSON has no such labels."""
    try:
        totals = json.dumps(ast.literal_eval(found[1]), ensure_ascii=False)
    except (ValueError, SyntaxError, TypeError):
        return found[0]
    return f"--strategy {shlex.quote(totals)}"


def add_repeatable(parser: Parser, name: str, metavar: str, what: str) -> None:
    """An option that may be given more than once."""
    parser.add_argument(
        name, action="append", default=[], metavar=metavar, help=f"{what}; repeatable"
    )


def add_seed(parser: Parser) -> None:
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="default: 0")


def add_quiet(parser: Parser) -> None:
    parser.add_argument("--quiet", action="store_true", help="print no summary")


def seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 to 2**32 - 1")
    return int(text)


def strategy(text: str, y: Any) -> Any:
    """imbalanced-learn's sampling_strategy from a word, a number or JSON totals."""
    from advaug.containers.targets import labels

    if re.fullmatch(r"[\d.eE+-]+", text):
        try:
            return float(text)
        except ValueError:
            raise CliError(f"--strategy {text!r} is no number: write e.g. 0.5") from None
    if re.fullmatch(r"grow[\d.]+", text):
        from advaug.estimators.strategies import grow

        try:
            return grow(float(text.removeprefix("grow")))
        except ValueError as error:
            raise CliError(f"--strategy {text!r}: {error}. Write e.g. grow1.5") from None
    if not text.lstrip().startswith("{"):
        words = ("auto", "minority", "not minority", "not majority", "all")
        if text not in words:
            raise CliError(
                f"--strategy {text!r} is no ratio such as 0.5, no totals as JSON such as "
                f"'{{\"sick\": 900}}' and no known word: {did_you_mean(text, words)}"
            )
        return text
    try:
        totals = json.loads(text)
    except RecursionError:
        raise CliError("--strategy: the JSON is nested too deep: write {label: total}") from None
    except json.JSONDecodeError as error:
        raise CliError(
            f"--strategy {text}: no JSON ({error}): quote it as '{{\"a\": 9}}'"
        ) from error
    values = labels(y)
    own = {str(value): value for value in dict.fromkeys(values.tolist())}
    return {label_of(key, own): total_of(key, total) for key, total in totals.items()}


def label_of(key: str, own: dict[str, Any], option: str = "--strategy") -> Any:
    """The target's label that a text spells: '1' is 1 and 1.0, 'true' is True."""
    for text, value in own.items():
        if key == text or (isinstance(value, bool) and key.lower() == text.lower()):
            return value
        if isinstance(value, float) and key == f"{value:g}":
            return value
    raise CliError(f"{option}: the target has no class {key!r}: {did_you_mean(key, list(own))}")


def total_of(key: str, total: Any) -> int:
    if not isinstance(total, int) or isinstance(total, bool) or total < 0:
        raise CliError(f"--strategy: {total!r} rows of class {key!r}: give a whole number")
    return total
