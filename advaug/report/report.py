"""The validity report: are synthetic rows, whoever made them, still what their labels say?

All is measured against the real rows, and every figure stands beside the same figure of real rows.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self, overload

import numpy as np
import torch
from tqdm.auto import tqdm

from advaug import __version__, containers
from advaug.containers.files import beside
from advaug.core.drawing import visible
from advaug.core.parameters import AUTO, is_auto
from advaug.estimators.choices import choose_adapter
from advaug.estimators.validation import refuse_empty
from advaug.models.cross_fitted import CV, fit_cross_fitted
from advaug.models.protocol import ModelFamily, Voter
from advaug.report.checks import VERDICTS, Check, checks_of, tally, verdict_of
from advaug.report.evidence import (
    FAR,
    Array,
    Evidence,
    RealRows,
    SyntheticRows,
    gather,
    refuse_other_rows,
)
from advaug.report.page import page, summary
from advaug.report.panel_voters import PANEL
from advaug.sampling.domain import Adapter, Coding, FittedAdapter
from advaug.sampling.judges.panel import LABEL_LEVEL, PanelJudge

MOST_REAL = 5000  # real rows of a class that models learn from
MOST_JUDGED = 5000  # synthetic rows of a class that are judged


@dataclass(frozen=True, repr=False)
class ValidityReport:
    """What `validity_report` found.

    A notebook shows the verdict and the checks; `print` does so in a terminal. `to_html(path)`
    writes the whole page, `to_frame()` has a line for each row.

    Attributes
    ----------
    verdict : {"good", "doubt", "bad"}
        The worst of the checks.
    checks : list of `Check`
        A line for each thing that can be wrong with a class's rows.
    counts : dict of class -> (int, int)
        How many real and how many synthetic rows there are.
    decisions : dict of class -> dict
        What the sampler did, and with how many rows; empty for other tools.
    evidence : list of `Evidence`
        What was measured, of which class.
    real : `RealRows`
        The rows that it was measured against.
    new : container of rows
        The synthetic rows.
    classes : list
        The class labels.
    maker : str
        What made the rows, as far as it is known.
    random_state : int
        The seed of the report.
    date : datetime.date
        When the report was made.

    See Also
    --------
    advaug.validity_report : Makes a report.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from advaug.report import validity_report
    >>> X, y = make_classification(80, 4, class_sep=2.0, random_state=0)
    >>> report = validity_report(X, y, X[y == 0] + 1e-9, [1] * int((y == 0).sum()))
    >>> report.verdict, report.counts
    ('bad', {0: (40, 0), 1: (40, 40)})
    >>> bool((report.to_frame()["hidden"] == 1).all())
    True
    """

    real: RealRows
    new: Any
    classes: list[Any]
    evidence: list[Evidence]
    checks: list[Check]
    counts: dict[Any, tuple[int, int]]
    decisions: dict[Any, dict[str, int]] = field(default_factory=dict)
    maker: str = ""
    random_state: int = 0
    date: dt.date = field(default_factory=dt.date.today)

    @property
    def verdict(self) -> str:
        return verdict_of(self.checks)

    def __repr__(self) -> str:
        old, made = np.sum([*self.counts.values()], axis=0).tolist()
        words = f"{old:,} real rows, {made:,} synthetic; {tally(self.checks)}"
        return f"<ValidityReport: {self.verdict}; {words}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: the verdict and a table of the checks."""
        return summary(self.checks, self.counts, self.real.coding.caveat)

    def __str__(self) -> str:
        return "\n".join(visible(line) for line in self._lines())

    def _lines(self) -> Iterator[str]:
        yield ". ".join(filter(None, (VERDICTS[self.verdict], self.real.coding.caveat))) + "."
        for evidence in self.evidence:
            name = self.classes[evidence.label]
            old, made = self.counts[name]
            n_judged = len(evidence.rows)
            judged = "" if made == n_judged else f", a random sample of {n_judged} judged"
            yield ""
            yield f"class {name!s}: {old} real rows, {made} synthetic{judged}"
            own = [check for check in self.checks if check.label == name]
            wide = max(len(check.name) for check in own)
            for check in own:
                yield f"  {check.status:5}  {check.name:{wide}}  {check.found}  [{check.expected}]"
        if self.decisions:
            yield ""
        for name, counts in self.decisions.items():
            words = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
            yield f"class {name!s}, decisions of the sampler: {words}"

    def to_frame(self) -> Any:
        """A line for each judged synthetic row, the most suspicious first.

        Returns
        -------
        pandas.DataFrame (judged rows, 17)
            The columns row (its place among the synthetic rows), label, parent (its place among the
            real rows; the nearest of the class where it is unknown), label_p, plausibility_p,
            agreement (each from 0 to 1; suspicious near 0), hidden (1 if the nearest real row is of
            another class), novelty (distance to the nearest real row of the class), density (about
            1 for a real row), copy, foreign_copy (equal to a real row of the class, of another
            class), impossible, out_of_range (numbers of such cells), broken (number of broken rules
            and relations), strange (number of traits, such as the surprise of a text, in which few
            real rows are so), faults (a weighted count of all that is wrong) and reasons.
        """
        frames = [rows_of(evidence, self.classes) for evidence in self.evidence]
        joined = {name: np.concatenate([frame[name] for frame in frames]) for name in frames[0]}
        order = np.lexsort((joined["label_p"] * joined["plausibility_p"], -joined["faults"]))
        columns = {name: values[order] for name, values in joined.items()}
        return containers.table(columns, {})

    def to_html(self, path: str | Path | None = None, *, name: str = "") -> str:
        """One page that needs no network; written to `path` if there is one.

        Parameters
        ----------
        path : str or Path, optional
            The file to write.
        name : str, optional
            The data set, for the title and the head of the page.

        Returns
        -------
        str
            The page.

        Raises
        ------
        ImportError
            Jinja2 or matplotlib, which draws the pictures, is missing.
        """
        text = page(
            name=name,
            facts=dict(self._facts(name)),
            real=self.real,
            new=self.new,
            classes=self.classes,
            evidence=self.evidence,
            checks=self.checks,
            counts=self.counts,
            decisions=self.decisions,
            frame=self.to_frame(),
        )
        if path is not None:
            with beside(path) as part:
                part.write_text(text, encoding="utf-8")
        return text

    def _facts(self, name: str) -> Iterator[tuple[str, str]]:
        """What a reader of the page who has no part in its making wants to know."""
        if name:
            yield "Data set", name
        old, made = np.sum([*self.counts.values()], axis=0).tolist()
        yield "Real rows", f"{old:,}{shape_of(self.real.X)}"
        yield "Synthetic rows", f"{made:,}" + (f", made by {self.maker}" if self.maker else "")
        yield "Date", self.date.isoformat()
        yield "Made with", f"advaug {__version__}, random_state={self.random_state}"

    @classmethod
    def from_rows(
        cls,
        X_real: Any,
        y_real: Any,
        X_synthetic: Any,
        y_synthetic: Any,
        *,
        parents: Any = None,
        constraints: Any = None,
        adapter: Adapter | Coding | None = None,
        panel: PanelJudge | None = None,
        random_state: int = 0,
        verbose: int = 0,
    ) -> Self:
        """See `validity_report`."""
        X_real, X_synthetic, y_real, y_synthetic = (
            containers.owned(given) for given in (X_real, X_synthetic, y_real, y_synthetic)
        )
        if isinstance(adapter, Coding):  # as a fitted sampler has it
            adapter = FittedAdapter(adapter)
        adapter = choose_adapter("auto" if adapter is None else adapter, X_real)
        if "time_axis" in adapter.provides:
            X_real, X_synthetic = adapter.check(X_real), adapter.check(X_synthetic)
        y, y_new = (containers.labels(labels) for labels in (y_real, y_synthetic))
        classes, codes = containers.classes_of(y)
        parents = parents_of(parents, len(y_new), len(y))
        new_codes = codes_of(y_new, classes)
        for what, rows, labels in (("real", X_real, y), ("synthetic", X_synthetic, y_new)):
            if containers.count(rows) != len(labels):
                raise ValueError(
                    f"X_{what} has {containers.count(rows)} rows, y_{what} {len(labels)} labels: "
                    "pass one label a row"
                )
        if not len(y_new):
            raise ValueError("there are no synthetic rows: nothing to judge")
        generator = torch.Generator().manual_seed(random_state)
        panel, labels = panel or PanelJudge(families=PANEL), np.unique(new_codes).tolist()
        with progress(len(panel.families) * CV + 1 + len(labels), verbose) as bar:
            real = learn(X_real, codes, adapter, panel, generator, bar)
            rules = real.coding.constraints(None if is_auto(constraints) else constraints, X_real)
            relations, evidence = real.coding.constraints(AUTO, X_real), []
            bar.update()
            for label in labels:
                rows = np.flatnonzero(new_codes == label)
                some = np.sort(shuffled(rows, generator)[:MOST_JUDGED])
                X = containers.take(X_synthetic, some)
                made = SyntheticRows(X, label, some, len(rows), parents[some])
                evidence.append(gather(real, made, rules, relations, generator))
                bar.update()
        names = classes.tolist()
        return cls(
            real=real,
            new=X_synthetic,
            classes=names,
            evidence=evidence,
            checks=[check for one in evidence for check in checks_of(one, names[one.label])],
            counts={
                name: (int((codes == k).sum()), int((new_codes == k).sum()))
                for k, name in enumerate(names)
            },
            random_state=random_state,
        )

    @classmethod
    def from_sampler(
        cls,
        sampler: Any,
        X: Any,
        y: Any,
        *,
        constraints: Any = None,
        adapter: Adapter | Coding | None = None,
        panel: PanelJudge | None = None,
        random_state: int = 0,
        verbose: int = 0,
    ) -> Self:
        """See `validity_report`; X and y are what `sampler.fit_resample` returned."""
        if not hasattr(sampler, "provenance_"):
            raise ValueError(
                f"this {type(sampler).__name__} has not made rows yet: call "
                "sampler.fit_resample(X, y) first"
            )
        if not hasattr(sampler, "generator_"):
            raise ValueError(
                f"this {type(sampler).__name__} was copied or stored, which leaves out what it has "
                "learnt: write validity_report(X_real, y_real, X_synthetic, y_synthetic)"
            )
        X = sampler.adapter_.check(containers.owned(X))
        refuse_other_rows(sampler, X, y)
        is_new, y = sampler.synthetic_mask_, containers.labels(containers.owned(y))
        old, made = np.flatnonzero(~is_new), np.flatnonzero(is_new)
        report = cls.from_rows(
            containers.take(X, old),
            y[old],
            containers.take(X, made),
            y[made],
            parents=sampler.parent_indices_[made],
            constraints=sampler.constraints if constraints is None else constraints,
            adapter=sampler.adapter_ if adapter is None else adapter,
            panel=panel,
            random_state=random_state,
            verbose=verbose,
        )
        made_by = type(sampler).__name__
        return replace(report, decisions=decisions(sampler.provenance_), maker=made_by)


@overload
def validity_report(
    sampler: Any,
    X: Any = ...,
    y: Any = ...,
    /,
    *,
    constraints: Any = None,
    adapter: Adapter | Coding | None = None,
    panel: PanelJudge | None = None,
    random_state: int = 0,
    verbose: int = 0,
) -> ValidityReport: ...
@overload
def validity_report(
    X_real: Any,
    y_real: Any,
    X_synthetic: Any,
    y_synthetic: Any,
    /,
    *,
    parents: Any = None,
    constraints: Any = None,
    adapter: Adapter | Coding | None = None,
    panel: PanelJudge | None = None,
    random_state: int = 0,
    verbose: int = 0,
) -> ValidityReport: ...
def validity_report(source: Any, *rows: Any, **options: Any) -> ValidityReport:
    """Judge synthetic rows of a sampler, or of any other tool.

    ``validity_report(sampler)`` takes an `AdversarialOverSampler` and finds the rows that its
    ``fit_resample`` returned, for as long as you hold them (the sampler keeps none of yours).
    ``validity_report(sampler, X, y)`` takes what ``fit_resample`` returned: write it if X is a
    plain list, or if the sampler was fitted again since, as a step of a pipeline is.
    ``validity_report(X_real, y_real, X_synthetic, y_synthetic)`` takes rows of any origin (SMOTE,
    CTGAN, a colleague, a sampler that was stored).

    Parameters
    ----------
    sampler : `AdversarialOverSampler`
        One that has made rows.
    X, y : container of rows and array-like of shape (n_rows,), optional
        What its `fit_resample` returned.
    X_real, y_real : container of rows and array-like of shape (n_real,)
        The real rows and their labels.
    X_synthetic, y_synthetic : container of rows and array-like of shape (n_synthetic,)
        The synthetic rows and their labels.
    parents : array of int (synthetic rows,), optional
        For each synthetic row the place of the real row it was made from, -1 if unknown. Without
        it the nearest real row of the class is taken. A sampler knows its own.
    constraints : `Constraints`, rule or list of rules, optional
        Rules that a row may not break if its parent keeps them; by default the sampler's. The
        relations that all real rows of a table keep, such as a total and its parts, are found and
        checked always, whoever made the rows.
    adapter : adapter, optional
        Reads the rows, e.g. ``TabularAdapter(frozen=["note"])`` to overlook free text; by default
        the sampler's, or the one that accepts X_real.
    panel : `PanelJudge`, optional
        Who judges: by default nets, a forest, boosting and logistic regression, cross-fitted.
    random_state : int, default=0
        Seed of all random numbers.
    verbose : int, default=0
        1 shows a progress bar.

    Returns
    -------
    ValidityReport
        Print it, or take its `to_html` or `to_frame`.

    Raises
    ------
    ValueError
        Rows and labels differ in number, a label or a column is not among the real ones.
    TypeError
        Rows or labels are missing, or there are too many.

    See Also
    --------
    advaug.AdversarialOverSampler : Over-sample with synthetic rows that held-out models agree on.
    advaug.report.ClassMapDisplay : Draws new rows beside the real ones.

    Notes
    -----
    Models learn from at most 5000 real rows of a class; of more than 5000 synthetic rows of a
    class as many random ones are judged.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from advaug import AdversarialOverSampler
    >>> from advaug.report import validity_report
    >>> X, y = make_classification(300, weights=[0.7], class_sep=2.0, random_state=0)
    >>> sampler = AdversarialOverSampler(random_state=0)
    >>> X_new, y_new = sampler.fit_resample(X, y)
    >>> report = validity_report(sampler)
    >>> report.verdict in ("good", "doubt")
    True
    >>> swapped = validity_report(X, y, X[y == 0] + 1e-9, [1] * int((y == 0).sum()))
    >>> swapped.verdict
    'bad'
    """
    if hasattr(source, "fit_resample"):
        name = type(source).__name__
        if not hasattr(source, "returned"):
            raise TypeError(
                f"{name} keeps no record of the rows that it has made: write "
                "validity_report(X_real, y_real, X_synthetic, y_synthetic)"
            )
        rows = rows or source.returned() or ()
        if len(rows) != 2:
            raise TypeError(
                f"this {name} does not hold the rows that it returned, or was fitted again since: "
                "pass them, validity_report(sampler, X_new, y_new) after X_new, y_new = "
                "sampler.fit_resample(X, y)"
            )
        return ValidityReport.from_sampler(source, *rows, **options)
    if len(rows) != 3:
        raise TypeError(
            "write validity_report(X_real, y_real, X_synthetic, y_synthetic), or "
            "validity_report(sampler, X, y) with what a sampler's fit_resample returned"
        )
    return ValidityReport.from_rows(source, *rows, **options)


def learn(
    X: Any, codes: Array, adapter: Adapter, panel: PanelJudge, generator: torch.Generator, bar: Any
) -> RealRows:
    """The coding of all real rows, and the models of at most MOST_REAL of each class."""
    coding = adapter.fit(X)
    own = [np.flatnonzero(codes == label) for label in range(codes.max() + 1)]
    kept = [shuffled(rows, generator)[:MOST_REAL] for rows in own]
    places = np.sort(np.concatenate(kept))
    coded = coding.encode(containers.take(X, places))
    refuse_empty(coded)
    features = coding.features(coded, generator)
    x = features(coded)
    y = torch.from_numpy(codes[places])
    families = {name: counted(family, bar) for name, family in panel.families.items()}
    models = fit_cross_fitted(families, x, y, int(y.max()) + 1, generator)
    return RealRows(X, codes, coding, features, places, coded.flatten(1), x, y, models, panel)


def progress(total: int, verbose: int) -> Any:
    """The bar that counts what the report has fitted and judged."""
    return tqdm(total=total, disable=not verbose, desc="validity report", unit="step")


def counted(family: ModelFamily, bar: Any) -> ModelFamily:
    """The family, which moves the bar with each model that it trains."""

    def fit(*arguments: Any) -> Voter:
        voter = family(*arguments)
        bar.update()
        return voter

    return fit


def shape_of(X: Any) -> str:
    """How many columns the rows have, or how large each of them is, where they have a shape."""
    sizes = containers.row_shape(X)
    if len(sizes) == 1:
        return f" of {sizes[0]:,} column{'s' * (sizes[0] > 1)}"
    return f" of {' x '.join(map(str, sizes))} values" if sizes else ""


def shuffled(rows: Array, generator: torch.Generator) -> Array:
    return rows[torch.randperm(len(rows), generator=generator).numpy()]


def codes_of(labels: Array, classes: Array) -> Array:
    """The place of each label among the classes; ValueError naming one that is not there."""
    place = {value: k for k, value in enumerate(classes.tolist())}
    unknown = [value for value in labels.tolist() if value not in place]
    if unknown:
        raise ValueError(
            f"synthetic label {unknown[0]!r} is no class of the real rows: there are "
            f"{classes.tolist()[:12]}; bring both labels to one type"
        )
    return np.array([place[value] for value in labels.tolist()], dtype=int)


def parents_of(parents: Any, n: int, n_real: int) -> Array:
    """Places of the parents, -1 where unknown; ValueError if they are none."""
    if parents is None:
        return np.full(n, -1)
    places = np.asarray(parents, dtype=float)
    places = np.where(np.isnan(places), -1, places).astype(int)
    if places.shape != (n,) or places.max(initial=-1) >= n_real or places.min(initial=0) < -1:
        raise ValueError(
            f"parents must be {n} places among the {n_real} real rows, or -1 where unknown: got "
            f"shape {places.shape} with values {places.min(initial=0)} to {places.max(initial=-1)}"
        )
    return places


def decisions(made: Any) -> dict[Any, dict[str, int]]:
    """What the sampler did with the rows of each class."""
    kept, status = made["move_share"].to_numpy(), made["status"].astype(str).to_numpy()
    labels = made["label"].to_numpy()
    is_retracted = status == "retracted"
    found = {
        "accepted": status == "accepted",
        "repaired to keep a rule": np.isin(status, ["repaired", "reverted"]),
        "moved half of the way back": is_retracted & (kept == 0.5),
        "moved three quarters of the way back": is_retracted & (kept == 0.25),
        "copied from a real row": np.isin(status, ["copied", "replaced"]),
    }
    return {
        name: {words: int(rows[labels == name].sum()) for words, rows in found.items()}
        for name in dict.fromkeys(labels.tolist())
    }


def rows_of(evidence: Evidence, classes: list[Any]) -> Mapping[str, Array]:
    """The columns of `to_frame` for one class."""
    n = len(evidence.rows)
    words: list[list[str]] = [[] for _ in range(n)]
    counts = {True: np.zeros(n, int), False: np.zeros(n, int)}
    for fault in evidence.faults or ():
        counts[fault.is_beyond][fault.rows] += 1
        for row in fault.rows.tolist():
            words[row].append(fault.words(row))
    broken = {**evidence.unreal, **evidence.broken}
    breaks = sum((b.astype(int) for b in broken.values()), np.zeros(n, int))
    for rule, is_broken in broken.items():
        for row in np.flatnonzero(is_broken).tolist():
            words[row].append(f"breaks {rule}")
    p, place_p = evidence.row_metrics["label_p"], evidence.row_metrics["plausibility_p"]
    hidden = evidence.row_metrics["hidden"] > 0
    suspicions = (
        (evidence.foreign_copies, "equal to a real row of another class"),
        (p < LABEL_LEVEL, "the label is doubted"),
        (hidden, "its nearest real row is of another class"),
        (place_p < FAR, "far from the class"),
        (evidence.copies, "a copy of a real row"),
    )
    strange = np.zeros(n, int)
    for trait in evidence.traits:
        strange += trait.is_strange
        for row in np.flatnonzero(trait.is_strange).tolist():
            words[row].append(trait.words(row))
    for is_so, what in suspicions:
        for row in np.flatnonzero(is_so).tolist():
            words[row].append(what)
    faults = 4 * (counts[False] > 0) + 4 * (breaks > 0) + 3 * evidence.foreign_copies
    faults = faults + 2 * (counts[True] > 0) + 2 * (p < LABEL_LEVEL) + hidden
    return {
        "row": evidence.rows,
        "label": np.array([classes[evidence.label]] * n, dtype=object),
        "parent": evidence.parent,
        **evidence.row_metrics,
        "copy": evidence.copies,
        "foreign_copy": evidence.foreign_copies,
        "impossible": counts[False],
        "out_of_range": counts[True],
        "broken": breaks,
        "strange": strange,
        "faults": faults + (place_p < FAR) + strange,
        "reasons": np.array(["; ".join(w) for w in words], dtype=object),
    }
