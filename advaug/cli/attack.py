"""`advaug attack`: what attacks leave of a saved classifier's score on the rows of a file."""

import argparse
import re
from pathlib import Path
from typing import Any

from advaug.cli.files import (
    CliError,
    check_frozen,
    check_source,
    check_texts,
    parted,
    read,
    say,
    tell_guesses,
)
from advaug.cli.options import Parser, add_quiet, add_repeatable, add_seed, add_source
from advaug.core.known_names import did_you_mean

OUT = ()
NAME, HELP = "attack", "the score of a saved classifier under attack"
IN_PYTHON = (
    "attack a model of texts in Python, with "
    "AdversarialTransformer(attack='greedy', surrogate=model, radius=3)"
)
# What mends a column of free text besides --frozen.
TEXTS = f"; no attack of the command line reads texts: {IN_PYTHON}"
NUMBER = r"[+-]?[\d.]+(?:e[+-]?\d+)?"


def add_options(parser: Parser) -> None:
    parser.add_argument(
        "model",
        type=Path,
        metavar="MODEL",
        help="a fitted classifier that joblib.dump has written. To load it runs the code in it: "
        "open files that you trust only",
    )
    add_source(parser, "DATA")
    parser.set_defaults(out=None)
    parser.refusals = {"--text": IN_PYTHON}
    add_repeatable(
        parser,
        "--radius",
        "R",
        "how far a row may move: 0.3 (robust standard deviations of each column), or a budget in a "
        "column's own units, income=500 or age=0:2; columns without one stay (default: 0.3)",
    )
    add_repeatable(
        parser,
        "--cost",
        "C",
        "what a move by one unit of a column costs, income=0.1, of what a row may spend (--total); "
        "columns without a cost stay, and --radius limits single columns besides",
    )
    parser.add_argument(
        "--total", type=float, metavar="T", help="what the moves of a row may cost together"
    )
    add_repeatable(parser, "--attack", "NAME", "an attack such as pgd or square (default: auto)")
    add_repeatable(parser, "--frozen", "COL", "leave this column as it is")
    parser.add_argument(
        "--scoring",
        default="balanced_accuracy",
        metavar="NAME",
        help="a score of scikit-learn (default: balanced_accuracy)",
    )
    add_seed(parser)
    add_quiet(parser)


def work(options: argparse.Namespace) -> None:
    """`advaug attack`."""
    radius = radius_of(options.radius, options.cost, options.total)
    if not options.model.is_file():
        raise CliError(f"cannot read {options.model}: there is no such file; check the path")
    check_source(options.source)
    table, file = read(options.source, options)
    X, y = parted(table, options.target, wants_parent=False)
    check_frozen(X, options.frozen, options.target)
    tell_guesses(file, options)
    model = loaded(options.model)
    X = columns_of(model, X, options.source)
    check_texts(X, options.frozen, TEXTS)
    if set(options.frozen) >= set(X.columns):
        raise CliError(f"every column is --frozen, so that no row can move{TEXTS}")

    from advaug.domains.tables.adapter import TabularAdapter
    from advaug.robust.robustness import robustness_table

    rows = robustness_table(
        [model],
        X,
        y,
        attacks=options.attack or ["auto"],
        radius=radius,
        scoring=options.scoring,
        adapter=TabularAdapter(frozen=options.frozen),
        random_state=options.seed,
    )
    say(f"{options.scoring} of {options.model} on {len(y)} rows, radius {told(radius)}", options)
    say(rows.to_string(index=False, float_format="{:.3f}".format), options)


def radius_of(given: list[str], cost: list[str], total: float | None) -> Any:
    """A number, column -> budget, or a budget of costs; CliError for what is none, or several."""
    if bool(cost) != (total is not None):
        raise CliError("--cost and --total belong together: --cost income=0.1 --total 100")
    if cost:
        return budget_of_costs(given, cost, total)
    if not given:
        return 0.3
    if len(given) == 1 and re.fullmatch(NUMBER, given[0]):
        return float(given[0])
    budgets = {}
    for text in given:
        name, _, budget = text.rpartition("=")
        if not name or not re.fullmatch(f"{NUMBER}(?::{NUMBER})?", budget):
            raise CliError(
                f"--radius {text!r} is no budget of a column: write income=500 or age=0:2, or one "
                "number for all columns"
            )
        low, _, high = budget.rpartition(":")
        budgets[name] = (float(low), float(high)) if low else float(high)
    return budgets


def budget_of_costs(given: list[str], cost: list[str], total: float | None) -> Any:
    """What a row may spend, and the limits of single columns."""
    from advaug.domains.tables.budget import Budget

    costs = {}
    for text in cost:
        name, _, value = text.rpartition("=")
        if not name or not re.fullmatch(NUMBER, value):
            raise CliError(f"--cost {text!r} is no cost of a column: write income=0.1")
        costs[name] = float(value)
    limits = radius_of(given, [], None) if given else None
    if isinstance(limits, float):
        raise CliError("--radius with --cost limits single columns: write income=500 or age=0:2")
    try:
        return Budget(costs, total or 0.0, limits)
    except ValueError as error:
        raise CliError(str(error)) from None


def told(radius: Any) -> str:
    """The radius as a reader sees it."""
    if isinstance(radius, float):
        return f"{radius:g}"
    if hasattr(radius, "times"):
        costs = ", ".join(f"{name} at {value:g}" for name, value in radius.cost.items())
        limits = f", within {told(radius.limits)}" if radius.limits else ""
        return f"{radius.total:g} to spend on {costs}{limits}"
    parts = []
    for name, value in radius.items():
        pair = isinstance(value, tuple)
        parts.append(f"{name} {value[0]:+g} to {value[1]:+g}" if pair else f"{name} {value:g}")
    return ", ".join(parts)


def loaded(path: Path) -> Any:
    """The classifier in a file of joblib; CliError if there is none."""
    import joblib

    try:
        model = joblib.load(path)
    except Exception as error:  # A damaged file raises whatever its bytes lead to.
        raise CliError(
            f"cannot load {path}: {error}: write it with joblib.dump(model, {path.name!r}), and "
            "load it where the same packages are installed"
        ) from error
    if not hasattr(model, "predict") or not hasattr(model, "classes_"):
        raise CliError(
            f"{path} holds a {type(model).__name__}, no fitted classifier: write that with "
            f"joblib.dump(model, {path.name!r})"
        )
    return model


def columns_of(model: Any, X: Any, source: Path) -> Any:
    """The columns that the model was fitted on; CliError if the file lacks one."""
    names = list(getattr(model, "feature_names_in_", X.columns))
    if lacking := [name for name in names if name not in X.columns]:
        raise CliError(
            f"{source} has no column {lacking[0]!r}, which the model was fitted on: "
            f"{did_you_mean(lacking[0], list(X.columns))}"
        )
    return X[names]
