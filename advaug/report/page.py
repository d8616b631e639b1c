"""The report as one page of HTML: no script, no network, readable on a phone.

The template `advaug/data/report.html.j2` holds all markup and escapes all values; here are numbers.
"""

import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import numpy as np

from advaug import containers
from advaug.core.drawing import shortened, visible
from advaug.report.checks import VERDICTS, Check, percent, tally, verdict_of
from advaug.report.evidence import Evidence, RealRows
from advaug.report.pictures import histogram, margins, plane
from advaug.report.terms import TERMS, explained, place_of

MOST_COLUMNS = 12  # The page draws the histograms of at most so many columns.
MOST_SUSPECTS = 10
MOST_MOVES = 8


def page(
    *,
    name: str,
    facts: dict[str, str],
    real: RealRows,
    new: Any,
    classes: list[Any],
    evidence: list[Evidence],
    checks: list[Check],
    counts: dict[Any, tuple[int, int]],
    decisions: dict[Any, dict[str, int]],
    frame: Any,
) -> str:
    """The whole page; `frame` has a line for each judged row, the most suspicious first."""
    verdict = verdict_of(checks)
    headline, _, explanation = VERDICTS[verdict].partition(": ")
    worst = [check.name for check in checks if check.status == verdict != "good"]
    return template().render(
        style=data_file("report.css"),
        name=name,
        facts=facts,
        verdict=verdict,
        headline=headline,
        explanation=explanation,
        caveat=real.coding.caveat,
        worst_checks=list(dict.fromkeys(worst)),
        tally=tally(checks),
        counts=counts,
        decisions=decisions,
        parts=[part_of(one, classes[one.label], checks) for one in evidence],
        plane=plane(real, evidence, classes, counts),
        suspects=list(suspects(real, new, frame[frame["faults"] > 0][:MOST_SUSPECTS])),
        n_suspects=int((frame["faults"] > 0).sum()),
        n_judged=len(frame),
        usual_remarks=float(
            np.average(
                [one.usual_remarks for one in evidence],
                weights=[len(one.rows) for one in evidence],
            )
        ),
        most_moves=MOST_MOVES,
        shares=list(shares(counts)),
        families=list(real.models.models),
        terms=TERMS,
    )


def summary(checks: list[Check], counts: dict[Any, tuple[int, int]], caveat: str) -> str:
    """The verdict and the checks as a few lines of HTML, for a notebook."""
    verdict = verdict_of(checks)
    headline, _, explanation = VERDICTS[verdict].partition(": ")
    classes = dict.fromkeys(check.label for check in checks)
    return template("report_summary.html.j2").render(
        verdict=verdict,
        headline=headline,
        explanation=explanation,
        caveat=caveat,
        tally=tally(checks),
        classes={name: [one for one in checks if one.label == name] for name in classes},
        counts=counts,
    )


def template(name: str = "report.html.j2") -> Any:
    """A template, which escapes every value; ImportError with the mend without jinja2."""
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError as error:
        raise ImportError(
            "the page needs jinja2, which is not installed: pip install advaug[report]"
        ) from error
    environment = Environment(
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        finalize=lambda value: value if hasattr(value, "__html__") else visible(str(value)),
    )
    environment.filters |= {
        "percent": lambda share: unbroken(percent(share)),
        "shortened": shortened,
        "thousands": "{:,}".format,
        "unbroken": unbroken,
        "five_digits": five_digits,
        "explained": lambda text: environment.filters["safe"](explained(unbroken(text))),
        "place_of": place_of,
    }
    return environment.from_string(data_file(name))


def unbroken(text: str) -> str:
    """The text with no line break between a number and its percent sign."""
    return re.sub(r"(?<=\d) %", "\u00a0%", text)


def five_digits(value: float) -> str:
    """A float with five digits, or all before the point where there are a few more."""
    return f"{value:.0f}" if 1e5 <= abs(value) < 1e9 else f"{value:.5g}"


def data_file(name: str) -> str:
    return (files("advaug") / "data" / name).read_text(encoding="utf-8")


def part_of(evidence: Evidence, name: Any, checks: list[Check]) -> dict[str, Any]:
    """What the page shows of one class."""
    n_real, n_new = len(evidence.control["label_p"]), len(evidence.rows)
    return {
        "name": name,
        "judged": n_new,
        "made": evidence.made,
        "checks": [check for check in checks if check.label == name],
        "margins": margins(evidence, name),
        "drifts": evidence.drifts,
        "pairs": evidence.dependence.worst if evidence.dependence else [],
        "chance": 1.36 * float(np.sqrt((n_real + n_new) / (n_real * n_new))),
        "histograms": [(drift, histogram(drift, name)) for drift in evidence.drifts[:MOST_COLUMNS]],
    }


def suspects(real: RealRows, new: Any, frame: Any) -> Iterator[tuple[dict[str, Any], list[Any]]]:
    """Rows of the frame and what moved in each: (name, (before, after)), the farthest first."""
    if not len(frame):
        return
    before = containers.take(real.X, frame["parent"].to_numpy())
    after = containers.take(new, frame["row"].to_numpy())
    moves = real.coding.changes(before, after)
    for row, cells in zip(frame.to_dict("records"), moves, strict=True):
        yield row, list(cells.items())


def shares(counts: dict[Any, tuple[int, int]]) -> Iterator[tuple[Any, float, float, float]]:
    """Each class's share of the real and of all rows, and what one half means at the latter."""
    total = sum(old for old, _ in counts.values())
    grown = sum(old + made for old, made in counts.values())
    for name, (old, made) in counts.items():
        if old:
            prior, trained = old / total, (old + made) / grown
            yield name, prior, trained, corrected(prior, trained)


def corrected(prior: float, trained: float) -> float:
    """What a probability of one half at the trained share means at the true one."""
    own, rest = prior / trained, (1 - prior) / max(1 - trained, 1e-12)
    return own / (own + rest)
