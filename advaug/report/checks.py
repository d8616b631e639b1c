"""The verdict: a line for each thing that can be wrong, its figure beside that of real rows.

Limits are stated in the line, so that a reader may disagree.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import betabinom, norm

from advaug.core.drawing import shortened
from advaug.report.evidence import FAR, Array, Evidence
from advaug.sampling.faults import RARE
from advaug.sampling.judges.panel import LABEL_LEVEL

CHANCE = 0.01  # share of batches of real rows that a limit may doubt
MOST_RELATIONS = 3  # A line names so many of the relations that are broken most,
MOST_PAIRS = 3  # and so many pairs of columns,
LONGEST_RULE = 80  # with so many characters of each.
PAIR_GAP = 0.3  # Two columns whose dependence is so much farther off raise a doubt,
STRONG_PAIR = 0.9  # and so do two that depend so strongly, if it is off by this gap alone.
MOST_REPEATS = 0.5  # A share of repeated rows so much larger than that of real rows raises a doubt.
TELL_TALE_AUC = 0.95  # A forest that tells rows apart so well raises a doubt.
STATUSES = ("good", "note", "doubt", "bad")  # from best to worst
VERDICTS = {
    "good": "Sound: no check found a fault in these rows",
    "doubt": "Use with care: some checks raise doubts",
    "bad": "Not fit to train on as they are: some checks fail",
}


@dataclass(frozen=True)
class Check:
    """One line of the verdict.

    Parameters
    ----------
    label : object
        The class.
    name : str
        What is checked, such as "copies".
    status : {"good", "note", "doubt", "bad"}
        A note is for your information.
    found : str
        The figure of the synthetic rows.
    expected : str
        That of real rows, and the limits.
    meaning : str
        What the figure says.

    See Also
    --------
    advaug.report.ValidityReport : Its `checks` holds them.

    Examples
    --------
    >>> from advaug.report import Check
    >>> check = Check("sick", "copies", "doubt", "3 of 100", "0 of 100", "equal to real rows")
    >>> check.status, check.found
    ('doubt', '3 of 100')
    """

    label: Any
    name: str
    status: str
    found: str
    expected: str
    meaning: str


def graded(value: float, doubt: float, bad: float) -> str:
    """Good up to `doubt`, bad above `bad`."""
    return "bad" if value > bad else "doubt" if value > doubt else "good"


def verdict_of(checks: list[Check]) -> str:
    """The status of the worst check; notes count as good."""
    worst = max((STATUSES.index(check.status) for check in checks), default=0)
    return "good" if worst < 2 else STATUSES[worst]


def tally(checks: list[Check]) -> str:
    """How many checks have each status, the worst first: "14 checks: 2 doubts, 12 good"."""
    counts = Counter(check.status for check in checks)
    nouns = {"note": "notes", "doubt": "doubts"}
    words = (
        f"{count} {nouns.get(status, status) if count > 1 else status}"
        for status in reversed(STATUSES)
        for count in [counts[status]]
        if count
    )
    return f"{len(checks)} checks: {', '.join(words)}"


def percent(share: float) -> str:
    """A share for the eye: 0 % and 100 % mean none and all."""
    if 0 < share < 0.01:
        return f"{100 * share:.2g} %"
    if 0.99 < share < 1:
        return f"{np.floor(1000 * share) / 10:g} %"
    return f"{100 * share:.0f} %"


def checks_of(evidence: Evidence, name: Any) -> list[Check]:
    """All checks of one class's synthetic rows."""
    lines = [
        *of_cells(evidence),
        *of_rules(evidence),
        *of_relations(evidence),
        *of_copies(evidence),
        *of_repeats(evidence),
        *of_label(evidence),
        *of_place(evidence),
        *of_traits(evidence),
        *of_batch(evidence),
        *of_tell_tale(evidence),
        *of_drift(evidence),
        *of_dependence(evidence),
        *of_nearest(evidence),
    ]
    return [Check(name, *line) for line in lines]


Line = tuple[str, str, str, str, str]

CELL_CHECKS = (  # name, whether of cells beyond the range, limits of doubt and bad, meaning
    (
        "impossible values",
        False,
        0.0,
        0.01,
        "a number off the column's steps or between a special value and the others, a day that "
        "does not exist, a level that no real row has, an identifier of another row, or a missing "
        "cell where no real row has one",
    ),
    (
        "values out of range",
        True,
        0.01,
        0.1,
        "a number outside the range of all real rows",
    ),
)


def of_cells(evidence: Evidence) -> Iterator[Line]:
    if evidence.faults is None:
        return
    for name, is_beyond, doubt, bad, meaning in CELL_CHECKS:
        found = [f for f in evidence.faults if f.is_beyond == is_beyond and len(f.rows)]
        rows: Any = np.unique(np.concatenate([fault.rows for fault in found])) if found else []
        share = len(rows) / len(evidence.rows)
        words = f"{percent(share)} of rows"
        if found:
            most = max(found, key=lambda fault: len(fault.rows))
            words += f", e.g. {most.words(int(most.rows[0]))}"
        yield name, graded(share, doubt, bad), words, f"none; bad above {percent(bad)}", meaning


def of_rules(evidence: Evidence) -> Iterator[Line]:
    for rule, is_broken in evidence.broken.items():
        if rule in evidence.unreal and not is_broken.any():
            continue  # It is counted among the relations.
        share = float(is_broken.mean())
        yield (
            f"rule: {rule}",
            graded(share, 0, 0),
            f"broken by {percent(share)} of rows",
            "none",
            "a row may not break a rule that its parent keeps",
        )


def of_relations(evidence: Evidence) -> Iterator[Line]:
    if not evidence.unreal:
        return
    is_broken = np.any([*evidence.unreal.values()], 0)
    shares = {rule: float(rows.mean()) for rule, rows in evidence.unreal.items() if rows.any()}
    worst = sorted(shares, key=lambda rule: -shares[rule])[:MOST_RELATIONS]
    words = f"{percent(float(is_broken.mean()))} of rows break one of {len(evidence.unreal)}"
    if worst:
        named = (f"{shortened(rule, LONGEST_RULE)} ({percent(shares[rule])})" for rule in worst)
        words += ": " + "; ".join(named)
    yield (
        "relations",
        graded(float(is_broken.mean()), 0, 1),
        words,
        "none: all real rows keep them",
        "a total and its parts, an order, a level that follows from another: all real rows keep "
        "these relations, and more of them do than chance explains",
    )


def of_copies(evidence: Evidence) -> Iterator[Line]:
    own, foreign = float(evidence.copies.mean()), float(evidence.foreign_copies.mean())
    usual, usual_foreign = evidence.usual_copies
    yield (
        "copies",
        graded(own - usual, 0.1, 1),
        f"{percent(own)} are equal to a real row of the class",
        f"{percent(usual)} of real rows; doubt above 10 points more",
        "a copy is correct but adds no information: it only gives its row more weight",
    )
    yield (
        "copies of another class",
        graded(foreign - usual_foreign, 0, 0.01),
        f"{percent(foreign)} are equal to a real row of another class",
        f"{percent(usual_foreign)} of real rows; doubt above that, bad above 1 point more",
        "the same row has two labels: one of them is wrong",
    )


def of_repeats(evidence: Evidence) -> Iterator[Line]:
    found = evidence.repeats
    yield (
        "repeats",
        graded(found.share - found.usual, MOST_REPEATS, 1),
        f"{found.distinct} different rows of {len(evidence.rows)}; of {found.drawn} random ones "
        f"{percent(found.share)} equal another one",
        f"{percent(found.usual)} of {found.drawn} real rows; doubt above "
        f"{100 * MOST_REPEATS:.0f} points more",
        "rows that equal other new rows add no information: they only give one row more weight",
    )


def label_limits(n: int, n_usual: int) -> tuple[float, float]:
    """Most rejected and least mean p-value of a batch of `n` rows that raise no doubt.

    10 % and .38, or what one batch of real rows in a hundred exceeds by chance: the rejected are
    beta-binomial, the mean is Mann and Whitney's statistic, both free of the distribution.
    """
    below = np.ceil(LABEL_LEVEL * (n_usual + 1)) - 1  # real rows below the level
    most = betabinom.isf(CHANCE, n, below, n_usual + 1 - below) / n if below > 0 else 0.0
    spread = norm.isf(CHANCE) * np.sqrt((n + n_usual + 1) / (12 * n * n_usual))
    return max(0.1, float(most)), min(0.38, 0.5 - float(spread))


def label_status(p: Array, n_usual: int) -> str:
    """The status of a batch by its rows' label p-values, uniform for real rows, among `n_usual`."""
    most, least = label_limits(len(p), n_usual)
    excess = float((p < LABEL_LEVEL).mean()) - most
    return graded(max(excess, (least - float(p.mean())) * 1.5), 0, 0.15)


def of_label(evidence: Evidence) -> Iterator[Line]:
    p, n_usual = evidence.row_metrics["label_p"], len(evidence.control["label_p"])
    most, least = label_limits(len(p), n_usual)
    yield (
        "label",
        "note" if n_usual < 20 else label_status(p, n_usual),
        f"{percent(float((p < LABEL_LEVEL).mean()))} rejected, mean p-value {p.mean():.2f}",
        f"{percent(LABEL_LEVEL)} and 0.50 for real rows; "
        f"doubt above {percent(most)} or below {max(least, 0):.2f}, "
        f"bad above {percent(min(most + 0.15, 1))} or below {max(least - 0.1, 0):.2f}",
        "a label is rejected if models that have not seen the row's parent are less sure of it "
        f"than of {percent(1 - LABEL_LEVEL)} of the real rows of the class",
    )
    hidden, usual = (float(s["hidden"].mean()) for s in (evidence.row_metrics, evidence.control))
    yield (
        "hidden majority",
        graded(hidden - usual, 0.1, 0.3),
        f"{percent(hidden)} are nearest to a real row of another class",
        f"{percent(usual)} of real rows; doubt above 10, bad above 30 points more",
        "the nearest real row is of another class (Hassanat et al. 2022)",
    )


def of_place(evidence: Evidence) -> Iterator[Line]:
    far = float((evidence.row_metrics["plausibility_p"] < FAR).mean())
    yield (
        "plausibility",
        graded(far, 0.15, 0.4),
        f"{percent(far)} lie farther from the class than 95 % of its real rows",
        "5 % of real rows; doubt above 15 %, bad above 40 %",
        "conformal p-value of the distance to the three nearest rows of the class",
    )


def of_traits(evidence: Evidence) -> Iterator[Line]:
    for trait in evidence.traits:
        share = float(trait.is_strange.mean())
        usual, most = np.median(trait.real), percent(1 - RARE)
        yield (
            trait.name,
            graded(share, 0.15, 0.4),
            f"median {np.median(trait.new):.3g}; {percent(share)} exceed {most} of real rows",
            f"median {usual:.3g} and {percent(RARE)} for real rows left out; doubt above 15 %, bad "
            "above 40 %",
            trait.meaning,
        )


def of_batch(evidence: Evidence) -> Iterator[Line]:
    batch = evidence.batch
    if batch is None:
        return
    cover, usual = batch.cover, batch.usual_cover
    share = cover.coverage / max(usual.coverage, 1e-9)
    yield (
        "coverage",
        graded(1 - share, 0.4, 0.8),
        f"{percent(cover.coverage)} of real rows have a synthetic row nearby",
        f"{percent(usual.coverage)} for as many real rows; doubt below .6 of it, bad below .2",
        "rows that fill only a part of the class add nothing to the rest of it",
    )
    yield (
        "two-sample test",
        "note" if batch.forest_auc <= 0.95 else "doubt",
        f"AUC {batch.forest_auc:.2f} of a forest; energy test p = {batch.same_p:.3f}",
        "AUC 0.50 and any p for the same distribution; doubt above 0.95",
        "how well a forest separates synthetic from real rows, and the energy test of one "
        "distribution; good rows need not have the same distribution as real ones",
    )


def of_tell_tale(evidence: Evidence) -> Iterator[Line]:
    told = evidence.tell_tale
    if told is None:
        return
    named = ", ".join(f"{shortened(str(name), LONGEST_RULE)} ({d:.2f})" for name, d in told.columns)
    yield (
        "tell-tale",
        "doubt" if told.auc > TELL_TALE_AUC else "note",
        f"AUC {told.auc:.2f} of a forest" + (f", most by column {named}" if named else ""),
        f"AUC 0.50 if no cell gives a row away; doubt above {TELL_TALE_AUC:.2f}",
        "how well a forest that reads the cells tells synthetic rows from real ones of the class "
        "that it has not seen, and by how much less without a column",
    )


def of_drift(evidence: Evidence) -> Iterator[Line]:
    if evidence.batch is None or not evidence.drifts:
        return
    far = evidence.drifts[0]
    yield (
        "column drift",
        graded(far.distance, 0.4, 0.8),
        f"column {far.column}: distance {far.distance:.2f} from the real rows of the class",
        "0 for the same distribution; doubt above 0.40, bad above 0.80",
        "Kolmogorov-Smirnov distance or total variation, 0 to 1, of the column that drifted most",
    )


def of_dependence(evidence: Evidence) -> Iterator[Line]:
    found = evidence.dependence
    if found is None:
        return
    named = (
        " and ".join(shortened(str(name), LONGEST_RULE) for name in pair.columns)
        + f" ({pair.real:.2f}, synthetic {pair.new:.2f})"
        for pair in found.worst[:MOST_PAIRS]
    )
    is_lost = any(
        pair.gap > PAIR_GAP + (0 if abs(pair.real) >= STRONG_PAIR else found.usual_worst)
        for pair in found.worst
    )
    yield (
        "pairs of columns",
        "doubt" if is_lost else "good",
        f"mean difference {found.gap:.2f}, most of {'; '.join(named)}",
        f"{found.usual_gap:.2f}, most {found.usual_worst:.2f} between real rows; doubt if a pair "
        f"differs by {PAIR_GAP:.2f} more, or by {PAIR_GAP:.2f} from {STRONG_PAIR:.2f} on",
        "how strongly two columns depend on each other: Spearman's correlation of numbers, "
        "Cramér's V of categories, the correlation ratio of one of each",
    )


def of_nearest(evidence: Evidence) -> Iterator[Line]:
    if len(evidence.control["novelty"]) < 2:
        return
    yield (
        "nearest record",
        "note",
        f"{percent(evidence.closer)} are closer to a real row than a held-out real row is",
        "50 % of real rows",
        "how much a row tells of a single real one: rows that are made between real rows are "
        "closer; copies are counted above",
    )
