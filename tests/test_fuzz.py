"""Whatever container, dtype, target and estimator: the contract holds, or one line says why not.

`make fuzz` tries as many cases as twenty minutes allow.
"""

import pickle
import re
import time
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from hypothesis import Phase, event, given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.exceptions import DataConversionWarning
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier

import advaug
from advaug import (
    AdversarialOverSampler,
    AdversarialTransformer,
    AdversarialUnderSampler,
    CommitteeClassifier,
)
from advaug.domains.tables.value_sets import FEWEST_STEPS
from advaug.models import Ensemble
from advaug.robust import DistilledClassifier
from tests.frames import (
    COLUMNS,
    INDICES,
    LAYOUTS,
    REFUSED,
    REFUSED_TARGETS,
    SORTABLE,
    TABLES,
    TARGETS,
    TYPED,
    VALUES,
    can_have_gaps,
    column_of,
)
from tests.test_budgets import ATTACKS_OF_TABLES
from tests.test_budgets import Case as Budgeted

QUICK = Ensemble(n_repeats=2, cv=2, hidden_width=8, max_iter=5)
LONG = 20 * 60  # Seconds: no more cases are tried after them.
MANY_TEXTS = (44, 16)  # Up to fifty texts are levels of a category.
SENTINEL_ROWS = 40  # In fewer rows a sentinel may stand in one row only.
SIZES = [(30, 9), (25, 8, 12), (14, 20, 1), (16, 5), (70, 25)]
NUMBERS = ["price", "stars", "real", "heavy", "sentinel", "count", "calendar", "serial"]
RECIPES = ["auto", "match", "interpolate", "harden", "translate"]
SMALL = ["stars", "real", "count"]  # What half floats and bytes hold too.
WORDS = ["late", "parcel", "money", "thanks", "great", "app"]

STUDENTS = {"bayes": GaussianNB(), "tree": DecisionTreeClassifier(random_state=0)}

TENSORS = {
    f"tensor {dtype}": lambda X, dtype=dtype: torch.tensor(X).to(getattr(torch, dtype))
    for dtype in ("float64", "float32", "float16", "bfloat16", "int64", "uint8", "bool")
}
ARRAYS = {name: LAYOUTS[name] for name in LAYOUTS if name not in TABLES} | TENSORS
SPARSE = ("csr matrix", "csc array", "coordinate matrix")


def texts(rng, n):
    return [" ".join([*rng.choice(WORDS, 4), str(k)]) for k in range(n)]


SEQUENCES = {
    "list of texts": texts,
    "array of texts": lambda rng, n: np.array(texts(rng, n), dtype=object),
    "series of texts": lambda rng, n: pd.Series(texts(rng, n)),
    "pandas column of texts": lambda rng, n: pd.DataFrame({"text": texts(rng, n)}),
    "polars column of texts": lambda rng, n: pl.DataFrame({"text": texts(rng, n)}),
    "arrow column of texts": lambda rng, n: pa.table({"text": texts(rng, n)}),
    "lists of tokens": lambda rng, n: [text.split() for text in texts(rng, n)],
}
FIELDS = {
    "signals": lambda rng, n: rng.normal(size=(n, 2, 16)),
    "float32 signals": lambda rng, n: rng.normal(size=(n, 1, 16)).astype("f4"),
    "signals of unequal length": lambda rng, n: [
        rng.normal(size=(2, length)) for length in rng.integers(12, 18, n)
    ],
    "images": lambda rng, n: rng.integers(0, 200, (n, 5, 6)).astype("u1"),
    "tensor of images": lambda rng, n: torch.tensor(rng.random((n, 1, 4, 4))),
}


@dataclass(frozen=True)
class Case:
    """What is passed to which estimator. `gaps` are the columns with missing cells."""

    container: str
    columns: tuple[str, ...]
    gaps: frozenset[str]
    index: str
    target: str
    estimator: str
    recipe: str
    sizes: tuple[int, ...]
    seed: int

    @property
    def refused_columns(self) -> list[str]:
        """The columns that no adapter reads."""
        return [name for name in self.columns if name.partition(": ")[0] in REFUSED]

    @property
    def is_refused(self) -> bool:
        """Whether the documentation says that such rows, labels or estimators do not fit."""
        return bool(
            self.refused_columns
            or self.target in REFUSED_TARGETS
            or (self.container in SEQUENCES and self.estimator == "under")
            or (min(self.sizes) == 1 and self.target != "bool" and self.estimator in STUDENTS)
            or (self.container in SPARSE and self.estimator == "bayes")
        )

    def rows(self):
        """X and y."""
        rng = np.random.default_rng(self.seed)
        codes = rng.permutation(np.repeat(np.arange(len(self.sizes)), self.sizes))
        y, n = TARGETS[self.target](codes), len(codes)
        for fields in (SEQUENCES, FIELDS):
            if self.container in fields:
                return fields[self.container](rng, n), y
        if self.container in ARRAYS:
            columns = [np.array(VALUES[name](rng, n), dtype=float) for name in self.columns]
            signal = np.rint(2 * rng.normal(size=n) + 4 * codes)
            return ARRAYS[self.container](np.column_stack([signal, *columns])), y
        signal = rng.normal(size=n) + 2 * codes
        columns = {
            name: column_of(self.container, name, rng, n, name in self.gaps)
            for name in self.columns
        }
        X = TABLES[self.container]({"signal": signal, **columns})
        if self.container == "pandas":
            X.index = INDICES[self.index](rng, n)
        return X, y

    def fresh(self):
        """The estimator with the quickest settings."""
        is_sequence = self.container in SEQUENCES
        shared = {"surrogate": QUICK, "random_state": 0}
        if self.estimator == "over":
            return AdversarialOverSampler(recipe=self.recipe, **shared)
        if self.estimator == "under":
            return AdversarialUnderSampler(**shared)
        if self.estimator == "transformer":
            return AdversarialTransformer(attack="auto", radius=1 if is_sequence else 0.3, **shared)
        if self.estimator == "committee":
            return CommitteeClassifier(voters=None, **shared)
        teacher = CommitteeClassifier(voters=None, **shared)
        student = STUDENTS[self.estimator]
        return DistilledClassifier(student, teacher, n_new_rows=20, random_state=0)


NAMES = {library: [*typed] for library, typed in TYPED.items()}
NAMES["pandas"] += COLUMNS
FAMILIES = {"tables": [*TABLES], "arrays": [*ARRAYS], "others": [*SEQUENCES, *FIELDS]}


@st.composite
def cases(draw, estimator, family):
    container = draw(st.sampled_from(FAMILIES[family]))
    names = NAMES.get(container, [])
    if container in ARRAYS:
        names = SMALL if any(part in container for part in ("16", "int", "bool")) else NUMBERS
    few = {"min_size": 1, "max_size": 6, "unique": True}
    columns = draw(st.lists(st.sampled_from(names), **few)) if names else []
    gaps = [name for name in columns if container in TABLES and can_have_gaps(container, name)]
    return Case(
        container=container,
        columns=tuple(columns),
        gaps=frozenset(draw(st.sets(st.sampled_from(gaps))) if gaps else ()),
        index=draw(st.sampled_from([*INDICES])),
        target=draw(st.sampled_from([*(SORTABLE if estimator in STUDENTS else TARGETS)])),
        estimator=estimator,
        recipe=draw(st.sampled_from(RECIPES)) if estimator == "over" else "",
        sizes=MANY_TEXTS if container in SEQUENCES else draw(st.sampled_from(SIZES)),
        seed=draw(st.integers(0, 2**16)),
    )


# ---------------------------------------------------------------- what any container holds


def columns_of(X):
    """The columns of a table by name, as lists; of all other rows, one column of rows."""
    if isinstance(X, pd.DataFrame):
        return {name: X[name].tolist() for name in X}
    if isinstance(X, pl.DataFrame):
        return {name: X[name].to_list() for name in X.columns}
    if isinstance(X, pa.Table):
        return {name: X[name].to_pylist() for name in X.column_names}
    array = X.toarray() if sparse.issparse(X) else X
    if isinstance(X, list) and isinstance(X[0], list) and isinstance(X[0][0], float):
        array = np.array(X)
    if isinstance(array, np.ndarray | torch.Tensor) and array.ndim == 2:
        return dict(enumerate(array.T.tolist()))
    return {0: cells_of(array)}


def cells_of(y):
    """Labels, or rows, as a list."""
    if isinstance(y, pd.DataFrame):
        return y.iloc[:, 0].tolist()
    for name in ("to_pylist", "to_list", "tolist"):
        if hasattr(y, name):
            return getattr(y, name)()
    return list(y)


def form_of(X):
    """Container, dtypes and names."""
    names, dtypes = getattr(X, "columns", None), getattr(X, "dtypes", None)
    if isinstance(X, pd.DataFrame):
        names, dtypes = list(X.columns), [repr(dtype) for dtype in X.dtypes]
    if isinstance(X, pa.Table):
        names, dtypes = X.column_names, X.schema.types
    if isinstance(X, pa.Array):  # What is longer comes back in chunks.
        X = pa.chunked_array([X])
    kinds = [getattr(X, "dtype", None), getattr(X, "name", None)]
    kinds += [X.type] if isinstance(X, pa.ChunkedArray) else []
    index = type(X.index) if isinstance(X, pd.DataFrame | pd.Series) else None
    return type(X), str(names), str(dtypes), str(kinds), index


def text_of(X, rows=None):
    """The cells of these rows as text: equal only where all digits and types are."""
    columns = columns_of(X)
    rows = range(len(columns[next(iter(columns))])) if rows is None else rows
    return repr({name: [cells[row] for row in rows] for name, cells in columns.items()})


def is_missing(cell):
    return cell is None or cell is pd.NaT or cell is pd.NA or cell != cell


# ---------------------------------------------------------------- invariants


VALID = {  # values of such a name -> whether a new cell is one
    "price": lambda cell: round(float(cell), 2) == float(cell),
    "stars": lambda cell: float(cell * 2).is_integer(),
    "count": lambda cell: float(cell).is_integer(),
    "calendar": lambda cell: pd.Timestamp(str(int(cell))) is not None,
    "sentinel": lambda cell: cell == -999 or cell > 0,
}


def check_new_cells(name, real, new, *, is_narrow):
    """New cells are levels of the column, or values between its bounds and on its step.

    is_narrow : whether the container holds fewer digits than the values have
    """
    known = [cell for cell in real if not is_missing(cell)]
    made = [cell for cell in new if not is_missing(cell)]
    if not known or not made:
        assert not made, f"{name} held nothing"
        return
    if isinstance(known[0], int | float | Decimal | np.number) and not isinstance(known[0], bool):
        values, _, dtype = name.partition(": ")
        is_narrow |= dtype in ("float", "float16") or dtype.lower() == "float32"
        fewest = SENTINEL_ROWS if values == "sentinel" else FEWEST_STEPS
        is_known = not is_narrow and len(set(known)) >= fewest
        for cell in made if is_known else []:
            assert VALID.get(values, lambda cell: True)(cell), f"{name}: {cell!r} is no such value"
    if isinstance(known[0], str | bytes | bool | pd.Interval) or "mixed" in name:
        assert set(map(repr, made)) <= set(map(repr, known)), name
    elif not name.startswith(("row id", "serial")):  # New rows may get fresh numbers.
        assert min(known) <= min(made), name
        assert max(made) <= max(known), name


def check_error(case, error):
    """An error of ours: one line that names what it is about, raised by a check."""
    assert isinstance(error, ValueError | TypeError), repr(error)
    message = str(error)
    assert "\n" not in message, message
    assert re.search(r"\b([Cc]olumn|rows?|X|y|class|label)\b", message), message
    if case.refused_columns and case.target not in REFUSED_TARGETS:
        assert any(repr(name) in message for name in case.refused_columns), message
    last = Path(traceback.extract_tb(error.__traceback__)[-1].filename)
    ours = Path(advaug.__file__).parent
    assert last.is_relative_to(ours) or last.stem in ("validation", "multiclass"), last


def check_over_sampler(case, X, y):
    sampler = case.fresh()
    X_new, y_new = sampler.fit_resample(X, y)
    n = sum(case.sizes)
    assert form_of(X_new) == form_of(X)
    assert form_of(y_new) == form_of(y)
    assert text_of(X_new, range(n)) == text_of(X)
    if case.container == "pandas":
        assert X_new.index[:n].equals(X.index)
    labels = list(map(repr, cells_of(y_new)))
    assert labels[:n] == list(map(repr, cells_of(y)))
    assert set(Counter(labels).values()) == {max(Counter(labels[:n]).values())}
    parents = sampler.parent_indices_
    assert parents[:n].tolist() == list(range(n))
    assert [labels[k] for k in parents[n:]] == labels[n:] or case.recipe in ("match", "translate")
    if case.container not in {**SEQUENCES, **FIELDS}:
        new = {name: cells[n:] for name, cells in columns_of(X_new).items()}
        check_new_table(case, columns_of(X), new, parents[n:])
        for name in case.columns:
            if name.startswith("row id") and name not in case.gaps:
                cells = columns_of(X_new)[name]
                assert len(set(cells)) == len(cells), f"{name} repeats a number"
    again, labels_again = pickle.loads(pickle.dumps(sampler)).fit_resample(X, y)
    assert text_of(again) == text_of(X_new)
    assert repr(cells_of(labels_again)) == repr(cells_of(y_new))


def check_new_table(case, real, new, parents):
    """`parents` are the places of the rows from which the new ones were made."""
    names = dict(enumerate(["signal", *case.columns])) if case.container in ARRAYS else {}
    is_narrow = any(part in case.container for part in ("16", "32", "int", "bool"))
    for column, cells in real.items():
        gaps = [is_missing(cells[parent]) for parent in parents]
        assert [is_missing(cell) for cell in new[column]] == gaps
        check_new_cells(names.get(column, column), cells, new[column], is_narrow=is_narrow)


def check_under_sampler(case, X, y):
    sampler = case.fresh()
    X_new, y_new = sampler.fit_resample(X, y)
    assert form_of(X_new)[:4] == form_of(X)[:4]
    assert form_of(y_new)[:4] == form_of(y)[:4]
    kept = sampler.sample_indices_
    assert (np.diff(kept) > 0).all()
    assert text_of(X_new) == text_of(X, kept.tolist())
    labels = list(map(repr, cells_of(y)))
    assert list(map(repr, cells_of(y_new))) == [labels[k] for k in kept]
    assert set(Counter(labels[k] for k in kept).values()) == {min(Counter(labels).values())}
    again, _ = pickle.loads(pickle.dumps(sampler)).fit_resample(X, y)
    assert text_of(again) == text_of(X_new)


def check_transformer(case, X, y):
    transformer = case.fresh().fit(X, y)
    moved = transformer.transform(X)
    if not isinstance(X, list):
        assert form_of(moved) == form_of(X)
    if case.container not in {**SEQUENCES, **FIELDS}:
        check_new_table(case, columns_of(X), columns_of(moved), range(sum(case.sizes)))
    again = pickle.loads(pickle.dumps(transformer)).transform(X)
    assert text_of(again) == text_of(moved)
    assert text_of(case.fresh().fit(X, y).transform(X)) == text_of(moved)


def check_classifier(case, X, y):
    classifier = case.fresh().fit(X, y)
    probability = classifier.predict_proba(X)
    assert probability.shape == (len(cells_of(y)), len(set(map(repr, cells_of(y)))))
    assert np.allclose(probability.sum(1), 1)
    assert probability.min() >= 0
    predicted, classes = classifier.predict(X).tolist(), classifier.classes_.tolist()
    assert set(map(repr, predicted)) <= set(map(repr, classes))
    again = pickle.loads(pickle.dumps(classifier)).predict_proba(X)
    assert np.array_equal(again, probability)
    assert np.array_equal(case.fresh().fit(X, y).predict_proba(X), probability)


CHECKS = {
    "over": check_over_sampler,
    "under": check_under_sampler,
    "transformer": check_transformer,
}


def check(case):
    """The contract of one case."""
    X, y = case.rows()
    before = form_of(X), text_of(X), form_of(y), repr(cells_of(y))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            CHECKS.get(case.estimator, check_classifier)(case, X, y)
        except AssertionError:
            raise
        except Exception as error:
            if not case.is_refused:
                raise
            check_error(case, error)
        else:
            assert not case.is_refused, "no error though the documentation refuses this"
    assert (form_of(X), text_of(X), form_of(y), repr(cells_of(y))) == before
    kinds = {warning.category for warning in told}
    assert kinds <= {UserWarning, DataConversionWarning}, [str(warning.message) for warning in told]


MATRIX = [
    *((estimator, family) for estimator in [*CHECKS, "committee"] for family in FAMILIES),
    *((student, "arrays") for student in STUDENTS),
]


@pytest.mark.parametrize(("estimator", "family"), MATRIX)
def test_the_contract_holds_whatever_is_passed(estimator, family):
    stop = time.monotonic() + LONG / len(MATRIX)
    n_cases = settings().max_examples * (2 if family == "tables" else 1)

    # A failing case is shown as it was found: to shrink it would take minutes.
    @settings(phases=[Phase.generate], max_examples=n_cases)
    @given(cases(estimator, family))
    def explore(case):
        if time.monotonic() < stop:
            event(f"{case.container}: {'refused' if case.is_refused else 'accepted'}")
            check(case)

    explore()


@given(st.sampled_from(ATTACKS_OF_TABLES), st.integers(2, 2**31))
@settings(phases=[Phase.generate])
def test_no_attack_passes_a_budget_or_breaks_a_rule(attack, seed):
    event(attack)
    Budgeted.of(attack, seed).check()
