"""Containers as people have them: read as what they are, or refused with a mend that works."""

import re

import numpy as np
import pandas as pd
import pytest
import torch

from advaug import AdversarialOverSampler, AdversarialTransformer, AdversarialUnderSampler
from advaug.adapters import SequenceAdapter, SignalAdapter
from advaug.models import Ensemble

pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")

QUICK = Ensemble(n_repeats=2, cv=2, hidden_width=4, max_iter=3)
N = 60
RANDOM = np.random.default_rng(0)
Y = np.r_[np.zeros(44, int), np.ones(16, int)][RANDOM.permutation(N)]
A, B = RANDOM.normal(size=N) + 2 * Y, RANDOM.normal(size=N)
TIME = np.linspace(0, 9, 40)
SIGNALS = np.stack([np.stack([np.sin(TIME) * (1 + y), np.cos(TIME), TIME]) for y in Y])
SIGNALS = SIGNALS + 0.1 * RANDOM.normal(size=SIGNALS.shape)
IMAGES = (RANDOM.random((N, 3, 8, 8)) * 255).astype("u1")
WORDS = ["late", "parcel", "money", "thanks", "great", "app"]
TEXTS = [" ".join(RANDOM.choice(WORDS, 5)) for _ in Y]
TEXTS = [f"{text} {k}" for k, text in enumerate(TEXTS)]


def grown(X, y=Y, **settings):
    sampler = AdversarialOverSampler(surrogate=QUICK, random_state=0, **settings)
    return sampler.fit_resample(X, y)[0]


def panel():
    index = pd.MultiIndex.from_product([range(N), range(40)], names=["instance", "time"])
    rows = SIGNALS.transpose(0, 2, 1).reshape(-1, 3)
    return pd.DataFrame(rows, index=index, columns=list("xyz"))


MENDED = {  # what is refused -> what the message must say; its mend is applied
    "time first": (SIGNALS.transpose(0, 2, 1), "channels"),
    "time first, one channel": (SIGNALS[:, :1].transpose(0, 2, 1), "channels"),
    "time first, few samples": (SIGNALS[:, :, 6:9].transpose(0, 2, 1), "channels"),
    "time first, unequal": ([s.T[: 30 + k % 9] for k, s in enumerate(SIGNALS)], "channels"),
    "list of frames": ([pd.DataFrame(s.T) for s in SIGNALS], "channels"),
    "list of polars frames": ([pl.DataFrame(s.T) for s in SIGNALS], "channels"),
    "list of images": (list(IMAGES), "images"),
    "list of grey images": (list(IMAGES[:, 0]), "images"),
    "list of tensors": ([torch.from_numpy(image) for image in IMAGES], "images"),
    "panel": (panel(), "signal and time"),
    "nested frame": (pd.DataFrame({"x": [pd.Series(s[0]) for s in SIGNALS]}), "signals"),
    "list of dicts": ([{"a": a, "b": b} for a, b in zip(A, B, strict=True)], "dicts"),
    "dict": ({"a": A.tolist(), "b": B.tolist()}, "dict"),
    "records": (np.rec.fromarrays([A, B], names=["a", "b"]), "recarray"),
    "StringDType": (
        np.array(RANDOM.choice(["u", "v"], (N, 2)), dtype=np.dtypes.StringDType()),
        "StringDType",
    ),
    "lazy frame": (pl.DataFrame({"a": A, "b": B}).lazy(), "polars"),
}


@pytest.mark.parametrize("name", MENDED)
def test_the_mend_of_a_refusal_works_on_what_was_refused(name):
    X, word = MENDED[name]
    with pytest.raises((TypeError, ValueError), match=word) as told:
        grown(X)
    message = str(told.value)
    assert "\n" not in message
    call = re.search(r"pass (?:images as )?(.*?)(?:$|; | where a| if | for images)", message)
    known = {"np": np, "pd": pd, "torch": torch, "X": X, "SignalAdapter": SignalAdapter}
    setting = re.fullmatch(r"adapter=(.*)", call.group(1))
    if setting:
        mended, settings = X, {"adapter": eval(setting.group(1), known)}
    else:
        mended, settings = eval(call.group(1), known), {}
    out = grown(mended, **settings)
    assert len(out) == 88 * len(mended) / N
    assert type(out) is type(mended)


class Foreign:
    shape, columns = (N, 2), ("a", "b")

    def __len__(self):
        return N

    def __array__(self, dtype=None, copy=None):
        raise AssertionError("rows of another machine were fetched unasked")


@pytest.mark.parametrize(
    ("module", "mend"),
    [
        ("dask.dataframe.core", r"X\.compute\(\)"),
        ("ray.data.dataset", r"X\.to_pandas\(\)"),
        ("modin.pandas.dataframe", r"X\.modin\.to_pandas\(\)"),
        ("pyspark.sql.dataframe", r"X\.toPandas\(\)"),
        ("pyspark.pandas.frame", r"X\.to_pandas\(\)"),
    ],
)
def test_frames_of_other_machines_are_refused_by_name(module, mend):
    X = type("DataFrame", (Foreign,), {"__module__": module})()
    with pytest.raises(TypeError, match=f"of {module.partition('.')[0]}.*{mend}"):
        grown(X)
    with pytest.raises(TypeError, match=mend):
        AdversarialTransformer(surrogate=QUICK).fit(X, Y)


def test_padded_tokens_are_told_and_counts_are_not():
    ids = np.zeros((N, 12), int)
    for k, row in enumerate(ids):
        row[: 4 + k % 8] = RANDOM.integers(1, 99, 4 + k % 8)
    with pytest.warns(UserWarning, match=r"pass \[row\[row != 0\] for row in X\]"):
        grown(ids)
    assert len(grown([row[row != 0] for row in ids])) == 88
    grown(RANDOM.poisson(1.0, (N, 12)))  # counts
    with pytest.raises(TypeError, match="without the padding"):
        SequenceAdapter().check(ids)


def column_of(X):
    """The cells of the only column."""
    if isinstance(X, np.ndarray):
        return X[:, 0].tolist()
    column = X[X.column_names[0] if isinstance(X, pa.Table) else X.columns[0]]
    return column.to_pylist() if isinstance(X, pa.Table) else column.to_list()


@pytest.mark.parametrize(
    "X",
    [
        pd.DataFrame({"text": TEXTS}, index=range(7, 7 + N)),
        pl.DataFrame({"text": TEXTS}),
        pa.table({"text": TEXTS}),
        np.array(TEXTS, dtype=object)[:, None],
        pd.DataFrame({"tokens": [text.split() for text in TEXTS]}),
    ],
    ids=["pandas", "polars", "arrow", "array", "tokens"],
)
def test_one_column_of_texts_grows_as_texts(X):
    out = grown(X)
    assert type(out) is type(X)
    assert out.shape == (88, 1)
    cells = column_of(out)
    known = [text.split() if isinstance(cells[0], list) else text for text in TEXTS]
    assert cells[:N] == known
    assert any(cell not in known for cell in cells[N:])


def test_a_column_of_few_texts_is_a_category():
    X = pd.DataFrame({"kind": [text[:4] for text in TEXTS]})
    assert set(grown(X)["kind"]) <= set(X["kind"])


def test_arrow_arrays_of_texts_come_back_as_arrow():
    out = grown(pa.array(TEXTS))
    assert isinstance(out, pa.ChunkedArray)
    assert out.to_pylist()[:N] == TEXTS


@pytest.mark.parametrize(
    "X",
    [
        torch.tensor(np.c_[A, B]),
        torch.tensor(np.c_[A, B], dtype=torch.float32, requires_grad=True),
        torch.tensor(np.c_[A, B]).bfloat16(),
        torch.from_numpy(IMAGES),
    ],
    ids=["doubles", "with a gradient", "bfloat16", "images"],
)
def test_tensors_come_back_as_tensors(X):
    out, y = AdversarialOverSampler(surrogate=QUICK, random_state=0).fit_resample(
        X, torch.tensor(Y)
    )
    assert isinstance(out, torch.Tensor)
    assert isinstance(y, torch.Tensor)
    assert (out.dtype, y.dtype) == (X.dtype, torch.int64)
    assert torch.equal(out[:N], X.detach())
    transformer = AdversarialTransformer(surrogate=QUICK, random_state=0).fit(X, Y)
    assert transformer.transform(X).dtype == X.dtype


def test_the_under_sampler_gives_tensors_too():
    X = torch.tensor(np.c_[A, B])
    out, y = AdversarialUnderSampler(surrogate=QUICK, random_state=0).fit_resample(X, Y)
    assert isinstance(out, torch.Tensor)
    assert isinstance(y, np.ndarray)
    assert len(out) == 32


def test_a_column_without_a_name_is_refused():
    with pytest.raises(ValueError, match="column 0 of X has no name"):
        grown(pd.DataFrame(np.c_[A, B], columns=[None, "b"]))


def test_names_of_levels_of_columns_and_of_the_index_stay():
    columns = pd.MultiIndex.from_tuples([("g", "a"), ("g", "b")], names=["top", "sub"])
    X = pd.DataFrame(np.c_[A, B], columns=columns).rename_axis(index="row")
    out = grown(X)
    assert out.columns.equals(columns)
    assert out.columns.names == ["top", "sub"]
    assert out.index.name == "row"
    moved = AdversarialTransformer(surrogate=QUICK, random_state=0).fit(X, Y).transform(X)
    assert moved.columns.names == ["top", "sub"]


@pytest.mark.filterwarnings("ignore:few new rows differ")
def test_a_rule_that_writes_leaves_nested_lists_alone():
    tokens = [["a", "b", "c"][: 1 + k % 3] + ["b"] * (k % 4) for k in range(N)]
    series = pd.Series([list(row) for row in tokens])

    def greedy(rows):
        for row in rows:
            row.append("ZZ")
        return np.ones(len(rows), bool)

    lengths = [len(row) for row in tokens]
    grown(tokens, constraints=greedy)
    grown(series, constraints=greedy)
    assert [len(row) for row in tokens] == lengths
    assert [len(row) for row in series] == lengths


@pytest.mark.filterwarnings("ignore:surrogate agrees with y")  # The net is not trained.
def test_a_net_is_asked_in_the_values_of_float_images_and_from_0_to_1_for_bytes():
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.body = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 2))
            self.seen = []

        def forward(self, x):
            self.seen.append(x.detach())
            return self.body(x)

    for X in (IMAGES, (IMAGES / 127.5 - 1).astype("f4")):
        net = Net()
        transformer = AdversarialTransformer(surrogate=net, attack="fgsm", radius=0.05)
        transformer.fit(X, Y).transform(X)
        asked = torch.cat([x for x in net.seen if len(x) == N][:1])
        wanted = X / 255 if X.dtype == np.uint8 else X
        torch.testing.assert_close(
            asked, torch.tensor(wanted, dtype=asked.dtype), atol=1e-6, rtol=0
        )


def test_rows_of_numbers_and_texts_in_lists_keep_both():
    rows = tuple((float(a), "u" if k % 2 else "v", k % 3) for k, a in enumerate(A))
    for X in (rows, [list(row) for row in rows]):
        out, _ = AdversarialOverSampler(surrogate=QUICK, random_state=0).fit_resample(X, Y)
        new = pd.DataFrame(out[N:])
        assert set(new[1]) <= {"u", "v"}
        assert set(new[2]) <= {0, 1, 2}
        assert new[0].between(A.min(), A.max()).all()
        assert new[0].nunique() > 1


def test_complex_numbers_are_refused_in_one_line():
    with pytest.raises(ValueError, match="pass the real and imaginary parts as columns"):
        AdversarialOverSampler().fit_resample(np.c_[A, B] * 1j, Y)
