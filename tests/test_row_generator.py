"""A fitted generator: any slice of any class, in any order, gives the same rows."""

import copy
import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal
from scipy import sparse

from advaug import AdversarialOverSampler, grow
from advaug.adapters import FittedAdapter, TabularAdapter
from advaug.datasets import load_ecg_beats
from advaug.recipes import Distill
from advaug.registry import RECIPES

pytestmark = pytest.mark.filterwarnings("ignore:column 'order_id' only tells rows apart")

TABLE_RECIPES = ["auto", *sorted({*RECIPES} - {"paraphrase", "recombine", "bag"})]


def table(n=130, seed=0):
    """Numbers, a category, a relation of columns and an identifier; 30 rows of class "b"."""
    rng = np.random.default_rng(seed)
    y = np.array(["a", "b"])[(np.arange(n) % 13 < 3).astype(int)]
    price = np.round(rng.normal(5, 1, n) + 2 * (y == "b"), 2)
    count = rng.integers(1, 9, n)
    X = pd.DataFrame(
        {
            "order_id": np.arange(n) + 1000,
            "price": price,
            "count": count,
            "total": np.round(price * count, 2),
            "kind": pd.Categorical(rng.choice(["x", "y", "z"], n)),
        },
        index=[f"row {k}" for k in range(n)],
    )
    return X, y


TEXTS = [f"the {a} {b} is {c} and {d}" for a in "abc" for b in "def" for c in "ghi" for d in "jk"]


def containers():
    """Name -> X of 130 rows (or 54), and y."""
    X, y = table()
    numbers = X[["price", "count", "total"]].to_numpy(np.float32)
    signals, beats = load_ecg_beats()
    counts = zip(np.unique(beats), (12, 9, 7, 7, 7), strict=False)
    few = np.concatenate([np.flatnonzero(beats == one)[:count] for one, count in counts])
    return {
        "pandas": (X, y),
        "polars": (pl.from_pandas(X.drop(columns="kind")), pl.Series("y", y)),
        "array": (numbers, y),
        "sparse": (sparse.csr_matrix(numbers), y),
        "tensor": (torch.from_numpy(numbers), torch.from_numpy((y == "b").astype(np.int64))),
        "lists": (numbers.tolist(), y.tolist()),
        "texts": (TEXTS, (["a"] * 40 + ["b"] * 14)),
        "signals": (signals[few], beats[few]),
    }


CONTAINERS = containers()


@pytest.fixture(scope="module")
def fitted():
    """Name of a container -> its generator, fitted once."""
    known = {}

    def one(name):
        if name not in known:
            known[name] = AdversarialOverSampler(random_state=0).fit(*CONTAINERS[name]).generator_
        return known[name]

    return one


def plain(rows):
    """Rows as lists, whatever holds them."""
    if sparse.issparse(rows):
        rows = rows.toarray()
    if isinstance(rows, pl.DataFrame):
        return rows.rows()
    return [list(row) if np.ndim(row) else row for row in np.asarray(rows).tolist()]


def same(one, other):
    for a, b in zip(plain(one), plain(other), strict=True):
        if isinstance(a, str):
            assert a == b
        else:
            numbers = [[v for v in row if not isinstance(v, str)] for row in (a, b)]
            assert_allclose(*numbers, atol=1e-5)
            assert [v for v in a if isinstance(v, str)] == [v for v in b if isinstance(v, str)]


every_container = pytest.mark.parametrize("name", CONTAINERS)


# ---------------------------------------------------------------- the identity of rows


@every_container
def test_the_rows_of_fit_resample_are_the_generators_own(fitted, name):
    X, y = CONTAINERS[name]
    sampler = AdversarialOverSampler(random_state=0)
    X_new, y_new = sampler.fit_resample(X, y)
    n, generator = len(sampler.synthetic_mask_) - sampler.synthetic_mask_.sum(), fitted(name)
    assert generator.counts == sampler.generator_.counts
    first = n
    for label, count in generator.counts.items():
        rows = generator.rows(label, 0, count)
        assert type(rows) is type(X)
        same(rows, X_new[first : first + count])
        assert list(y_new[first : first + count]) == list(generator.labels(label, count))
        assert type(generator.labels(label, count)) is type(y)
        first += count
    assert first == len(plain(X_new))


@every_container
@settings(max_examples=5, deadline=None)
@given(data=st.data())
def test_any_partition_in_any_order_gives_the_same_rows(fitted, name, data):
    generator = fitted(name)
    label = data.draw(st.sampled_from(generator.classes.tolist()))
    whole, record = generator.rows_with_provenance(label, 0, 40)
    cuts = sorted(data.draw(st.sets(st.integers(1, 39), max_size=3)))
    parts = list(zip([0, *cuts], [*cuts, 40], strict=True))
    for start, stop in data.draw(st.permutations(parts)):
        rows, facts = generator.rows_with_provenance(label, start, stop)
        same(rows, whole[start:stop])
        assert_array_equal(facts["parent"], record["parent"][start:stop])
        assert list(facts["status"]) == list(record["status"][start:stop])


@pytest.mark.parametrize(
    "recipe", ["auto", *sorted({*RECIPES} - {"paraphrase", "recombine", "bag"})]
)
def test_every_recipe_of_a_table_grows_by_slices(recipe):
    X, y = table()
    sampler = AdversarialOverSampler(recipe=recipe, sampling_strategy=grow(1.1), random_state=0)
    X_new, _ = sampler.fit_resample(X, y)
    halves = [sampler.generator_.rows("b", *part) for part in ((17, 80), (0, 17))]
    found = pd.concat(halves[::-1])
    own = X_new[sampler.synthetic_mask_][(sampler.provenance_["label"] == "b").to_numpy()]
    assert_frame_equal(found, own[:80].set_axis(range(80)), atol=1e-5)


def test_a_class_that_was_not_asked_for_is_grown_too(fitted):
    generator = fitted("pandas")
    assert list(generator.counts) == ["b"]
    rows, record = generator.rows_with_provenance("a", 0, 30)
    assert set(record["label"]) == {"a"}
    assert len(rows.drop_duplicates()) == 30


def test_batches_do_not_matter():
    X, y = table()
    rows = [
        AdversarialOverSampler(random_state=0, batch_size=size)
        .fit(X, y)
        .generator_.rows("b", 3, 60)
        for size in (7, 4096)
    ]
    assert_frame_equal(*rows, atol=1e-5)


# ---------------------------------------------------------------- what comes out


def test_the_index_of_a_frame_is_the_numbers_of_the_rows(fitted):
    generator = fitted("pandas")
    assert generator.rows("b", 5, 9).index.tolist() == [5, 6, 7, 8]
    assert generator.rows("b", 5, 5).shape == (0, 5)
    assert generator.rows("b", 0, 2).dtypes.equals(CONTAINERS["pandas"][0].dtypes)


def test_identifiers_of_all_rows_of_all_classes_differ(fitted):
    generator = fitted("pandas")
    found = [generator.rows(label, *part) for label in "ab" for part in ((0, 20), (20, 60))]
    numbers = pd.concat(found)["order_id"]
    assert numbers.is_unique
    assert numbers.min() > CONTAINERS["pandas"][0]["order_id"].max()


def test_the_rules_of_the_rows_are_kept_in_any_slice(fitted):
    rows = fitted("pandas").rows("a", 100, 160)
    assert_allclose(rows["total"], (rows["price"] * rows["count"]).round(2), atol=1e-9)


def test_the_provenance_of_a_slice_is_that_of_fit_resample(fitted):
    sampler = AdversarialOverSampler(random_state=0)
    sampler.fit_resample(*CONTAINERS["pandas"])
    found = fitted("pandas").provenance("b", 10, 50)
    expected = sampler.provenance_[10:50].reset_index(drop=True)
    assert_frame_equal(found, expected, atol=1e-5, rtol=1e-4)
    weights = fitted("pandas").weights("b", 10, 50)
    assert_allclose(weights, sampler.sample_weight_[130 + 10 : 130 + 50], atol=1e-5)


@every_container
def test_more_rows_come_after_those_of_fit_resample(fitted, name):
    X, y = CONTAINERS[name]
    generator = fitted(name)
    X_new, y_new = generator.generate(7)
    assert (type(X_new), type(y_new)) == (type(X), type(y))
    labels = list(generator.counts)
    assert [list(y_new).count(label) for label in labels] == [
        len(part) for part in np.array_split(range(7), len(labels))
    ]
    first = generator.counts[labels[0]]
    some = list(y_new).count(labels[0])
    same(generator.rows(labels[0], first, first + some), X_new[:some])


def test_rows_of_named_labels_from_a_number_on(fitted):
    generator = fitted("pandas")
    X_new, y_new = generator.generate(5, labels=["b", "a"], start=2)
    assert y_new.tolist() == ["b", "b", "b", "a", "a"]
    assert_frame_equal(X_new[:3], generator.rows("b", 2, 5).set_axis(range(3)), atol=1e-5)


def test_a_generator_does_not_follow_changes_of_the_users_rows():
    X, y = (one.copy() for one in CONTAINERS["array"])
    generator = AdversarialOverSampler(random_state=0).fit(X, y).generator_
    before = generator.rows("b", 0, 20)
    X[:] = 0
    assert_array_equal(generator.rows("b", 0, 20), before)


# ---------------------------------------------------------------- copies


@every_container
def test_a_pickle_gives_the_same_rows(fitted, name):
    generator = fitted(name)
    label = generator.classes.tolist()[-1]
    for twin in (pickle.loads(pickle.dumps(generator)), copy.deepcopy(generator)):
        same(twin.rows(label, 3, 30), generator.rows(label, 3, 30))


def test_fitting_makes_no_row_and_says_so_in_its_attributes():
    X, y = table()
    sampler = AdversarialOverSampler(random_state=0).fit(X, y)
    assert sampler.sampling_strategy_ == sampler.generator_.counts
    assert sampler.n_features_in_ == 5
    assert len(sampler.findings_)
    assert not hasattr(sampler, "provenance_")
    assert repr(sampler.generator_) == "RowGenerator(parents={'a': 100, 'b': 30})"


# ---------------------------------------------------------------- a sample of larger data


def test_a_sample_that_is_all_rows_gives_the_same_generator():
    X, y = table()
    sampler = AdversarialOverSampler(random_state=0)
    whole = sampler.fit(X, y).generator_.rows("b", 0, 30)
    sampler.fit_sample(X, y, {"a": 100, "b": 30}, np.arange(130))
    assert_frame_equal(sampler.generator_.rows("b", 0, 30), whole)


def test_the_strategy_reads_the_counts_of_all_rows_and_parents_have_their_numbers():
    X, y = table()
    numbers = np.arange(130) * 1000
    sampler = AdversarialOverSampler(random_state=0, sampling_strategy=0.5)
    sampler.fit_sample(X, y, {"a": 100_000, "b": 3_000}, numbers)
    assert sampler.sampling_strategy_ == {"b": 47_000}
    parents = sampler.generator_.provenance("b", 0, 20)["parent"]
    assert set(parents) <= set(numbers[y == "b"])


def test_bounds_from_outside_hold_the_rows():
    X, y = table()
    X = X[["price"]]
    coding = TabularAdapter().fit(X)
    (price,) = coding.layout.numbers
    wide = replace(coding, layout=replace(coding.layout, numbers=(replace(price, high=99.0),)))
    largest = []
    for adapter in ("auto", FittedAdapter(wide)):
        sampler = AdversarialOverSampler(adapter=adapter, random_state=0).fit(X, y)
        largest.append(sampler.generator_.rows("b", 0, 300)["price"].max())
    assert largest[0] <= X["price"].max() < largest[1]


@pytest.mark.parametrize(
    ("counts", "numbers", "said"),
    [
        ({"a": 100}, None, "counts has the classes"),
        ({"a": 100, "b": 3}, None, "counts has 3 rows of class 'b'"),
        ({"a": 100, "b": 30}, np.arange(4), "numbers must be 130 whole numbers"),
        ({"a": 100, "b": 30}, np.arange(130) / 2, "numbers must be 130 whole numbers"),
    ],
)
def test_a_sample_that_does_not_fit_its_counts_is_refused(counts, numbers, said):
    with pytest.raises(ValueError, match=said):
        AdversarialOverSampler().fit_sample(*table(), counts, numbers)


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (("c", 0, 5), r"no class 'c': the generator knows \['a', 'b'\]"),
        (("b", -1, 5), "take 0 <= start <= stop"),
        (("b", 9, 5), "take 0 <= start <= stop"),
    ],
)
def test_rows_that_cannot_be_are_refused(fitted, wanted, said):
    with pytest.raises(ValueError, match=said):
        fitted("pandas").rows(*wanted)


def test_labels_of_a_teacher_are_made_for_the_counts_alone():
    X, y = table()
    sampler = AdversarialOverSampler(recipe=Distill(), sampling_strategy={"b": 60}, random_state=0)
    with pytest.warns(UserWarning, match="makes no row of class 'a'"):
        sampler.fit(X, y)
    assert len(sampler.generator_.rows("b", 0, 30)) == 30
    with pytest.raises(ValueError, match="row 30 of a class is asked for"):
        sampler.generator_.rows("b", 20, 31)
    with pytest.raises(ValueError, match="recipe Distill has made 0 of them"):
        sampler.generator_.rows("a", 0, 1)
