"""The benchmark's rules for signals and sequences. On generated rows only."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.covariance import ledoit_wolf

import advaug
from advaug.domains.signals.defaults import MIN_NEW_SIGNALS
from advaug.sampling.defaults import MIN_NEW_ROWS
from benchmarks.oversampling import (
    cells,
    data,
    distillation,
    harder,
    instrument_samplers,
    instruments,
    methods,
    samplers,
    scores,
    sequence_learners,
    sequences,
    shifts,
    signal_learners,
    signal_teachers,
    signals,
)
from benchmarks.oversampling.__main__ import METHODS, domain_of, task_of
from benchmarks.oversampling.domains import DOMAINS

SEED = 0
WORDS = np.array(["free", "prize", "call", "now", "home", "later", "lunch", "work", "rain"])


def rng():
    return np.random.default_rng(SEED)


def waves(rows, channels=2, shortest=12, longest=20, pace=1.0):
    """Signals of unequal length with a point of noise."""
    draw = rng()
    lengths = [longest, *draw.integers(shortest, longest + 1, rows - 1)]
    clocks = [pace * np.arange(n) + draw.uniform(0, 6) for n in lengths]
    return [
        np.stack([np.sin(t + c) for c in range(channels)]) + 0.1 * draw.normal(size=(1, len(t)))
        for t in clocks
    ]


def sentences(rows, pick):
    draw = rng()
    return [" ".join(draw.choice(WORDS[pick], draw.integers(3, 8))) for _ in range(rows)]


def rows_of(domain, many=30, few=8):
    """Rows of two classes as the library gets them, and their labels."""
    if domain == "signal":
        X = waves(many) + waves(few, pace=2.0)
    else:
        X = sentences(many, slice(3, None)) + sentences(few, slice(0, 6))
    return X, np.repeat([0, 1], [many, few])


def fold(domain, X=None):
    rows, y = rows_of(domain)
    X = rows if X is None else X
    encode = DOMAINS[domain].encoder_of(X)
    return samplers.Fold(X, encode(X), y, encode, methods.totals_of("balance", y), SEED)


PAIRS = [
    (domain, method)
    for domain in ("signal", "sequence")
    for method in DOMAINS[domain].rivals
    if method not in ("esmote", "guided_warp", "random_guided_warp")  # by aeon
]


@pytest.mark.parametrize(("domain", "method"), PAIRS)
def test_every_rival_gives_the_counts_that_are_asked_for_and_keeps_the_real_rows(domain, method):
    rows = fold(domain)
    grown = methods.resample(method, rows, domain)
    assert np.bincount(grown.y).tolist() == [30, 30]
    for own, kept in zip(rows.matrix, grown.matrix, strict=False):
        np.testing.assert_array_equal(kept, own)


class Duplicates:
    """Stands in for the library: every class grown by its first row, in the container given."""

    def __init__(self, **settings):
        self.totals = settings["sampling_strategy"]

    def fit_resample(self, X, y):
        gaps = {label: total - (y == label).sum() for label, total in self.totals.items()}
        more = [int(np.argmax(y == label)) for label, gap in gaps.items() for _ in range(gap)]
        return data.take(X, np.array([*range(len(X)), *more])), np.append(y, y[more])


@pytest.mark.parametrize("domain", ["signal", "sequence"])
@pytest.mark.parametrize("is_split", [False, True])
def test_our_rows_come_back_in_the_container_that_the_library_was_given(
    monkeypatch, domain, is_split
):
    monkeypatch.setattr(advaug, "AdversarialOverSampler", Duplicates)
    X, y = rows_of(domain)
    if is_split:  # signals of one length as an array, sequences as tokens
        X = np.stack([x[:, :12] for x in X]) if domain == "signal" else [x.split() for x in X]
    rows = fold(domain, X)
    grown = methods.resample("advaug:auto:attack=noise", rows, domain)
    assert len(grown.matrix) == len(grown.y) == 60
    first = rows.matrix[np.argmax(y == 1)]
    np.testing.assert_array_equal(grown.matrix[-1], first)


# ---------------------------------------------------------------- folds


def test_thinning_drops_rare_rows_down_to_their_share_but_leaves_the_least():
    rows, y = np.arange(100), np.repeat([0, 1], [60, 40])
    assert np.bincount(y[data.thin(rows, y, 0.1, 5, SEED)]).tolist() == [60, 7]
    assert np.bincount(y[data.thin(rows, y, 0.1, 20, SEED)]).tolist() == [60, 20]
    assert data.thin(rows, y, 0.5, 5, SEED) is rows


def test_a_group_is_never_parted():
    y, groups = np.tile([0, 0, 1], 20), np.repeat(np.arange(12), 5)
    table = data.Table("t", "t", [*range(60)], y, groups)
    for train, test in data.folds_of(table, SEED, 3):
        assert not set(groups[train]) & set(groups[test])


def test_each_text_is_taken_once_and_attacks_of_one_run_are_a_group():
    X = [["a"], ["b"], ["a"], ["c"], ["d"]]
    info = {
        "run": np.array(["r", "r", "r", "n", "n"]),
        "part": np.array(["attack"] * 3 + ["x"] * 2),
    }
    kept, y, groups = data.sequences_of(X, np.array(list("pqrst")), info)
    assert kept == [["a"], ["b"], ["c"], ["d"]]
    assert y.tolist() == ["p", "q", "s", "t"]
    assert groups.tolist() == ["r", "r", "3", "4"]


# ---------------------------------------------------------------- signals


def test_padding_is_found_filled_and_kept_by_the_scale():
    X = waves(9)
    encoded = signals.encoder_of(X)(X)
    lengths = [x.shape[1] for x in X]
    assert signals.lengths_of(encoded).tolist() == lengths
    np.testing.assert_allclose(np.nanmean(encoded, axis=(0, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(np.nanstd(encoded, axis=(0, 2)), 1, atol=1e-5)
    full = signals.filled(encoded)
    for row, length in zip(full, lengths, strict=True):
        assert (row[:, length - 1 :] == row[:, [length - 1]]).all()
    assert signals.encoder_of(X)(X[1:2]).shape[2] == max(lengths)


def textbook_warping(a, b, width):
    """The recursion, cell by cell."""
    table = np.full((a.shape[1] + 1, b.shape[1] + 1), np.inf)
    table[0, 0] = 0
    for i in range(a.shape[1]):
        for j in range(max(0, i - width), min(b.shape[1], i + width + 1)):
            cost = ((a[:, i] - b[:, j]) ** 2).sum()
            table[i + 1, j + 1] = cost + min(table[i, j], table[i, j + 1], table[i + 1, j])
    return table[-1, -1]


@pytest.mark.parametrize(("shortest", "width"), [(8, 99), (20, 2)])
def test_warping_is_the_textbooks(shortest, width):
    a, b = waves(4, shortest=shortest), waves(5, shortest=shortest, pace=1.3)
    found = signal_learners.warping_distances(signals.padded(a), signals.padded(b))
    expected = [[textbook_warping(x, y, width) for y in b] for x in a]
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_convolutions_are_those_of_three_weights_two_and_six_weights_minus_one():
    X = rng().normal(size=(2, 3, 40))
    made = [*signal_learners.convolved(X, 2, np.array([0, 2]))]
    assert len(made) == 84
    kernel = np.full(17, 0.0)
    kernel[::2] = [2, 2, 2, -1, -1, -1, -1, -1, -1]  # the first triple is 0, 1, 2
    for row, own in zip(made[0], X, strict=True):
        padded = np.pad(own[0] + own[2], 8)
        np.testing.assert_allclose(row, np.correlate(padded, kernel, "valid"), atol=1e-9)


@pytest.mark.parametrize("learner", signal_learners.LEARNERS)
def test_learners_of_signals_give_probabilities_of_every_class(learner):
    if learner not in signal_learners.QUICK:
        pytest.importorskip("aeon", reason="MultiRocket and Hydra are those of aeon")
    X, y = rows_of("signal")
    encode = signals.encoder_of(X)
    y = np.where(np.arange(len(y)) < 10, 2, y)
    p = signal_learners.probabilities(
        learner, fold("signal"), encode(X), y, encode(X[:7]), np.ones(len(y))
    )
    assert p.shape == (7, 3)
    np.testing.assert_allclose(p.sum(1), 1, atol=1e-6)


def test_a_warped_ramp_still_climbs_from_its_start_to_its_end():
    ramp = np.full((1, 1, 30), np.nan, np.float32)
    ramp[0, 0, :25] = np.arange(25)
    made = signals.time_warp(ramp, ramp, 20, rng())
    assert (signals.lengths_of(made) == 25).all()
    assert (np.diff(made[:, 0, :25]) >= 0).all()
    np.testing.assert_allclose(made[:, 0, [0, 24]], [[0, 24]] * 20, atol=1e-4)


def bump(place, points=40):
    return np.exp(-((np.arange(points) - place) ** 2) / 8)[None].astype(np.float32)


def test_a_guided_row_runs_at_the_pace_of_its_guide():
    pytest.importorskip("aeon", reason="the paths are aeon's")
    late, early = bump(28), 3 * bump(10)
    clock = signals.aligned_clock(late, early)
    warped = signals.on_points(late, clock, late.shape[1])
    assert warped.argmax() < late.argmax() - 5  # towards 10, where the guide's is
    assert warped.max() == pytest.approx(1, abs=0.05)  # heights stay


def test_the_teacher_of_a_warp_is_near_its_class_and_far_from_others():
    pytest.importorskip("aeon", reason="the distances are aeon's")
    own = np.stack([np.full((1, 12), level, np.float32) for level in (1, 5, 6)])
    others = np.zeros((4, 1, 12), np.float32)
    assert signals.teacher_of(own, others, rng()).mean() == 6


@pytest.mark.parametrize("rule", [signals.random_guided_warp, signals.guided_warp])
def test_guided_rows_are_as_long_as_their_sources_and_within_their_heights(rule):
    pytest.importorskip("aeon", reason="the paths are aeon's")
    own = signals.padded(rows_of("signal")[0][:8])
    made = rule(own, own[:4] + 1, 30, rng())
    assert {*signals.lengths_of(made)} <= {*signals.lengths_of(own)}
    assert np.nanmin(made) >= np.nanmin(own)
    assert np.nanmax(made) <= np.nanmax(own)
    assert len(np.unique(made[:, 0, 3])) > len(own)


def test_gaussian_rows_have_the_shrunk_covariance():
    x = rng().normal(size=(12, 5)) * [1, 2, 3, 4, 5]
    made = signals.shrunk_gaussian(x, 60_000, rng(), surplus=1)
    expected = ledoit_wolf(x)[0]
    np.testing.assert_allclose(np.cov(made.T), expected, atol=0.03 * expected.max())
    np.testing.assert_allclose(made.mean(0), x.mean(0), atol=0.1)


def test_clusters_of_shared_neighbors_keep_far_blobs_apart():
    x = np.concatenate([rng().normal(size=(20, 3)), 50 + rng().normal(size=(20, 3))])
    label = signals.shared_neighbor_clusters(x)
    first, second = set(label[:20]) - {-1}, set(label[20:]) - {-1}
    assert first
    assert second
    assert not first & second


# ---------------------------------------------------------------- instruments


@pytest.mark.parametrize(
    ("shift", "options"),
    [
        (instruments.gain, {"spread": 0}),
        (instruments.drift, {"size": 0}),
        (instruments.noise, {"size": 0}),
        (instruments.resampling, {"pace": 1, "every": 1}),
    ],
)
def test_an_instrument_without_a_fault_shows_the_signal(shift, options):
    X = signals.padded(waves(5))
    np.testing.assert_allclose(shift(X, rng(), **options), X, atol=1e-6)


def test_noise_of_an_instrument_has_the_size_it_says():
    X = np.zeros((50, 1, 500))
    assert instruments.noise(X, rng(), 0.3).std() == pytest.approx(0.3, rel=0.02)


def test_the_librarys_instruments_record_each_class_again():
    X, y = rows_of("signal", 40, 30)
    encode = signals.encoder_of(X)
    fold = samplers.Fold(X, encode(X), y, encode, methods.totals_of("grow2", y), SEED)
    found = {m: methods.resample(m, fold, "instrument") for m in instrument_samplers.OURS}
    for grown in found.values():
        np.testing.assert_array_equal(grown.matrix[: len(X)], fold.matrix)
        lengths = {*signals.lengths_of(grown.matrix[len(X) :])}
        assert lengths <= {*signals.lengths_of(fold.matrix)}
        gap = np.abs(grown.matrix[len(X) :, None] - fold.matrix)
        assert (np.nanmax(gap, axis=(2, 3)).min(1) > 0.05).mean() > 0.8  # hardly one is a copy
    one, other = (grown.matrix for grown in found.values())
    assert not np.array_equal(one, other, equal_nan=True)


def test_asking_through_instruments_begins_with_the_signals_as_they_are():
    X, y = rows_of("signal")
    encode = signals.encoder_of(X)
    asked = [encode(X), y, encode(X[::5])]
    p = instruments.probabilities("forest", fold("signal"), *asked)
    plain = signal_learners.probabilities("forest", fold("signal"), *asked)
    assert p.shape == (len(asked[2]), 2 * len(instruments.SHIFTS))
    np.testing.assert_array_equal(p[:, :2], plain)


def test_a_loss_is_counted_from_what_nothing_reaches_on_its_own_instrument():
    values = {"nothing": [0.9, 0.5], "jitter": [0.7, 0.7]}
    table = pd.DataFrame(
        {"set": "s", "method": m, "learner": "f", "instrument": i, "accuracy": v}
        for m, pair in values.items()
        for i, v in zip(("as it is", "gain"), pair, strict=True)
    )
    means = shifts.means(table)
    assert means.loc["jitter", "loss"] == pytest.approx(0.2)
    assert means.loc["jitter", "of nothing's"] == pytest.approx(0.5)


# ---------------------------------------------------------------- sequences


@pytest.mark.parametrize(
    ("rows", "unit"),
    [(["to be", "or not"], "words"), (["ACGT", "CC"], "characters"), ([("6", "42")], "tokens")],
)
def test_rows_are_taken_apart_and_put_together(rows, unit):
    assert sequences.unit_of(rows) == unit
    for row in rows:
        assert sequences.row_of(sequences.tokens_of(row, unit), unit) == row


def test_a_chain_without_foreign_steps_walks_only_where_its_class_has_walked():
    own, others = (sequences.array_of(sentences(9, pick)) for pick in (slice(0, 6), slice(3, 9)))
    made = sequences.markov(own, others, 40, rng(), foreign=0)
    known = sequences.followers(own, "words", 1)
    starts = set(known[("",)])
    for row in made:
        tokens = row.split()
        for before, after in pairwise(tokens):
            assert after in known[(before,)] or (not known[(before,)] and after in starts)


@pytest.mark.parametrize("unit", ["words", "characters", "tokens"])
def test_edits_change_at_most_a_tenth_of_the_tokens(unit):
    tokens = [str(n % 10) for n in range(40)]
    own = sequences.array_of([sequences.row_of(tokens, unit)])
    for row in sequences.edits(own, own, 30, rng()):
        new = sequences.tokens_of(row, unit)
        assert abs(len(new) - 40) <= 4
        if len(new) == 40:
            assert sum(a != b for a, b in zip(new, tokens, strict=True)) <= 8  # a swap moves two


def test_a_blend_lies_between_the_features_of_its_rows():
    space = sequences.tfidf("words").fit(["a b", "c d"])
    rows = sequences.array_of(["a b", sequences.Blend("a b", "c d", 0.25)])
    made = sequence_learners.mixed(rows, space.transform)
    a, b = (space.transform([text]) for text in ("a b", "c d"))
    expected = csr_matrix(0.75 * a + 0.25 * b)
    np.testing.assert_allclose(made[1].toarray(), expected.toarray(), rtol=1e-6)


@pytest.mark.parametrize("learner", [*sequence_learners.LEARNERS])
def test_learners_of_sequences_take_blends_and_unknown_words(monkeypatch, learner):
    monkeypatch.setattr(sequence_learners, "UPDATES", 2)
    rows = fold("sequence")
    grown = methods.resample("smote", rows, "sequence")
    asked = sequences.array_of(["free prize", "never seen", ""])
    weights = np.ones(len(grown.y))
    p = sequence_learners.probabilities(learner, rows, grown.matrix, grown.y, asked, weights)
    assert p.shape == (3, 2)
    np.testing.assert_allclose(p.sum(1), 1, atol=1e-6)


# ---------------------------------------------------------------- taught learners


@pytest.mark.parametrize("domain", ["signal", "sequence"])
def test_learners_of_every_kind_of_rows_are_taught_with_weights_where_they_take_any(
    domain, monkeypatch
):
    monkeypatch.setattr(sequence_learners, "UPDATES", 2)
    rows, lengths = fold(domain), {}
    given, plain = [], DOMAINS[domain].probabilities

    def noted(learner, fold, X, y, X_test, weights=None):
        given.append((len(X), weights is not None))
        return plain(learner, fold, X, y, X_test, weights)

    for learner in DOMAINS[domain].learners:
        model = DOMAINS[domain].model_of(learner, fold=rows).set_params(probabilities=noted)
        answer, _ = distillation.taught("distilled", rows, rows.X, lambda _, own=model: own)
        p = answer(learner).p
        assert p.shape == (38, 2)
        np.testing.assert_allclose(p.sum(1), 1, atol=1e-6)
        lengths[learner] = given.pop()
    real = len(rows.y) + (MIN_NEW_SIGNALS if domain == "signal" else MIN_NEW_ROWS)
    for learner, (count, is_weighted) in lengths.items():
        assert is_weighted == (learner not in ("1-nn dtw", "tfidf knn"))
        if learner == "1-nn dtw":  # It learns those labels that the teacher does not doubt.
            assert len(rows.y) < count <= real
        else:
            assert count == real if not is_weighted else real < count <= 2 * real


# ---------------------------------------------------------------- from the folder to the scores

READ = """
from pathlib import Path
import numpy as np
import pandas as pd

def manifest(split=None, domain=None):
    known = pd.read_csv(Path(__file__).parent / "manifest.csv")
    return known[known["domain"] == domain]

def load(name):
    info = manifest(domain=name).iloc[0].to_dict()
    y = np.array(["many", "rare"] * 15 + ["many"] * 6)
    draw = np.random.default_rng(0)
    if name == "sequence":
        return [f"{label} {k} {draw.integers(9)}" for k, label in enumerate(y)], y, info
    X = draw.normal(size=(36, 1, 24)) + np.where(y == "rare", 2, 0)[:, None, None]
    return X.astype(np.float32), y, info | {"lengths": np.full(36, 24)}
"""


@pytest.mark.parametrize("table", ["signals", "sequences", "instruments"])
def test_a_table_goes_from_the_folder_to_its_scores(tmp_path, monkeypatch, table):
    monkeypatch.setattr(sequence_learners, "UPDATES", 2)
    (tmp_path / "read.py").write_text(READ)
    line = "name,domain,base,task,core,rows,imbalance_ratio,minority_count,class_counts"
    line += ",minority_label\n"
    for name in ("signal", "sequence"):
        for task in ("binary", "multiclass"):  # the second is left out: its classes are too small
            line += f'{name},{name},{task},{task},1,36,1.4,15,"{{}}",rare\n'
    (tmp_path / "manifest.csv").write_text(line)
    domain = domain_of(table)
    plan = cells.Plan(
        tmp_path,
        tmp_path / "cells",
        tuple(data.choose(tmp_path, domain=DOMAINS[domain].shelf)),
        ("nothing", "random"),
        task=task_of(table),
        folds=2,
        domain=domain,
    )
    assert cells.run(plan, 1) == []
    if table == "instruments":
        assert shifts.means(shifts.score(plan)).shape == (2, len(instruments.SHIFTS) + 3)
    else:
        found = scores.score(plan, 1)
        assert len(found) == 2 * len(DOMAINS[domain].learners)
        assert found[[*scores.BINARY]].notna().all(axis=None)


@pytest.mark.parametrize("table", METHODS)
def test_every_method_of_a_table_has_a_sampler(table):
    for method in METHODS[table].split(","):
        if method not in methods.KEEPS_ROWS:
            assert methods.sampler_of(method, domain_of(table))


def test_noisier_signals_keep_their_lengths_and_get_the_noise_that_their_name_says():
    rng = np.random.default_rng(0)
    rows = [(5 * rng.normal(size=(2, n))).astype("f4") for n in (300, 200, 400)]
    noisier = harder.noisy(rows, harder.version_of("rows~noise2")[1].noise)
    assert [row.shape for row in noisier] == [row.shape for row in rows]
    added = np.concatenate([new - row for new, row in zip(noisier, rows, strict=True)], axis=1)
    assert added.std(axis=1) == pytest.approx(10, rel=0.1)
    assert harder.noisy(rows, 0.0) is rows


def test_the_name_of_a_harder_set_tells_its_version():
    assert harder.version_of("ecg200") == ("ecg200", harder.Version())
    name, version = harder.version_of("plaid_vs_rest~class10~rows60~noise0.5")
    assert (name, version) == ("plaid_vs_rest", harder.Version(0.5, 60, "10"))
    for wrong in ("a~loud", "a~noise", "a~rows"):
        with pytest.raises(ValueError, match="write ~noise2, ~rows60 or ~class5"):
            harder.version_of(wrong)


def test_a_set_that_is_cut_has_so_many_training_rows_and_all_its_test_rows(tmp_path):
    y = np.repeat([0, 1], [180, 120])
    table = data.Table("a", "a", np.zeros((300, 1, 8)), y, most_rows=60)
    plan = cells.Plan(tmp_path, tmp_path, (), (), most_rows=400, folds=3, domain="hard signal")
    for known, rows in ((table, 60), (replace(table, most_rows=None), 133)):
        train, test = cells.parted(plan, known, 0, 0)
        assert len(train) == rows
        assert y[train].sum() == round(0.1 * rows)
        assert len(test) == 100


def test_frequencies_tell_a_slow_signal_from_a_fast_one_at_any_phase():
    time = np.arange(64) / 64
    X = np.stack(
        [np.sin(2 * np.pi * (rate * time + phase)) for rate in (2, 9) for phase in (0, 0.3)]
    )
    seen = signal_teachers.frequencies(X[:, None].astype("f4"), 64)
    gap = np.linalg.norm(seen[:, None] - seen, axis=2)
    assert gap[0, 1] < gap[0, 2]
    assert gap[2, 3] < gap[1, 3]
