"""Signals through the whole house: containers in are containers out, and stay signals."""

import math

import matplotlib
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from imblearn.pipeline import make_pipeline
from scipy.fft import dct
from scipy.integrate import cumulative_trapezoid
from sklearn.covariance import ledoit_wolf_shrinkage
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline as plain_pipeline
from sklearn.preprocessing import FunctionTransformer
from torch import nn

from advaug import AdversarialOverSampler, AdversarialTransformer, grow
from advaug.adapters import SignalAdapter
from advaug.attacks import UAP, Instrument, Patch, Warp
from advaug.core.box import Box
from advaug.datasets import ECG_GAIN, ECG_RATE, ECG_ZERO, load_ecg_beats
from advaug.domains.signals import instrument
from advaug.domains.signals.eigenbasis import Eigenbasis
from advaug.domains.signals.features import ConvolutionFeatures
from advaug.domains.signals.space import BandLimited, spread_of
from advaug.estimators.choices import choose_adapter
from advaug.judges import ConformalJudge, DescriptorBandJudge
from advaug.models import Ensemble
from advaug.registry import RECIPES
from advaug.report import VerdictDisplay
from advaug.sampling.judges.descriptor_band import FittedDescriptorBand
from tests.problems import problem_of

matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")
TIME = 40
FOR_TEXTS = ("paraphrase", "recombine", "bag")


def sampler_of(**fields):
    return AdversarialOverSampler(surrogate=Ensemble(2, max_iter=25), random_state=0, **fields)


def transformer_of(**fields):
    return AdversarialTransformer(
        **{"surrogate": Ensemble(2, max_iter=25), **fields}, random_state=0
    )


def waves(n=48, channels=2, time=TIME, share=0.25, seed=0):
    """Noisy sines; the minority is twice as fast."""
    rng = np.random.default_rng(seed)
    y = (np.arange(n) < share * n).astype(int)
    phase = rng.uniform(0, 2 * math.pi, (n, channels, 1))
    speed = (1 + y)[:, None, None] * np.arange(1, channels + 1)[None, :, None]
    X = np.sin(2 * math.pi * speed * 2 * np.arange(time) / time + phase)
    return (X + 0.1 * rng.normal(size=X.shape)), y


def as_floats(X):
    return X.astype(np.float32)


def as_whole(X):
    return np.rint(200 * X).astype(np.int16)


def as_list(X):
    return [row[:, : TIME - 3 * (k % 5)].copy() for k, row in enumerate(X)]


def as_whole_list(X):
    return [row.astype(np.int32) for row in as_list(100 * X)]


def with_padding(X):
    X = X.copy()
    for k in range(len(X)):
        X[k, :, TIME - 3 * (k % 5) :] = np.nan
    return X


def with_gaps(X):
    X = X.copy()
    X[::3, 1, 10:15] = np.nan
    return X


CONTAINERS = {
    "float64": lambda X: X,
    "float32": as_floats,
    "int16": as_whole,
    "padded": with_padding,
    "gaps": with_gaps,
    "list": as_list,
    "list of whole numbers": as_whole_list,
}
every_container = pytest.mark.parametrize("name", CONTAINERS)


def rows_equal(some, others):
    return len(some) == len(others) and all(
        np.array_equal(a, b, equal_nan=True) and a.dtype == b.dtype
        for a, b in zip(some, others, strict=True)
    )


def flattened(X):
    return np.nan_to_num(np.stack([np.resize(row, (2, TIME)) for row in X])).reshape(len(X), -1)


# ---------------------------------------------------------------- containers


@every_container
def test_new_signals_come_in_the_users_own_container(name):
    X, y = waves()
    X = CONTAINERS[name](X)
    sampler = sampler_of()
    X_new, y_new = sampler.fit_resample(X, y)
    assert type(X_new) is type(X)
    assert rows_equal(X_new[: len(y)], X)
    assert (y_new == 0).sum() == (y_new == 1).sum()
    for row, parent in zip(X_new, sampler.parent_indices_, strict=True):
        assert row.dtype == X[parent].dtype
        assert row.shape == X[parent].shape
        assert np.array_equal(np.isnan(row), np.isnan(X[parent]))
    parents = [X[parent] for parent in sampler.parent_indices_]
    copies = [rows_equal([a], [b]) for a, b in zip(X_new[len(y) :], parents[len(y) :], strict=True)]
    assert np.mean(copies) < 0.1


@every_container
def test_encoding_and_decoding_what_has_not_moved_gives_the_signals_back(name):
    X = CONTAINERS[name](waves()[0])
    coding = choose_adapter("auto", X).fit(X)
    x = coding.encode(X)
    assert x.isfinite().all()
    assert rows_equal(coding.decode(x, x.clone(), X), X)


@every_container
def test_a_transformer_keeps_containers_and_moves_signals(name):
    X, y = waves()
    X = CONTAINERS[name](X)
    moved = transformer_of(radius=0.3).fit(X, y).transform(X)
    assert type(moved) is type(X)
    assert [row.shape for row in moved] == [row.shape for row in X]
    assert all(row.dtype == own.dtype for row, own in zip(moved, X, strict=True))
    assert not rows_equal(moved, X)


def test_two_axes_are_signals_where_the_adapter_is_named():
    X, y = waves(channels=1)
    X_new, _ = sampler_of(adapter="signal").fit_resample(X[:, 0], y)
    same, _ = sampler_of().fit_resample(X, y)
    np.testing.assert_array_equal(X_new, same[:, 0])


def test_units_do_not_matter():
    X, y = waves()
    one = sampler_of(recipe="harden").fit_resample(X, y)[0]
    two = sampler_of(recipe="harden").fit_resample(1000 * X + 7, y)[0]
    np.testing.assert_allclose(two, 1000 * one + 7, atol=0.5)


# ---------------------------------------------------------------- what may move


def test_frozen_channels_and_bounds_hold():
    X, y = waves()
    adapter = SignalAdapter(frozen=[1], bounds=(-0.5, 0.5))
    sampler = sampler_of(adapter=adapter)
    X_new = sampler.fit_resample(X, y)[0][len(y) :]
    parents = X[sampler.parent_indices_[len(y) :]]
    np.testing.assert_array_equal(X_new[:, 1], parents[:, 1])
    assert (X_new[:, 0] >= np.minimum(parents[:, 0], -0.5) - 1e-9).all()
    assert (X_new[:, 0] <= np.maximum(parents[:, 0], 0.5) + 1e-9).all()


def test_whole_numbers_are_rounded_without_bias():
    rng = np.random.default_rng(0)
    X = rng.integers(0, 3, (400, 1, 30))
    coding = SignalAdapter(band=None).fit(X)
    seed = coding.encode(X)
    x = seed + 0.4 / float(coding.scale[0])
    noise = torch.rand(seed.shape, generator=torch.Generator().manual_seed(0))
    endless = torch.full((len(X),), torch.inf)
    moved = coding.decode(coding.space().snap(x, seed, endless, noise), seed, X)
    inner = X < 2
    assert moved.dtype == X.dtype
    assert abs((moved - X)[inner].mean() - 0.4) < 0.02


def test_whole_channels_stay_whole_beside_others_and_inside_their_dtype():
    X, y = waves()
    X[:, 1] = np.rint(5 * X[:, 1])
    X_new, _ = sampler_of().fit_resample(X, y)
    np.testing.assert_array_equal(X_new[:, 1], np.rint(X_new[:, 1]))
    assert (X_new[len(y) :, 0] != np.rint(X_new[len(y) :, 0])).all()
    loud = np.clip(100 * X, -128, 127).astype(np.int8)
    adapter = SignalAdapter(bounds=(-1e6, 1e6))
    moved = transformer_of(adapter=adapter, radius=2.0, attack="noise").fit_transform(loud, y)
    assert np.abs(moved.astype(int) - loud).max() < 250  # nothing wraps around


def test_signals_of_another_length_than_in_fit_are_moved_too():
    X, y = waves()
    transformer = transformer_of(radius=0.3).fit(X, y)
    for length in (25, 60):
        some = waves(time=length, seed=1)[0]
        assert transformer.transform(some).shape == some.shape


def test_a_channel_of_signals_moves_no_louder_than_its_snr():
    X, y = waves()
    adapter = SignalAdapter(least_snr=20.0)
    moved = transformer_of(adapter=adapter, radius=9.0, norm=2).fit_transform(X, y)
    power = (X - X.mean(2, keepdims=True)).var(2)
    snr = 10 * np.log10(power / np.square(moved - X).mean(2))
    assert snr.min() >= 20 - 1e-3
    assert snr.min() < 21


def test_moves_keep_to_the_frequencies_of_the_band():
    X, y = waves()
    adapter = SignalAdapter(sampling_rate=100.0, band=(0.0, 10.0), bounds=(-99, 99))
    for attack in ("fgsm", "pgd", "noise", "uniform"):
        transformer = transformer_of(attack=attack, adapter=adapter, radius=0.3)
        move = transformer.fit_transform(X, y) - X
        power = np.square(dct(move, norm="ortho")).sum((0, 1))
        rate = np.arange(TIME) * 100 / (2 * TIME)
        assert power[rate > 10].sum() < 1e-8 * power.sum()


@pytest.mark.parametrize("fields", [{"band": (0.0, 0.5)}, {"band": (0, 64), "sampling_rate": 128}])
def test_a_band_may_end_at_the_nyquist_frequency(fields):
    X = waves(12)[0]
    spread = SignalAdapter(**fields).fit(X).spread
    assert torch.equal(spread, SignalAdapter().fit(X).spread)


def test_without_a_band_fgsm_is_the_textbooks():
    X, y = waves()
    adapter = SignalAdapter(band=None, bounds=(-99, 99))
    transformer = transformer_of(adapter=adapter, radius=0.3).fit(X, y)
    x = transformer.adapter_.encode(X).requires_grad_(True)
    logits = transformer.surrogate_.logits(x)
    side = torch.tensor([-1.0, 1.0])[(logits[:, 1] < logits[:, 0]).long()]
    (gradient,) = torch.autograd.grad(((logits[:, 1] - logits[:, 0]) * side).sum(), x)
    move = (transformer.transform(X) - X) / transformer.adapter_.scale[:, None]
    np.testing.assert_allclose(move, 0.3 * gradient.sign().numpy(), atol=1e-4)


# ---------------------------------------------------------------- rows on their own


@pytest.mark.parametrize("recipe", [*(name for name in RECIPES if name not in FOR_TEXTS), "auto"])
def test_every_recipe_grows_signals_the_same_in_any_batch_size(recipe):
    X, y = waves()
    strategy = grow(2.0) if recipe == "distill" else "auto"
    results = []
    for batch_size in (4096, 7):
        sampler = sampler_of(recipe=recipe, batch_size=batch_size, sampling_strategy=strategy)
        results.append(sampler.fit_resample(X, y)[0])
    np.testing.assert_allclose(results[0], results[1], atol=1e-4)


@pytest.mark.parametrize("attack", ["noise", UAP(steps=5), Patch(steps=10)])
@pytest.mark.parametrize("name", ["float32", "list of whole numbers"])
def test_attacks_know_nothing_of_signals_and_move_them(attack, name):
    X, y = waves()
    X = CONTAINERS[name](X)
    transformer = transformer_of(attack=attack, radius=0.5).fit(X, y)
    moved = transformer.transform(X)
    assert [row.shape for row in moved] == [row.shape for row in X]
    assert not rows_equal(moved, X)


def test_a_universal_move_of_signals_is_one_waveform_in_their_band():
    X, y = waves()
    adapter = SignalAdapter(sampling_rate=100.0, band=(0.0, 10.0), bounds=(-99, 99))
    transformer = transformer_of(attack=UAP(steps=10), adapter=adapter, radius=0.5).fit(X, y)
    move = transformer.transform(X) - X
    np.testing.assert_allclose(move, move[:1].repeat(len(X), 0), atol=1e-5)
    power = np.square(dct(move[0], norm="ortho")).sum(0)
    assert power[np.arange(TIME) * 100 / (2 * TIME) > 10].sum() < 1e-8 * power.sum()
    assert abs(np.abs(move[0] / transformer.adapter_.scale[:, None]).max() - 0.5) < 1e-4
    assert transformer.fooling_rate_ >= 0


def test_a_patch_of_signals_is_one_window_of_time():
    X, y = waves()
    adapter = SignalAdapter(band=None, bounds=(-99, 99))
    transformer = transformer_of(attack=Patch(steps=10), adapter=adapter, radius=2.0).fit(X, y)
    touched = (np.abs(transformer.transform(X) - X) > 1e-4).any(1)
    assert touched.any(1).all()
    for row in touched:
        first, last = np.flatnonzero(row)[[0, -1]]
        assert row[first : last + 1].mean() > 0.9
        assert last - first < TIME - 1
    assert len({tuple(row) for row in touched}) > 5  # elsewhere in each


@pytest.mark.parametrize("attack", [UAP(steps=5), Patch(steps=5)])
def test_what_was_learnt_on_one_length_is_not_laid_on_another(attack):
    X, y = waves()
    transformer = transformer_of(attack=attack).fit(X, y)
    with pytest.raises(ValueError, match=r"learnt on rows of shape \(2, 40\), got \(2, 25\)"):
        transformer.transform(X[:, :, :25])


def test_growing_all_classes_of_signals():
    X, y = waves()
    _, y_new = sampler_of(sampling_strategy=grow(2)).fit_resample(X, y)
    assert np.bincount(y_new).tolist() == [72, 72]


def test_a_class_of_two_signals_still_grows():
    X, y = waves(n=30, share=0.05)
    with pytest.warns(UserWarning, match="too few rows"):
        X_new, _ = sampler_of().fit_resample(X, y)
    assert len(X_new) == 56


# ---------------------------------------------------------------- models of the user's own


@pytest.mark.filterwarnings("ignore:surrogate agrees with y")  # The net is not trained.
def test_a_torch_net_is_attacked_on_signals_in_their_own_units():
    X, y = waves()
    net = nn.Sequential(nn.Conv1d(2, 4, 5), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(),
                        nn.Linear(4, 2))  # fmt: skip
    moved = AdversarialTransformer(surrogate=net, radius=0.3).fit(X).transform(X)
    assert np.abs(moved - X).max() > 0.01
    sampler = AdversarialOverSampler(surrogate=net, random_state=0)
    assert len(sampler.fit_resample(X, y)[0]) == 72


def test_a_black_box_is_asked_in_the_users_own_container():
    X, y = waves()
    X = as_list(X)
    forest = plain_pipeline(
        FunctionTransformer(flattened), RandomForestClassifier(20, random_state=0)
    )
    forest.fit(X, y)
    transformer = AdversarialTransformer(attack="square", radius=1.0, surrogate=forest)
    moved = transformer.fit(X).transform(X)
    assert (forest.predict(moved) != y).mean() > 0.2


@pytest.mark.parametrize("name", ["float32", "list"])
def test_signals_go_through_pipelines_cross_validation_and_grid_search(name):
    X, y = waves()
    X = CONTAINERS[name](X)
    pipeline = make_pipeline(
        sampler_of(),
        FunctionTransformer(flattened),
        RandomForestClassifier(20, random_state=0),
    )
    assert cross_val_score(pipeline, X, y, cv=2).mean() > 0.7
    grid = {"adversarialoversampler__recipe": ["harden", "interpolate"]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(X, y)
    assert len(search.predict(X)) == len(X)


# ---------------------------------------------------------------- instruments


def instrument_of(**fields):
    nothing = dict.fromkeys(("gain", "offset", "drift", "wander", "clock", "noise"), 0)
    return Instrument(**{**nothing, "cutoff": 1e6, **fields})


def share(move, x):
    return (move * x).sum(2, keepdims=True) / (x * x).sum(2, keepdims=True)


def is_noise(move, size):
    """Without a side, and nowhere much louder than `size`."""
    sides = move.mean(2).ravel()
    no_side = abs(sides.mean()) < 3 * sides.std() / len(sides) ** 0.5
    return no_side and size / 3 < move.std(2).max() < 2 * size


INSTRUMENTS = {
    "nothing": ({}, lambda move, x: np.abs(move).max() < 1e-5),
    "gain": ({"gain": 0.2}, lambda move, x: np.allclose(move, share(move, x) * x, atol=1e-3)),
    "offset": ({"offset": 0.2}, lambda move, x: np.allclose(np.ptp(move, axis=2), 0, atol=1e-4)),
    "drift": ({"drift": 0.2}, lambda move, x: np.allclose(np.diff(move, 2), 0, atol=1e-4)),
    "noise": ({"noise": 0.1}, lambda move, x: is_noise(move, 0.1 * x.std())),
}


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_each_part_of_an_instrument_does_what_it_says(name):
    fields, holds = INSTRUMENTS[name]
    X, y = waves()
    adapter = SignalAdapter(bounds=(-99, 99))
    moved = transformer_of(
        attack=instrument_of(**fields), adapter=adapter, radius=1.0
    ).fit_transform(X, y)
    center = X.mean((0, 2), keepdims=True)
    assert holds(moved - X, X - center)
    assert (name == "nothing") == np.allclose(moved, X, atol=1e-4)


def test_the_baseline_wanders_in_one_slow_wave():
    X, y = waves()
    adapter = SignalAdapter(bounds=(-99, 99))
    attack = instrument_of(wander=0.3)
    moved = transformer_of(attack=attack, adapter=adapter, radius=1.0).fit_transform(X, y)
    move = (moved - X)[:, 0]
    time = np.arange(TIME) / TIME
    left = []
    for row in move:  # the best of many waves of half a turn to one and a half
        fits = []
        for turns in np.linspace(0.5, 1.5, 101):
            angle = 2 * np.pi * turns * time
            basis = np.stack([np.sin(angle), np.cos(angle)], 1)
            fits.append(np.linalg.lstsq(basis, row, rcond=None)[1][0])
        left.append(min(fits) / (row**2).sum())
    assert max(left) < 1e-3
    assert np.abs(move).max() <= 0.3 * 2**0.5 * X[:, 0].std() + 1e-4


def test_noise_of_an_instrument_has_any_color_from_white_to_pink():
    white = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 50, 1000)))
    noise = instrument.colored(white, torch.tensor([[0.0], [1.0]]))
    power = torch.fft.rfft(noise).abs().square().mean(1)
    ratio = power[:, 1:100].mean(1) / power[:, 400:].mean(1)
    torch.testing.assert_close(noise.var(2).mean(1), torch.ones(2).double(), rtol=0.15, atol=0)
    assert 0.8 < ratio[0] < 1.2
    assert ratio[1] > 5


def test_a_random_device_is_near_its_tolerances_more_often_than_not():
    X, y = waves()
    X, y = np.concatenate([X] * 5), np.concatenate([y] * 5)
    attack, adapter = instrument_of(offset=0.5, steps=0), SignalAdapter(bounds=(-99, 99))
    moved = transformer_of(attack=attack, adapter=adapter, radius=1.0).fit_transform(X, y)
    share = np.abs(moved - X).mean(2) / (0.5 * X.std((0, 2)))
    assert share.max() < 1 + 1e-4
    assert 0.42 < (share > 0.7).mean() < 0.6


def test_the_low_pass_of_an_instrument_leaves_its_noise():
    X, y = waves()
    adapter = SignalAdapter(bounds=(-99, 99))
    power = []
    for noise in (0, 0.5):
        attack = instrument_of(noise=noise, cutoff=1e-3, steps=0)
        moved = transformer_of(attack=attack, adapter=adapter, radius=1.0).fit_transform(X, y)
        power.append(np.abs(np.fft.rfft(moved)[:, :, -5:]).mean())
    assert power[1] > 5 * power[0]


@pytest.mark.parametrize("steps", [0, 2])
def test_a_device_may_have_some_of_the_faults_alone(steps):
    X, y = waves()
    X, y = np.concatenate([X] * 5), np.concatenate([y] * 5)
    adapter = SignalAdapter(bounds=(-99, 99))
    moves = []
    for has_all in (True, False):
        attack = instrument_of(offset=0.5, steps=steps, has_all_faults=has_all)
        moved = transformer_of(attack=attack, adapter=adapter, radius=1.0).fit_transform(X, y)
        moves.append(np.abs(moved - X).max((1, 2)))
    assert (moves[0] > 1e-4).mean() > 0.95
    assert 0.3 < (moves[1] < 1e-5).mean() < 0.6  # three of seven devices keep the offset


def test_a_searched_instrument_fools_more_than_a_random_one():
    X, y = waves()
    margins = []
    for steps in (0, 8):
        transformer = transformer_of(attack=Instrument(steps=steps), radius=1.0).fit(X, y)
        moved = transformer.transform(X)
        logits = transformer.surrogate_.logits(transformer.adapter_.encode(moved))
        margins.append((logits[:, 1] - logits[:, 0]).numpy() * (2 * y - 1))
    assert margins[1].mean() < margins[0].mean() - 0.1


def test_instruments_keep_lengths_frozen_channels_and_batches():
    X, y = waves()
    X = as_list(X)
    results = []
    for batch_size in (4096, 7):
        adapter = SignalAdapter(frozen=[0])
        transformer = transformer_of(
            attack=Instrument(), adapter=adapter, batch_size=batch_size, radius=1.0
        )
        results.append(transformer.fit_transform(X, y))
    for one, two, row in zip(*results, X, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-3)
        assert one.shape == row.shape
        np.testing.assert_array_equal(one[0], row[0])


def test_an_instrument_asks_for_signals():
    X, y = waves()
    with pytest.raises(ValueError, match=r"Instrument requires time_axis \(signals\)"):
        transformer_of(attack="instrument").fit_transform(X[:, 0], y)


# ---------------------------------------------------------------- errors


def with_infinity(X):
    X[3, 1, 5] = np.inf
    return X


ERRORS = {
    "infinity": ({}, with_infinity, "signal 3 holds infinity in channel 1 at time 5"),
    "channels": (
        {},
        lambda X: [row[: 2 - (k == 4)] for k, row in enumerate(X)],
        r"signal 4 is float64 of shape \(1, 40\), but signal 0 has 2 channels",
    ),
    "no time": (
        {},
        lambda X: [row[:, : 40 * (k != 4)] for k, row in enumerate(X)],
        r"signal 4 is float64 of shape \(2, 0\)",
    ),
    "words": ({}, lambda X: X.astype(str), "signals are numbers in arrays"),
    "missing": ({}, lambda X: X * [[[np.nan], [1.0]]], "channel 0 is missing in every signal"),
    "frozen": ({"frozen": [2]}, lambda X: X, "frozen must name channels 0 to 1"),
    "bounds": ({"bounds": [(0, 1)] * 3}, lambda X: X, "bounds must be .* 2 such pairs"),
    "turned bounds": ({"bounds": [(0, 1), (1, 0)]}, lambda X: X, "bounds of channel 1 must go"),
    "band": ({"band": "low"}, lambda X: X, "band must be 'data', 'eigenbasis', None or"),
    "an empty band": ({"band": (0.301, 0.302)}, lambda X: X, "no frequency of signals of 40"),
    "hertz without a rate": (
        {"band": (0.5, 40.0)},
        lambda X: X,
        "Nyquist frequency at most, 0.5 cycles per sample, .* pass sampling_rate if band is in Hz",
    ),
    "hertz below one without a rate": (
        {"band": (0.1, 0.6)},
        lambda X: X,
        "0.5 cycles per sample, .* pass sampling_rate if band is in Hz",
    ),
    "a band that ends too high": (
        {"band": (0.5, 100.0), "sampling_rate": 128.0},
        lambda X: X,
        "Nyquist frequency at most, 64 Hz at sampling_rate=128, .* lower it, or correct",
    ),
    "a band that begins too high": (
        {"band": (64.0, 64.0 + 1e-9), "sampling_rate": 128.0},
        lambda X: X,
        "Nyquist frequency at most, 64 Hz at sampling_rate=128, and begin below",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_what_cannot_be_read_is_named_with_its_mend(name):
    fields, broken, message = ERRORS[name]
    X, y = waves()
    with pytest.raises(ValueError, match=message):
        AdversarialOverSampler(adapter=SignalAdapter(**fields)).fit_resample(broken(X), y)


def test_missing_cells_that_fit_has_not_seen_are_refused():
    X, y = waves()
    transformer = transformer_of().fit(X, y)
    with pytest.raises(ValueError, match="signal 0 has missing values in channel 1"):
        transformer.transform(with_gaps(X))


# ---------------------------------------------------------------- space and features


def band(norm=2.0, channels=2, **fields):
    wide = torch.full((channels, 1), 9.0)
    spread = torch.ones(channels, TIME + 1)
    spread[:, 15:] = 0
    return BandLimited(Box(-wide, wide, norm), spread, **fields)


def test_spread_is_the_standard_deviation_of_each_cosine_coefficient(generator):
    x = torch.randn((50, 2, 16), generator=generator)
    spread = spread_of(x)[:, :16]
    expected = dct((x - x.mean(0)).numpy(), norm="ortho").std(0)
    inside = spread > 0
    np.testing.assert_allclose(spread[inside], expected[inside], rtol=1e-4)
    assert inside.float().mean() > 0.9


@pytest.mark.parametrize("norm", [math.inf, 2.0, 1.0])
@given(number=st.integers(0, 2**31), reach=st.floats(0.01, 3.0))
def test_a_band_projects_into_ball_and_band_once_for_all(norm, number, reach):
    generator = torch.Generator().manual_seed(number)
    seed = torch.rand((4, 2, TIME), generator=generator)
    far = seed + torch.randn(seed.shape, generator=generator)
    radius, space = torch.full((4,), reach), band(norm)
    x = space.project(far, seed, radius)
    assert (space.distance(x, seed) <= radius + 1e-4).all()
    torch.testing.assert_close(space.project(x, seed, radius), x, rtol=0, atol=1e-5)
    torch.testing.assert_close(space.project(seed, seed, radius), seed, rtol=0, atol=0)
    move = space.steepest(far, seed, radius)
    torch.testing.assert_close(space.distance(seed + move, seed), radius, rtol=1e-4, atol=1e-5)
    assert ((move * far).flatten(1).sum(1) > 0).all()


def test_steepest_in_norm_2_is_the_gradient_inside_the_band(generator):
    gradient = torch.randn((3, 2, TIME), generator=generator)
    space, radius = band(2.0), torch.ones(3)
    move = space.steepest(gradient, torch.zeros_like(gradient), radius)
    coefficients = dct(gradient.numpy(), norm="ortho")
    coefficients[:, :, 15:] = 0
    unit = coefficients / np.sqrt(np.square(coefficients).sum((1, 2), keepdims=True))
    np.testing.assert_allclose(dct(move.numpy(), norm="ortho"), unit, atol=1e-5)


def test_scatter_has_the_spread_of_the_rows_and_the_length_asked_for(generator):
    space, x = band(), torch.zeros((4000, 2, TIME))
    noise = torch.rand(x.shape, generator=generator)
    moved = space.scatter(x, torch.full((4000,), 0.5), torch.ones(2, TIME), noise)
    spread = dct(moved.numpy(), norm="ortho").std(0)
    np.testing.assert_allclose(spread[:, :15], 0.5 / math.sqrt(30), rtol=0.06)
    assert np.abs(spread[:, 15:]).max() < 1e-5


def test_what_is_missing_in_either_signal_stays_and_fades(generator):
    values = torch.randn((2, 2, TIME), generator=generator)
    flags = torch.zeros_like(values)
    flags[1, :, 20:] = 1
    x = torch.cat([values * (1 - flags), flags], 1)
    wide, none = torch.full((4, 1), 9.0), torch.tensor([[True]] * 2 + [[False]] * 2)
    space = BandLimited(Box(-wide, wide, 2.0, free=none), torch.ones(2, TIME + 1), True)
    mixed = space.mix(x, x.flip(0), torch.tensor([0.5, 0.5]))
    assert torch.equal(mixed[:, 2:], flags)
    assert torch.equal(mixed[0, :2, 20:], values[0, :, 20:])
    assert torch.equal(mixed[1, :2, 20:], x[1, :2, 20:])
    torch.testing.assert_close(mixed[:, :2, :10], values[:, :, :10].mean(0).expand(2, -1, -1))
    step = (mixed[0, :2] - values[0]).diff().abs().amax()
    assert step <= (values[1] - values[0]).abs().amax()


def test_features_do_not_see_padding_batch_or_device_dtype(generator):
    x = torch.randn((30, 2, TIME), generator=generator)
    flags = torch.zeros_like(x)
    flags[:, :, 30:] = 1
    see = ConvolutionFeatures.learn(torch.cat([x, flags], 1), 2, generator)
    shown, hidden = torch.cat([x, flags], 1), torch.cat([x * (1 - flags), flags], 1)
    assert see(hidden).shape[1] <= 500
    torch.testing.assert_close(see(hidden[:7]), see(hidden)[:7], rtol=0, atol=1e-4)
    longer = torch.nn.functional.pad(hidden, (0, 20))
    longer[:, 2:, TIME:] = 1
    assert see(longer).shape == see(hidden).shape
    assert shown.shape == hidden.shape


def test_a_banded_judge_keeps_real_rows_and_refuses_rough_ones(generator):
    X, y = waves(n=200)
    coding = SignalAdapter(bounds=(-9, 9)).fit(X)
    x, labels = coding.encode(X), torch.from_numpy(y)
    see = coding.features(x, generator)
    bench = DescriptorBandJudge(ConformalJudge(), see.descriptors, alpha=0.02).fit(
        see(x), labels, 1, generator
    )
    fresh = coding.encode(waves(n=200, seed=1)[0])[labels == 1]
    rough = fresh + 0.3 * torch.randn(fresh.shape, generator=generator)
    assert bench.is_inside(see(fresh)).float().mean() > 0.9
    assert bench.is_inside(see(rough)).float().mean() < 0.1
    assert bench.verdict(see(rough), torch.ones(len(rough))).accepts.float().mean() < 0.1


def test_the_eigenbasis_is_shrunk_as_ledoit_and_wolf_do(generator):
    x = torch.randn(12, 2, 9, generator=generator).cumsum(2)
    basis = Eigenbasis.of(x)
    flat = (x - x.mean(0)).flatten(1).double()
    share = ledoit_wolf_shrinkage(flat.numpy(), assume_centered=True)
    covariance = flat.T @ flat / 12
    shrunk = (1 - share) * covariance + share * covariance.trace() / 18 * torch.eye(18)
    axes = basis.axes.flatten(1).double()
    assert len(axes) == 11  # one is the mean's
    expected = axes @ shrunk.double() @ axes.T
    torch.testing.assert_close(expected, basis.sizes.double().square().diag(), rtol=1e-4, atol=1e-5)


def test_moves_in_the_eigenbasis_combine_how_signals_differ(generator):
    x = torch.randn(8, 2, TIME, generator=generator).cumsum(2)
    wide = torch.full((2, 1), 1e6)
    space = BandLimited(Box(-wide, wide, 2.0), torch.ones(2, TIME + 1), basis=Eigenbasis.of(x))
    radius = torch.full((8,), 0.7)
    gradient = torch.randn(x.shape, generator=generator)
    steep = space.steepest(gradient, x, radius)
    noise = torch.rand(x.shape, generator=generator)
    far = space.project(x + gradient, x, radius) - x
    own = (x - x.mean(0)).flatten(1)
    for move in (steep, space.sample(x, radius, noise) - x, far, space.apply_move(x, gradient) - x):
        left = torch.linalg.lstsq(own.T, move.flatten(1).T).solution
        torch.testing.assert_close((own.T @ left).T, move.flatten(1), rtol=0, atol=1e-3)
    torch.testing.assert_close(steep.flatten(1).norm(dim=1), radius)
    torch.testing.assert_close(space.project(x + far, x, radius), x + far, rtol=0, atol=1e-4)
    with pytest.raises(ValueError, match="no longer than in fit"):
        space.apply_move(torch.zeros(1, 2, TIME + 1), torch.ones(1, 2, TIME + 1))


def test_signals_move_in_their_eigenbasis_and_only_there():
    X, y = waves(24)
    off = {}
    for band in ("eigenbasis", "data"):
        adapter = SignalAdapter(band=band, bounds=(-99, 99), frozen=[1])
        moved = transformer_of(attack="fgsm", adapter=adapter, radius=0.5).fit(X, y).transform(X)
        assert (moved[:, 1] == X[:, 1]).all()
        move, own = (moved - X)[:, 0], (X - X.mean(0))[:, 0]
        assert np.abs(move).max() > 0.1
        left = move - move @ np.linalg.pinv(own) @ own  # 23 directions of 40
        off[band] = np.linalg.norm(left) / np.linalg.norm(move)
    assert off["eigenbasis"] < 1e-4
    assert off["data"] > 0.05


def test_a_class_moves_in_its_own_eigenbasis(generator):
    x = torch.randn(20, 2, TIME, generator=generator)
    wide = torch.full((2, 1), 1e6)
    space = BandLimited(Box(-wide, wide, 2.0), torch.ones(2, TIME + 1), basis=Eigenbasis.of(x))
    own = space.restrict_to_common_levels(x[:6], 0.05).basis
    torch.testing.assert_close(own.axes, Eigenbasis.of(x[:6]).axes)
    assert len(own.axes) == 5


def warps_of(attack, x, has_flags=False, radius=1.0):
    channels = x.shape[1] // (1 + has_flags)
    low, high = -torch.full((x.shape[1], 1), 99.0), torch.full((x.shape[1], 1), 99.0)
    space = BandLimited(Box(low, high, 2.0), torch.ones(channels, x.shape[2] + 1), has_flags)
    size = torch.full((len(x),), radius)
    return attack(problem_of(None, x, space, size))


def test_a_warped_clock_is_the_integral_of_its_speed():
    attack, time = Warp(spread=0.3, waves=3), 400
    z = torch.rand(6, 4, generator=torch.Generator().manual_seed(1)) * 2 - 1
    last = torch.full((6, 1), time - 1)
    clock = attack.clock(z, last, torch.arange(time)).double().numpy()
    share = np.linspace(0, 1, 100 * (time - 1) + 1)
    waves_of = np.cos(np.pi * np.arange(1, 4)[:, None] * share)
    gone = cumulative_trapezoid(np.exp(0.3 * z[:, 1:].numpy() @ waves_of), initial=0)[:, ::100]
    exact = (gone / gone[:, -1:] + 0.1 * z[:, :1].numpy()).clip(0, 1) * (time - 1)
    np.testing.assert_allclose(clock, exact, atol=2e-3)
    assert (np.diff(clock) >= 0).all()


def test_a_warp_keeps_what_it_must(generator):
    x = torch.randn((5, 2, 40), generator=generator)
    np.testing.assert_allclose(warps_of(Warp(), x, radius=0.0), x, atol=1e-5)
    moved = warps_of(Warp(shift=0), x)
    assert (moved - x).abs().amax((1, 2)).min() > 0.05
    torch.testing.assert_close(moved[:, :, [0, -1]], x[:, :, [0, -1]], atol=1e-4, rtol=0)
    flags = torch.zeros_like(x)
    flags[0, :, 30:] = 1  # a short signal
    flags[1, 0, 10] = 1  # one with a gap
    cells = torch.cat([x * (1 - flags), flags], 1)
    held = warps_of(Warp(), cells, has_flags=True)
    torch.testing.assert_close(held[:, 2:], flags)
    torch.testing.assert_close(held[1], cells[1], atol=1e-5, rtol=0)
    assert (held[0, :2, 30:] == 0).all()
    short = warps_of(Warp(), cells[:1, :2, :30])
    torch.testing.assert_close(held[:1, :2, :30], short, atol=1e-4, rtol=0)


def test_a_searched_warp_fools_more_than_a_random_one():
    X, y = waves()
    margins = []
    for steps in (0, 8):
        transformer = transformer_of(attack=Warp(0.5, steps=steps), radius=1.0).fit(X, y)
        logits = transformer.surrogate_.logits(
            transformer.adapter_.encode(transformer.transform(X))
        )
        margins.append((logits[:, 1] - logits[:, 0]).numpy() * (2 * y - 1))
    assert margins[1].mean() < margins[0].mean()


def test_only_signals_have_time_to_warp():
    box = Box(torch.zeros(3), torch.ones(3), 2.0)
    with pytest.raises(ValueError, match="use adapter='signal'"):
        Warp()(problem_of(None, torch.zeros(2, 3), box, torch.ones(2)))


def test_features_have_a_gradient_everywhere(generator):
    x = torch.randn((5, 3, 30), generator=generator).requires_grad_(True)
    see = ConvolutionFeatures.learn(x.detach(), 3, generator)
    (gradient,) = torch.autograd.grad(see(x).sum(), x)
    assert gradient.isfinite().all()
    assert (gradient != 0).any((1, 2)).all()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"least_snr": math.nan}, "least_snr must lie"),
        ({"least_snr": "20"}, "least_snr must lie"),
        ({"sampling_rate": 0}, "sampling_rate must lie"),
        ({"frozen": "01"}, "frozen must be a list"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_named(wrong, told):
    with pytest.raises((TypeError, ValueError), match=told):
        SignalAdapter(**wrong).fit(waves()[0])


def test_a_list_with_something_else_among_signals_names_it():
    X, y = waves()
    rows = list(X)
    with pytest.raises(ValueError, match="signal 3 is NoneType"):
        sampler_of().fit_resample([*rows[:3], None, *rows[4:]], y)
    with pytest.raises(ValueError, match=r"\[row\[None\] for row in X\]"):
        sampler_of().fit_resample([row[0, k % 3 :] for k, row in enumerate(rows)], y)


def test_signals_of_any_size_grow():
    X, y = waves()
    plain, huge = (sampler_of().fit_resample(X * size, y)[0] for size in (1.0, 1e200))
    assert np.isfinite(huge).all()
    assert np.allclose(huge / 1e200, plain, atol=1e-6)


@pytest.mark.filterwarnings("ignore:.*were not moved")
def test_no_rows_are_filtered_to_no_rows():
    X, y = waves()
    moved = AdversarialTransformer(attack="crossover", random_state=0).fit(X, y).transform(X)
    assert moved.shape == X.shape


# ---------------------------------------------------------------- the ECG that ships


def test_the_shipped_beats_are_those_of_the_record():
    X, y = load_ecg_beats()
    assert X.shape == (433, 2, 252)
    assert X.dtype == np.int16
    assert dict(zip(*np.unique(y, return_counts=True), strict=True)) == {
        "normal": 400,
        "premature": 33,
    }
    volts = (X - ECG_ZERO) / ECG_GAIN
    peak = volts[:, 0].argmax(1) / ECG_RATE
    assert np.abs(peak - 0.25).max() < 0.02  # the R peak is what an annotation stands at
    assert 0.5 < volts.max() < 3


def test_whole_numbers_of_a_converter_stay_whole_and_beats_grow():
    X, y = load_ecg_beats()
    keep = np.flatnonzero(y == "premature").tolist() + np.flatnonzero(y == "normal")[:60].tolist()
    X_new, y_new = sampler_of().fit_resample(X[keep], y[keep])
    assert X_new.dtype == np.int16
    assert (y_new == "premature").sum() == (y_new == "normal").sum() == 60


# ---------------------------------------------------------------- verdicts


def test_verdicts_keep_real_signals_and_refuse_noisy_ones_for_the_band():
    X, y = waves(n=200)
    sampler = sampler_of()
    made = sampler.fit_resample(X, y)
    fresh = waves(n=200, seed=1)[0][:50]
    rough = fresh + 0.5 * np.random.default_rng(0).normal(size=fresh.shape)
    other = waves(n=200, seed=1)[0][100:150]
    seen = {
        name: VerdictDisplay.from_sampler(sampler, *made, signals=signals, label=1)
        for name, signals in {"fresh": fresh, "rough": rough, "other": other}.items()
    }
    assert seen["fresh"].accepts.mean() > 0.6
    assert seen["rough"].is_inside.mean() < 0.1
    assert seen["other"].agrees.mean() < 0.1
    for display in seen.values():
        expected = display.agrees & display.is_plausible & display.is_inside
        np.testing.assert_array_equal(display.accepts, expected)


def test_verdicts_are_of_the_made_signals_by_default_and_drawn_with_their_shares():
    X, y = waves()
    sampler = sampler_of()
    made = sampler.fit_resample(X, y)
    display = VerdictDisplay.from_sampler(sampler, *made).plot()
    assert display.label == 1
    assert len(display.accepts) == sampler.synthetic_mask_.sum()
    shares = [text.get_text() for text in display.ax_.texts]
    checks = (display.agrees, display.is_plausible, display.is_inside, display.accepts)
    assert shares == [f"{passed.mean():.0%}" for passed in checks]
    (image,) = display.ax_.get_images()
    np.testing.assert_array_equal(image.get_array().sum(1), [passed.sum() for passed in checks])
    assert display.ax_.get_title(loc="left") == "Rejected signals are orange: 24 signals as 1"
    plt.close("all")


def test_verdicts_ask_for_signals_and_a_known_class():
    X, y = waves()
    sampler = sampler_of()
    with pytest.raises(ValueError, match="has not made rows yet"):
        VerdictDisplay.from_sampler(sampler, X, y)
    made = sampler.fit_resample(X, y)
    with pytest.raises(ValueError, match=r"label must be one of \[0, 1\], got 5"):
        VerdictDisplay.from_sampler(sampler, *made, label=5)
    made = sampler.fit_resample(X[:, 0], y)
    with pytest.raises(ValueError, match="verdicts are of signals"):
        VerdictDisplay.from_sampler(sampler, *made)


def test_descriptors_alone_are_those_of_all_features():
    x = torch.randn(40, 2, 64, generator=torch.Generator().manual_seed(0)).cumsum(2) / 4
    seen = ConvolutionFeatures.learn(x, 2, torch.Generator().manual_seed(1))
    torch.testing.assert_close(seen.describe(x), seen(x)[:, seen.descriptors])


def test_signals_that_their_descriptors_rule_out_are_asked_about_no_more(monkeypatch):
    X, y = waves()
    asked = []

    def counting(self, x):
        asked[-1] += len(x)
        return whole(self, x)

    whole, rows = ConvolutionFeatures.__call__, []
    monkeypatch.setattr(ConvolutionFeatures, "__call__", counting)
    for is_lazy in (True, False):
        asked.append(0)
        if not is_lazy:
            monkeypatch.delattr(FittedDescriptorBand, "admits")
        rows.append(sampler_of().fit_resample(X, y)[0])
    np.testing.assert_array_equal(*rows)
    assert asked[0] < asked[1]
