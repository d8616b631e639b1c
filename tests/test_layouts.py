"""Signals in each face that people have them in: layouts of arrays and lists, panels in frames."""

import re

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from torch import nn

from advaug import (
    AdversarialOverSampler,
    AdversarialTransformer,
    AdversarialUnderSampler,
    CommitteeClassifier,
    RowGenerator,
    validity_report,
)
from advaug.adapters import SignalAdapter
from advaug.containers import Panel
from advaug.models import Ensemble
from advaug.report import SignalDisplay, VerdictDisplay
from advaug.robust import (
    AdversarialClassifier,
    AdversarialDetector,
    AugmentedClassifier,
    DistilledClassifier,
    RejectingClassifier,
    robustness_table,
)
from tests.test_signals import waves

plt = pytest.importorskip("matplotlib.pyplot")
plt.switch_backend("Agg")
QUICK = Ensemble(n_repeats=2, cv=2, hidden_width=4, max_iter=3)
NTC = SignalAdapter(layout="ntc")
X, Y = waves(n=48, channels=3)
N, N_CHANNELS, TIME = X.shape
N_GROWN = 72
LENGTHS = 30 + np.arange(N) % 5


def turned(signals):
    """(n, channels, time) as (n, time, channels), and back."""
    if isinstance(signals, list):
        return [signal.T for signal in signals]
    return signals.transpose(0, 2, 1)


def cut(signals):
    return [signal[:, :length] for signal, length in zip(signals, LENGTHS, strict=True)]


def long_frame(signals, names=None, time=range):
    names = range(N) if names is None else names
    index = [(name, at) for name, s in zip(names, signals, strict=True) for at in time(s.shape[1])]
    index = pd.MultiIndex.from_tuples(index, names=["case", "at"])
    return pd.DataFrame(np.concatenate([s.T for s in signals]), index, list("abc"))


def nested_frame(signals):
    return pd.DataFrame({name: [pd.Series(s[k]) for s in signals] for k, name in enumerate("abc")})


def days(n):
    return pd.date_range("2026-01-01", periods=n)


FACES = {  # -> the adapter, the signals, and back to (channels, time) arrays
    "array": ("auto", X, list),
    "array, nct": (SignalAdapter(layout="nct"), X, list),
    "array, ntc": (NTC, turned(X), lambda rows: list(turned(rows))),
    "nested lists, ntc": (NTC, turned(X).tolist(), lambda rows: list(turned(np.array(rows)))),
    "panel": ("signal", long_frame(X), lambda rows: list(Panel.of(rows).signals())),
    "panel, ntc": (NTC, long_frame(X), lambda rows: list(Panel.of(rows).signals())),
    "panel with names and days": (
        "signal",
        long_frame(X, [f"p{k}" for k in range(N)], days),
        lambda rows: list(Panel.of(rows).signals()),
    ),
    "nested frame": ("signal", nested_frame(X), lambda rows: list(Panel.of(rows).signals())),
}
UNEQUAL = {
    "list": ("auto", cut(X), list),
    "list, ntc": (NTC, turned(cut(X)), turned),
    "panel": ("signal", long_frame(cut(X)), lambda rows: Panel.of(rows).signals()),
    "nested frame": ("signal", nested_frame(cut(X)), lambda rows: Panel.of(rows).signals()),
}
every_face = pytest.mark.parametrize(
    ("face", "plain"),
    [
        *((one, FACES["array"]) for one in FACES.values()),
        *((one, UNEQUAL["list"]) for one in UNEQUAL.values()),
    ],
    ids=[*FACES, *(f"unequal {name}" for name in UNEQUAL)],
)


def sampler_of(adapter, **settings):
    return AdversarialOverSampler(adapter=adapter, surrogate=QUICK, random_state=0, **settings)


def transformer_of(adapter, **settings):
    settings = {"surrogate": QUICK, **settings}
    return AdversarialTransformer(adapter=adapter, random_state=0, **settings)


def assert_same(ours, plain):
    assert len(ours) == len(plain)
    for one, other in zip(ours, plain, strict=True):
        np.testing.assert_array_equal(one, other)


def assert_in_container(rows, given, n):
    """The first rows are those given, in their container and dtypes."""
    assert type(rows) is type(given)
    if isinstance(given, pd.DataFrame):
        pd.testing.assert_frame_equal(rows.iloc[: len(given)], given)
        assert rows.index.names == given.index.names
        assert rows.index.get_level_values(0).nunique() == n
    else:
        assert len(rows) == n
        assert_same(rows[:N], given)


@every_face
def test_new_signals_are_those_of_the_plain_array_in_the_face_that_was_given(face, plain):
    adapter, given, back = face
    rows, _ = sampler_of(adapter).fit_resample(given, Y)
    assert_in_container(rows, given, N_GROWN)
    expected, _ = sampler_of(plain[0]).fit_resample(plain[1], Y)
    assert_same(back(rows), expected)
    below, _ = sampler_of(adapter).new_rows(given, Y)
    assert_same(back(below), expected[N:])
    if isinstance(given, pd.DataFrame):
        pd.testing.assert_frame_equal(below, rows.iloc[len(given) :])


@every_face
def test_moved_and_kept_signals_come_in_the_face_that_was_given(face, plain):
    adapter, given, back = face
    transformer = transformer_of(adapter).fit(given, Y)
    moved = transformer.transform(given)
    assert_same(back(moved), transformer_of(plain[0]).fit(plain[1], Y).transform(plain[1]))
    if isinstance(given, pd.DataFrame):
        assert moved.index.equals(given.index)
        assert (moved.dtypes == given.dtypes).all()
    under = AdversarialUnderSampler(adapter=adapter, surrogate=QUICK, random_state=0)
    kept, _ = under.fit_resample(given, Y)
    assert_same(back(kept), [back(given)[k] for k in under.sample_indices_])


@pytest.mark.parametrize(
    "face", [FACES["array, ntc"], FACES["panel"], FACES["nested frame"], UNEQUAL["panel"]]
)
def test_displays_read_every_face(face):
    adapter, given, back = face
    sampler = sampler_of(adapter)
    rows, y = sampler.fit_resample(given, Y)
    parent, child = back(rows)[sampler.parent_indices_[N + 3]], back(rows)[N + 3]
    display = SignalDisplay.from_sampler(sampler, rows, row=3)
    np.testing.assert_array_equal(display.parent, parent)
    np.testing.assert_array_equal(display.child, child)
    plt.close("all")
    assert len(VerdictDisplay.from_sampler(sampler, rows, y).accepts) == N_GROWN - N


@pytest.mark.parametrize("name", ["array, ntc", pytest.param("panel", marks=pytest.mark.slow)])
def test_the_report_reads_every_face(name):
    adapter, given, _ = FACES[name]
    sampler = sampler_of(adapter)
    rows, y = sampler.fit_resample(given, Y)
    report = validity_report(sampler, rows, y)
    made, _ = sampler_of(adapter).new_rows(given, Y)
    parents = sampler.parent_indices_[N:]
    alone = validity_report(given, Y, made, y[N:], parents=parents, adapter=sampler.adapter_)
    assert [check.found for check in alone.checks] == [check.found for check in report.checks]
    assert "sample" in report.to_html()


class Flat(ClassifierMixin, BaseEstimator):
    """A classifier that takes what its user has: frames of sktime, or (n, time, channels)."""

    def _flat(self, X):
        if isinstance(X, pd.DataFrame):
            signals = [part.to_numpy().ravel() for _, part in X.groupby(level=0, sort=False)]
            return np.stack(signals)
        assert X.shape[1:] == (TIME, N_CHANNELS)
        return X.reshape(len(X), -1)

    def fit(self, X, y):
        self.model_ = LogisticRegression().fit(self._flat(X), y)
        self.classes_ = self.model_.classes_
        return self

    def predict(self, X):
        return self.model_.predict(self._flat(X))

    def predict_proba(self, X):
        return self.model_.predict_proba(self._flat(X))


class TimeFirst(nn.Module):
    """A net that reads (n, time, channels) only."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(N_CHANNELS, 2)

    def forward(self, x):
        assert x.shape[1:] == (TIME, N_CHANNELS)
        return self.layer(x).abs().mean(1)


ESTIMATORS = {
    "committee": lambda adapter: CommitteeClassifier(adapter=adapter, random_state=0),
    "robust": lambda adapter: AdversarialClassifier(adapter=adapter, random_state=0),
    "detector": lambda adapter: AdversarialDetector(adapter=adapter, random_state=0),
    "rounds": lambda adapter: AugmentedClassifier(
        Flat(), n_rounds=1, adapter=adapter, random_state=0
    ),
    "rounds of a sampler": lambda adapter: AugmentedClassifier(
        Flat(), sampler_of(adapter), n_rounds=1, adapter=adapter, random_state=0
    ),
    "rejecting": lambda adapter: RejectingClassifier(
        Flat(), AdversarialDetector(adapter=adapter, random_state=0)
    ),
    "gate": lambda adapter: AugmentedClassifier(Flat(), "auto", adapter=adapter, random_state=0),
    "distilled": lambda adapter: DistilledClassifier(
        Flat(), n_new_rows=20, adapter=adapter, random_state=0
    ),
}
SLOW = ("gate", "distilled")


@pytest.mark.parametrize(
    "name", [pytest.param(one, marks=[pytest.mark.slow] * (one in SLOW)) for one in ESTIMATORS]
)
def test_estimators_answer_the_same_for_time_first_and_for_panels(name):
    answers = []
    for adapter, given in ((NTC, np.ascontiguousarray(turned(X))), ("signal", long_frame(X))):
        answers.append(ESTIMATORS[name](adapter).fit(given, Y).predict(given))
    assert len(answers[0]) == N
    np.testing.assert_array_equal(*answers)


@pytest.mark.parametrize("adapter", [NTC, "signal"])
def test_models_of_your_own_are_attacked_in_the_face_that_they_know(adapter):
    given = long_frame(X) if adapter == "signal" else turned(X)
    model = Flat().fit(given, Y)
    moved = transformer_of(adapter, surrogate=model, attack="square").fit(given, Y).transform(given)
    assert np.mean(model.predict(moved) == Y) < np.mean(model.predict(given) == Y)
    table = robustness_table({"flat": model}, given, Y, adapter=adapter)
    assert table["auto"].item() < table["clean"].item()


def test_a_net_of_your_own_gets_signals_in_their_own_layout():
    torch.manual_seed(0)
    given = turned(X)
    moved = transformer_of(NTC, surrogate=TimeFirst()).fit(given).transform(given)
    assert moved.shape == given.shape
    assert (moved != given).any((1, 2)).all()
    AdversarialClassifier(module=TimeFirst(), adapter=NTC, random_state=0).fit(given, Y)


# ---------------------------------------------------------------- what is refused


def array(*shape, seed=0):
    """Smooth along the second axis, as arrays of Keras and tslearn are."""
    return np.random.default_rng(seed).normal(size=shape).cumsum(1)


def apply_mend(message, layout):
    """The adapter that an error names for a layout."""
    call = re.search(rf"adapter=(SignalAdapter\(layout='{layout}'\))", message).group(1)
    return eval(call, {"SignalAdapter": SignalAdapter})


TIME_FIRST = {
    "three channels": array(30, 50, 3),
    "rough": np.random.default_rng(0).normal(size=(30, 20, 12)),
    "one more sample than channels": np.random.default_rng(0).normal(size=(30, 13, 12)),
    "short": array(30, 3, 4),
    "as many samples as channels": array(30, 12, 12),
    "one channel": array(30, 50, 1),
    "fewer signals than channels": array(16, 50, 3),
    "integers": (1000 * array(30, 50, 3)).astype(np.int16),
    "nested lists": array(30, 50, 3).tolist(),
    "lists of one length": list(array(30, 50, 3)),
    "lists of unequal length": [one[: 40 + k % 9] for k, one in enumerate(array(30, 50, 3))],
}


@pytest.mark.parametrize("name", TIME_FIRST)
def test_time_first_is_refused_and_the_mend_works_on_this_very_input(name):
    given = TIME_FIRST[name]
    y = np.arange(len(given)) % 3 == 0
    with pytest.raises(ValueError, match=r"read.* channels of \d+ samples") as told:
        sampler_of("auto").fit_resample(given, y)
    with pytest.raises(ValueError, match="SignalAdapter"):
        transformer_of("auto").fit(given, y)
    assert "\n" not in str(told.value)
    rows, _ = sampler_of(apply_mend(str(told.value), "ntc")).fit_resample(given, y)
    assert type(rows) is type(given)
    assert {np.shape(row)[1] for row in rows} == {np.shape(given[0])[1]}
    if isinstance(given, np.ndarray):
        assert rows.shape[1:] == given.shape[1:]
        assert rows.dtype == given.dtype
        signals = [turned(one) for one in (given, rows[len(given) :])]
    if name in ("three channels", "one channel"):  # New signals are as smooth as those given.
        rough, new = (np.abs(np.diff(one)).mean() / np.abs(one).mean() for one in signals)
        assert new < 1.3 * rough


def test_signals_with_more_channels_than_samples_are_read_once_their_layout_is_named():
    given = np.random.default_rng(0).normal(size=(30, 64, 50))
    with pytest.raises(ValueError, match="64 channels of 50 samples") as told:
        SignalAdapter().fit(given)
    coding = apply_mend(str(told.value), "nct").fit(given)
    assert coding.encode(given).shape == given.shape


@pytest.mark.parametrize("shape", [(30, 3, 50), (30, 1, 50), (8, 12, 50), (30, 2, 8), (30, 5, 5)])
def test_no_clear_layout_is_refused(shape):
    given = np.random.default_rng(0).normal(size=shape)
    assert SignalAdapter().fit(given).encode(given).shape == shape


def test_channels_first_under_layout_ntc_is_refused_where_lengths_show_it():
    with pytest.raises(ValueError, match="layout='ntc' reads the signals of X as 30 to 34") as told:
        NTC.fit(cut(X))
    assert apply_mend(str(told.value), "nct").fit(cut(X)).time == max(LENGTHS)
    with pytest.raises(ValueError, match="layout must be one of"):
        SignalAdapter(layout="tnc").fit(X)


def test_signals_in_another_layout_than_in_fit_are_refused():
    transformer = transformer_of(NTC).fit(turned(X), Y)
    with pytest.raises(ValueError, match=r"40 channels, .* fitted with 3: pass \(n, time, 3\)"):
        transformer.transform(X)


# ---------------------------------------------------------------- frames


def test_each_channel_of_a_panel_keeps_its_dtype():
    frame = long_frame(X)
    frame["a"] = (10 * frame["a"]).round().astype("int16")
    frame["b"] = (10 * frame["b"]).round().astype("Int64")
    frame["c"] = frame["c"].astype("float32")
    frame.iloc[5, 1] = pd.NA
    rows, _ = sampler_of("signal").fit_resample(frame, Y)
    assert_in_container(rows, frame, N_GROWN)
    assert (rows.dtypes == frame.dtypes).all()


def test_names_of_new_signals_are_new():
    for names, new in (
        (range(100, 148), range(148, 172)),
        ([f"p{k}" for k in range(N)], [f"new {k}" for k in range(24)]),
        (["new 1", *map(str, range(N - 1))], ["new 0", *(f"new {k}" for k in range(2, 25))]),
    ):
        frame = long_frame(X, names)
        rows, _ = sampler_of("signal").fit_resample(frame, Y)
        assert rows.index.get_level_values(0).unique().tolist() == [*names, *new]


def test_a_stored_generator_makes_panels_with_the_times_of_parents(tmp_path):
    sampler = sampler_of("signal").fit(long_frame(cut(X), time=days), Y)
    made, _ = sampler.generator_.generate(5)
    sampler.generator_.save(tmp_path / "panels.advaug")
    again, _ = RowGenerator.load(tmp_path / "panels.advaug").generate(5)
    pd.testing.assert_frame_equal(made, again)
    assert made.index.get_level_values(0).unique().tolist() == [*range(5)]
    assert made.loc[0].index.equals(days(len(made.loc[0])).rename("at"))


def test_rules_get_panels_as_frames():
    seen = []

    def rule(frame):
        assert isinstance(frame, pd.DataFrame)
        n = frame.index.get_level_values(0).nunique()
        seen.append(n)
        return np.ones(n, dtype=bool)

    sampler_of("signal", constraints=[rule]).fit_resample(long_frame(X), Y)
    assert N in seen


BROKEN = {
    "texts": (long_frame(X).assign(b="x"), "channel 'b' is"),
    "apart": (long_frame(X).iloc[np.r_[1:1920, 0]], r"X\.sort_index\(\)"),
    "twice": (long_frame(X).set_axis(["a", "b", "a"], axis=1), "one name"),
    "plain": (pd.DataFrame(X[:, 0]), r"X\.to_numpy\(\)"),
    "unequal cells": (
        nested_frame(X).assign(b=[pd.Series(s[1, :9]) for s in X]),
        "signal 0 differ in length",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_frame_that_holds_no_signals_is_refused(name):
    frame, told = BROKEN[name]
    with pytest.raises((TypeError, ValueError), match=told):
        sampler_of("signal").fit_resample(frame, Y)


def test_channels_of_a_panel_are_known_by_name():
    sampler = sampler_of("signal")
    sampler.fit_resample(long_frame(X), Y)
    assert sampler.feature_names_in_.tolist() == ["a", "b", "c"]
    transformer = transformer_of("signal").fit(long_frame(X), Y)
    with pytest.raises(ValueError, match="feature names"):
        transformer.transform(long_frame(X)[["b", "a", "c"]])
