"""Nets trained on their own adversarial rows, against closed forms and controls."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits, make_classification
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.nn.functional import cross_entropy

from advaug import AdversarialOverSampler, AdversarialTransformer
from advaug.adapters import SignalAdapter, TabularAdapter
from advaug.attacks import PGD, Instrument, Noise
from advaug.models.training import Training
from advaug.robust import AdversarialClassifier

QUICK = Training(epochs=15, learning_rate=0.01)


def classifier(**settings):
    return AdversarialClassifier(**{"training": QUICK, "random_state": 0} | settings)


def problem(n=200, classes=2):
    return make_classification(
        n, 6, n_informative=5, n_redundant=0, n_classes=classes, random_state=0
    )


def under_attack(model, X, y, radius=0.5, **settings):
    attack = AdversarialTransformer(
        surrogate=model, radius=radius, random_state=0, **{"attack": "pgd"} | settings
    )
    return model.score(attack.fit(X, y).transform(X, y), y)


# ---------------------------------------------------------------- closed forms


def test_without_an_attack_training_is_torchs_own():
    X, y = problem(60)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Linear(6, 2)
    training = Training(epochs=8, batch_size=60, learning_rate=0.01, weight_decay=0.1)
    ours = classifier(module=module, clean_weight=1, training=training).fit(X, y).net_.module
    theirs = copy.deepcopy(module)
    descent = torch.optim.AdamW(theirs.parameters(), lr=0.01, weight_decay=0.1)
    rows, labels = torch.from_numpy(X).float(), torch.from_numpy(y)
    for k in range(8):
        progress = k / 8
        rate = 0.1 + 3.6 * progress if progress < 0.25 else 1 - (progress - 0.25) / 0.75
        descent.param_groups[0]["lr"] = 0.01 * rate
        descent.zero_grad()
        cross_entropy(theirs(rows), labels).backward()
        descent.step()
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("loss", ["adversarial", "trades", "vat"])
def test_radius_0_leaves_plain_training(loss):
    X, y = problem()
    plain = classifier(clean_weight=1).fit(X, y).predict_proba(X)
    still = classifier(radius=0, loss=loss).fit(X, y)
    np.testing.assert_allclose(still.predict_proba(X), plain, atol=1e-4)


def test_on_a_linear_net_the_step_against_it_is_the_closed_form():
    X, y = problem(80)
    module = nn.Linear(6, 1)
    training = Training(epochs=1, batch_size=80)
    model = classifier(module=module, clean_weight=0, radius=0.2, training=training, device="cpu")
    target = model._encode_labels(y, y)
    model.adapter_ = TabularAdapter().fit(X)
    x = model.adapter_.encode(X)
    from advaug.robust.nets import new_net

    net = new_net(module, model.adapter_, x, 2, Training(), torch.Generator())
    loss = model._loss(net, x, target, model._chosen_attack(), torch.Generator().manual_seed(0))
    space = model.adapter_.space()
    side = torch.where(target == 1, -1.0, 1.0)[:, None]
    expected = (x + 0.2 * side * module.weight.sign()).clamp(space.lower, space.upper)
    torch.testing.assert_close(loss.attack_rows(x, target), expected)


def test_class_weights_are_repeated_rows():
    X, y = problem(60)
    module = nn.Linear(6, 2)
    training = Training(epochs=10, batch_size=1000)
    twice = np.r_[np.arange(60), np.flatnonzero(y == 1)]
    adapter = TabularAdapter()
    settings = {"module": module, "training": training, "clean_weight": 1, "adapter": adapter}
    weighted = classifier(class_weight={0: 1, 1: 2}, **settings).fit(X, y)
    repeated = classifier(**settings).fit(X[twice], y[twice])
    np.testing.assert_allclose(
        weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-4, atol=1e-5
    )


# ---------------------------------------------------------------- what it gains


def test_adversarial_training_resists_and_noise_of_the_same_radius_does_less():
    X, y = problem(600)
    train, test = slice(0, 400), slice(400, None)
    training = Training(epochs=60)

    def score(**settings):
        model = classifier(radius=0.5, training=training, **settings).fit(X[train], y[train])
        return under_attack(model, X[test], y[test])

    plain, noise = score(clean_weight=1), score(attack="noise")
    robust = {loss: score(loss=loss, clean_weight=0.3) for loss in ("adversarial", "trades")}
    assert min(robust.values()) > plain + 0.1
    assert min(robust.values()) > noise + 0.05


def test_vat_learns_where_no_row_has_a_label_too():
    X, y = problem(400)
    few = np.where(np.arange(400) < 20, y, -1)
    model = classifier(loss="vat").fit(X, few)
    without = classifier(loss="vat").fit(X[:20], y[:20])
    assert model.classes_.tolist() == [0, 1]
    rows = {kind: one.predict_proba(X) for kind, one in (("all", model), ("few", without))}
    moved = {
        kind: np.abs(one.predict_proba(X + 0.2 * X.std(0)) - rows[kind]).mean()
        for kind, one in (("all", model), ("few", without))
    }
    assert moved["all"] < moved["few"]


def test_two_classes_of_which_one_is_minus_one_have_labels():
    X, y = problem()
    assert classifier(loss="vat").fit(X, 2 * y - 1).classes_.tolist() == [-1, 1]


# ---------------------------------------------------------------- what is kept as it was


def test_the_users_module_is_neither_trained_nor_moved():
    X, y = problem()
    module = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.2), nn.Linear(8, 2))
    before = copy.deepcopy(module.state_dict())
    model = classifier(module=module).fit(X, y)
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name])
    assert model.net_.module is not module
    assert all(weight.grad is None for weight in model.net_.module.parameters())
    assert clone(model).module is module


def test_the_same_seed_gives_the_same_net_and_leaves_torchs_generator_alone():
    X, y = problem()
    module = nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.5), nn.Linear(8, 2))
    state = torch.get_rng_state()
    one = classifier(module=module).fit(X, y).predict_proba(X)
    assert torch.equal(state, torch.get_rng_state())
    with torch.random.fork_rng(devices=[]):
        torch.rand(1)
        other = classifier(module=module).fit(X, y).predict_proba(X)
    assert np.array_equal(one, other)
    different = classifier(module=module, random_state=1).fit(X, y).predict_proba(X)
    assert not np.array_equal(one, different)


def test_a_fitted_classifier_survives_pickle():
    X, y = problem()
    model = classifier().fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(model.predict_proba(X), again.predict_proba(X))


# ---------------------------------------------------------------- rows of many kinds


def test_images_and_mixed_frames_are_read_through_their_adapters():
    images, digits = load_digits(return_X_y=True)
    images = (images * 15).astype(np.uint8).reshape(-1, 1, 8, 8)[:400]
    model = classifier(radius=0.1, training=Training(epochs=20)).fit(images, digits[:400])
    assert model.score(images, digits[:400]) > 0.9
    X, y = problem()
    frame = pd.DataFrame(X[:, :3], columns=list("abc")).assign(
        kind=np.where(X[:, 3] > 0, "u", "v"), hole=np.where(X[:, 4] > 1, np.nan, X[:, 4])
    )
    names = np.array(["no", "yes"])[y]
    model = classifier().fit(frame, names)
    assert model.score(frame, names) > 0.75
    assert model.feature_names_in_.tolist() == list(frame)
    assert under_attack(model, frame, names) < model.score(frame, names)


def test_patience_stops_and_keeps_the_best_weights():
    X, y = make_classification(300, 20, n_informative=2, flip_y=0.3, random_state=0)
    training = Training(epochs=60, patience=3, validation_fraction=0.3)
    model = classifier(clean_weight=1, training=training).fit(X, y)
    assert 3 < model.n_iter_ < 60


def test_parts_of_the_rows_one_after_the_other_are_learnt_too():
    X, y = problem(600)
    names = np.array(["no", "yes"])[y]
    model = classifier(training="auto", clean_weight=1)
    for _ in range(15):
        for part in range(0, 600, 150):
            model.partial_fit(X[part : part + 150], names[part : part + 150], ["no", "yes"])
    assert model.score(X, names) > classifier(clean_weight=1).fit(X, names).score(X, names) - 0.05
    with pytest.raises(ValueError, match=r"y holds 'perhaps', .* partial_fit\(X, y, classes"):
        model.partial_fit(X[:2], ["perhaps", "no"])


@pytest.mark.parametrize(
    ("settings", "epochs"),
    [
        ({"training": "auto"}, 1),
        ({"training": Training(epochs=3, patience=1)}, 3),
        ({"training": "auto", "loss": "free"}, 1),
    ],
    ids=str,
)
def test_a_part_of_the_rows_is_passed_once_or_as_often_as_the_training_says(settings, epochs):
    assert classifier(**settings).partial_fit(*problem()).n_iter_ == epochs


def test_a_part_of_the_rows_is_learnt_at_half_of_the_peak_rate():
    """AdamW's first step moves each weight by the learning rate."""
    module, training = nn.Linear(6, 2), Training(learning_rate=0.01, weight_decay=0)
    model = classifier(module=module, clean_weight=1, training=training)
    moved = model.partial_fit(*problem(60)).net_.module.weight - module.weight
    torch.testing.assert_close(moved.abs(), torch.full((2, 6), 0.005), rtol=1e-3, atol=0)


def test_it_searches_and_stands_at_the_end_of_a_pipeline():
    X, y = problem()
    whole = make_pipeline(StandardScaler(), classifier())
    search = GridSearchCV(
        whole,
        {
            "adversarialclassifier__radius": [0.1, 0.3],
            "adversarialclassifier__training__epochs": [3],
        },
        cv=2,
    ).fit(X, y)
    assert search.best_score_ > 0.6


def test_a_sampler_attacks_the_net_inside():
    X, y = problem()
    keep = (y == 0) | (np.arange(len(y)) % 4 == 0)
    model = classifier().fit(X, y)
    sampler = AdversarialOverSampler(surrogate=model, random_state=0)
    _, y_new = sampler.fit_resample(X[keep], y[keep])
    assert (y_new == 0).sum() == (y_new == 1).sum()


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"attack": "uap"}, ValueError, "attack=UAP.* cannot train a net.*take attack='fgsm'"),
        ({"attack": Noise}, TypeError, "attack must be an instance: write attack=Noise"),
        ({"radius": np.inf}, ValueError, "'radius' parameter of AdversarialClassifier"),
        ({"clean_weight": 2}, ValueError, "clean_weight"),
        ({"module": nn.Linear(6, 5)}, ValueError, "module gives logits of shape .* 2 classes"),
        ({"module": nn.Linear(3, 2)}, ValueError, "module cannot take rows of shape"),
        (
            {"module": nn.Sequential(nn.Linear(6, 2), nn.Softmax(1))},
            ValueError,
            "module returns probabilities: remove",
        ),
        ({"training": Training(learning_rate=0)}, ValueError, "learning_rate must be above 0"),
        ({"training": Training(validation_fraction=2)}, ValueError, "validation_fraction must lie"),
        ({"training": Training(batch_size=0)}, ValueError, "batch_size must be at least 1"),
    ],
    ids=str,
)
def test_what_cannot_be_trained_is_refused_with_the_mend(settings, error, message):
    X, y = problem()
    with pytest.raises(error, match=message):
        classifier(**settings).fit(X, y)


def test_a_single_class_is_refused():
    X, _ = problem()
    with pytest.raises(ValueError, match=r"at least 2 classes, got 1 class \(0\.0\)"):
        classifier().fit(X, np.zeros(len(X)))


def test_a_classifier_without_a_net_is_not_taken_for_one():
    X, y = problem()
    model = LogisticRegression().fit(X, y)
    attack = AdversarialTransformer(surrogate=model, attack=PGD(steps=2)).fit(X, y)
    assert attack.surrogate_.classes.tolist() == [0, 1]


@pytest.mark.parametrize("weights", [{0: 0, 1: 0}, {0: -1, 1: 1}, {0: float("nan"), 1: 1}])
def test_weights_that_no_net_can_learn_with_are_refused(weights):
    with pytest.raises(ValueError, match="class_weight must give"):
        classifier(class_weight=weights).fit(*problem(80))


def test_a_module_with_nothing_to_train_is_refused():
    module = nn.Linear(6, 2).requires_grad_(False)
    with pytest.raises(ValueError, match="none to train"):
        classifier(module=module).fit(*problem(80))


def test_a_failed_fit_leaves_nothing_of_the_one_before():
    X, y = problem(80)
    model = classifier().fit(X, np.arange(80) % 3)
    with pytest.raises(ValueError, match="infinity"):
        model.fit(np.full_like(X, np.inf), y)
    with pytest.raises(NotFittedError):
        model.predict(X)
    assert model.partial_fit(X, np.where(y == 1, "pos", "neg")).classes_.tolist() == ["neg", "pos"]


def test_texts_are_trained_on_by_edits():
    texts = ["a quick dog", "a slow cat", "the dog", "the cat"] * 10
    model = classifier(radius=1.0).fit(texts, ["dog" in text for text in texts])
    assert (model.predict(texts) == ["dog" in text for text in texts]).mean() > 0.9


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"attack": "fgsm"}, "requires gradient .* rows of SequenceCoding .*attack='greedy'"),
        ({"loss": "free"}, "rows of SequenceCoding have none: take loss='adversarial'"),
    ],
)
def test_what_needs_a_gradient_says_that_texts_have_none(settings, message):
    texts = ["a dog", "a cat"] * 10
    with pytest.raises(ValueError, match=message):
        classifier(radius=1.0, **settings).fit(texts, [0, 1] * 10)


def test_signals_of_another_instrument_are_read_by_a_net_that_was_trained_on_instruments():
    rng = np.random.default_rng(0)
    y = np.arange(160) % 2
    wave = np.sin(np.arange(60) * np.where(y, 0.35, 0.5)[:, None] + rng.uniform(0, 6, (160, 1)))
    X = (wave + 0.3 * rng.normal(size=wave.shape))[:, None].astype(np.float32)
    other = X * 1.5 + np.linspace(0, 2, 60, dtype=np.float32)
    train, test = slice(0, 80), slice(80, None)
    adapter = SignalAdapter(bounds=(-9, 9))
    scores = {}
    for way, attack in (("plain", "noise"), ("instrument", Instrument(gain=0.5, drift=2, steps=2))):
        model = classifier(
            clean_weight=1 if way == "plain" else 0.5, attack=attack, radius=1.0, adapter=adapter
        ).fit(X[train], y[train])
        scores[way] = [model.score(rows[test], y[test]) for rows in (X, other)]
    assert scores["plain"][0] > 0.9
    lost = {way: own - there for way, (own, there) in scores.items()}
    assert lost["instrument"] < lost["plain"] / 2
