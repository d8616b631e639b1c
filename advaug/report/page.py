"""The report as one page of HTML: no script, no network, readable on a phone."""

from collections.abc import Iterator
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

from advaug import containers
from advaug.report.checks import VERDICTS, Check, percent
from advaug.report.evidence import Evidence
from advaug.report.pictures import histogram, margins, plane, shortened

if TYPE_CHECKING:
    from advaug.report.report import ValidityReport

MOST_COLUMNS = 12  # whose histograms are drawn
MOST_SUSPECTS = 10
MOST_MOVES = 8
SIGNS = {"good": "✓ good", "note": "i note", "doubt": "! doubt", "bad": "✗ bad"}


def page(report: "ValidityReport") -> str:
    """The whole page."""
    style = (files("advaug") / "data" / "report.css").read_text(encoding="utf-8")
    body = "\n".join(sections(report))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Validity report</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f"<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def sections(report: "ValidityReport") -> Iterator[str]:
    yield banner(report)
    yield "<section><h2>Checks</h2>"
    for evidence in report.evidence:
        yield from checks(report, evidence)
    yield "</section>"
    if report.decisions:
        yield from decisions(report)
    yield "<section><h2>Where the rows lie</h2><div class='pair'>"
    for evidence in report.evidence:
        name = report.classes[evidence.label]
        yield figure(
            margins(evidence, name),
            f"How surely other model families see class {name}: parents, judged by models that "
            "have not seen them, and the rows made of them, judged by the same models.",
        )
    drawn = plane(report.real, report.evidence, report.classes)
    if drawn:
        yield figure(
            drawn,
            "Two principal components of the coded rows; a random sample of at most 500 real and "
            "500 synthetic rows is drawn. Lines lead from some parents to their children.",
        )
    yield "</div></section>"
    for evidence in report.evidence:
        yield from columns(evidence, report.classes[evidence.label])
    yield from suspects(report)
    yield calibration(report)
    yield method(report)


def banner(report: "ValidityReport") -> str:
    head, _, why = VERDICTS[report.verdict].partition(": ")
    worst = [c for c in report.checks if c.status == report.verdict and c.status != "good"]
    named = ", ".join(dict.fromkeys(escape(check.name) for check in worst))
    rows = "; ".join(
        f"class {escape(str(name))}: {made:,} synthetic beside {old:,} real"
        for name, (old, made) in report.counts.items()
        if made
    )
    return (
        f'<header class="banner {report.verdict}"><p class="kicker">Validity report</p>'
        f"<h1>{escape(head)}</h1><p>{escape(why).capitalize()}{': ' + named if named else ''}.</p>"
        f'<p class="quiet">{rows}</p></header>'
    )


def checks(report: "ValidityReport", evidence: Evidence) -> Iterator[str]:
    name = report.classes[evidence.label]
    judged = len(evidence.rows)
    told = "" if judged == evidence.made else f", a random {judged:,} of {evidence.made:,} judged"
    yield f"<h3>Class {escape(str(name))}{told}</h3>"
    yield (
        '<table class="checks"><thead><tr><th scope="col">status</th><th scope="col">check</th>'
        '<th scope="col">synthetic rows</th><th scope="col">real rows, and the limits</th></tr>'
        "</thead><tbody>"
    )
    yield from (line(check) for check in report.checks if check.label == name)
    yield "</tbody></table>"


def line(check: Check) -> str:
    return (
        f'<tr><td><span class="pill {check.status}">{SIGNS[check.status]}</span></td>'
        f'<th scope="row">{escape(check.name)}<small>{escape(check.meaning)}</small></th>'
        f'<td data-label="synthetic">{escape(check.found)}</td>'
        f'<td data-label="real">{escape(check.expected)}</td></tr>'
    )


def figure(drawn: str, caption: str) -> str:
    return f"<figure>{drawn}<figcaption>{escape(caption)}</figcaption></figure>"


def decisions(report: "ValidityReport") -> Iterator[str]:
    """What the sampler's own jury did, as a bar and in numbers."""
    yield "<section><h2>What the sampler's jury decided</h2>"
    for name, counts in report.decisions.items():
        total = max(sum(counts.values()), 1)
        bar = "".join(
            f'<span class="part p{k}" style="width:{100 * count / total:.2f}%"></span>'
            for k, count in enumerate(counts.values())
            if count
        )
        words = "".join(
            f'<li><span class="key p{k}"></span>{escape(what)}: <b>{count:,}</b> '
            f"({percent(count / total)})</li>"
            for k, (what, count) in enumerate(counts.items())
        )
        yield f"<h3>Class {escape(str(name))}</h3>"
        yield f'<div class="bar" aria-hidden="true">{bar}</div><ul class="keys">{words}</ul>'
    yield "</section>"


def columns(evidence: Evidence, name: Any) -> Iterator[str]:
    """Histograms of the columns that drifted most, and a table of all."""
    if not evidence.drifts:
        return
    old, made = len(evidence.control["label_p"]), len(evidence.rows)
    chance = 1.36 * float(np.sqrt((old + made) / (old * made)))
    yield (
        f"<section><h2>Columns of class {escape(str(name))}</h2><p>The columns that drifted most. "
        '<span class="key real"></span>real rows of the class <span class="key new"></span>'
        "synthetic rows. Drift is the Kolmogorov-Smirnov distance of numbers and the total "
        f"variation of levels, 0 to 1; up to about {chance:.2f} is chance for a column of numbers "
        "at these numbers of rows.</p>"
    )
    yield '<div class="grid">'
    for drift in evidence.drifts[:MOST_COLUMNS]:
        title = f"<b>{escape(shortened(drift.column, 28))}</b> drift {drift.distance:.2f}"
        yield f"<figure><figcaption>{title}</figcaption>{histogram(drift)}</figure>"
    yield "</div>"
    rows = "".join(
        f'<tr><th scope="row">{escape(str(drift.column))}</th><td>{drift.distance:.3f}</td>'
        f"<td>{percent(drift.missing[0])}</td><td>{percent(drift.missing[1])}</td></tr>"
        for drift in evidence.drifts
    )
    yield (
        f"<details><summary>All {len(evidence.drifts)} columns</summary><table class='plain'>"
        '<thead><tr><th scope="col">column</th><th scope="col">drift</th>'
        '<th scope="col">missing, real</th><th scope="col">missing, synthetic</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></details></section>"
    )


def suspects(report: "ValidityReport") -> Iterator[str]:
    """The rows with most against them, and what moved in them."""
    frame = report.to_frame()
    worst = frame[frame["faults"] > 0][:MOST_SUSPECTS]
    yield "<section><h2>Most suspicious rows</h2>"
    if not len(worst):
        yield "<p>No judged row has anything against it.</p></section>"
        return
    against = int((frame["faults"] > 0).sum())
    yield (
        f"<p>{against:,} of {len(frame):,} judged rows have something against them; here are the "
        f"{len(worst)} with most. Rows count from 0.</p>"
    )
    rows, parents = worst["row"].to_numpy(), worst["parent"].to_numpy()
    before, after = containers.take(report.real.X, parents), containers.take(report.new, rows)
    moved = report.real.coding.changes(before, after)
    scales = {n.name: n.scale for n in getattr(report.real.coding, "numbers", ())}
    yield '<ol class="cards">'
    for (_, row), moves in zip(worst.iterrows(), moved, strict=True):
        yield (
            f"<li><p><b>synthetic row {row['row']}</b>, class {escape(str(row['label']))}, beside "
            f"real row {row['parent']}</p><p class='why'>{escape(row['reasons'])}</p>"
            f"<p class='quiet'>label p {row['label_p']:.3f}, plausibility p "
            f"{row['plausibility_p']:.3f}, agreement {row['agreement']:.2f}</p>"
            f"{what_moved(moves, scales)}</li>"
        )
    yield "</ol></section>"


def what_moved(moves: dict[str, Any], scales: dict[Any, float]) -> str:
    """The largest moves of a row, before and after."""

    def size(item: tuple[Any, Any]) -> float:
        name, (a, b) = item
        try:
            return abs(float(b) - float(a)) / scales.get(name, 1.0)
        except (TypeError, ValueError):
            return 1.0

    largest = sorted(moves.items(), key=size, reverse=True)
    lines = "".join(
        f"<tr><th scope='row'>{escape(shortened(name, 30))}</th>"
        f"<td>{cell(a)}</td><td aria-label='became'>→</td><td>{cell(b)}</td></tr>"
        for name, (a, b) in largest[:MOST_MOVES]
    )
    more = len(largest) - MOST_MOVES
    rest = f"<p class='quiet'>and {more} more columns</p>" if more > 0 else ""
    return f"<table class='moves'><tbody>{lines}</tbody></table>{rest}" if lines else ""


def cell(value: Any) -> str:
    if value is None:
        return "<i>missing</i>"
    return escape(f"{value:.5g}" if isinstance(value, float) else shortened(value, 24))


def calibration(report: "ValidityReport") -> str:
    """What the new class shares do to probabilities, and the mend."""
    total = sum(old for old, _ in report.counts.values())
    grown = sum(old + made for old, made in report.counts.values())
    lines = "".join(
        f'<tr><th scope="row">{escape(str(name))}</th><td>{percent(old / total)}</td>'
        f"<td>{percent((old + made) / grown)}</td>"
        f"<td>{percent(corrected(old / total, (old + made) / grown))}</td></tr>"
        for name, (old, made) in report.counts.items()
        if old
    )
    return (
        "<section><h2>Probabilities</h2><p>A model trained on all rows takes these class shares "
        "for the world's. Where it says 50 %, the share in the last column is meant (Elkan 2001; "
        "Saerens et al. 2002). <code>advaug.PriorCorrectedClassifier</code> around the pipeline "
        "says it so by itself.</p><table class='plain'><thead><tr><th scope='col'>class</th>"
        "<th scope='col'>share, real</th><th scope='col'>share, with synthetic rows</th>"
        "<th scope='col'>a 50 % against the rest means</th></tr></thead>"
        f"<tbody>{lines}</tbody></table></section>"
    )


def corrected(prior: float, trained: float) -> float:
    """What a probability of one half at the trained share means at the true one."""
    own, rest = prior / trained, (1 - prior) / max(1 - trained, 1e-12)
    return own / (own + rest)


def method(report: "ValidityReport") -> str:
    families = escape(", ".join(report.real.jury.models))
    return (
        "<section><h2>How this was measured</h2><p>Model families that had no part in making the "
        f"rows ({families}) are trained on the real rows in five folds, all classes weighed alike. "
        "A synthetic row is judged by the models that have not seen its parent, where nobody told "
        "the parent the nearest real row of its class; real rows by the models that have not seen "
        "them. A label is refused where the families are less sure of it than of 95 % of the real "
        "rows of the class: where classes overlap, rows of another class can pass, so look at the "
        "mean p-value as well. No check can prove a row true.</p></section>"
    )
