"""The gate of `AugmentedClassifier(sampler="auto")`: what it takes, and when it takes nothing."""

import os
import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.datasets import make_classification
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from advaug.estimators.committee_classifier import checked_data
from advaug.robust import AugmentedClassifier, DistilledClassifier, gate, robustness_table
from advaug.robust.soft_labels import Student, weight_parameter

TREE = DecisionTreeClassifier(min_samples_leaf=2, random_state=0)


def problem(n=200, **settings):
    settings = {"n_informative": 4, "weights": [0.8], "random_state": 0} | settings
    return make_classification(n, **settings)


def noise(n=200):
    X, y = problem(n)
    return X, np.random.default_rng(0).permutation(y)


def augmented(estimator, **settings):
    return AugmentedClassifier(estimator, sampler="auto", random_state=0, **settings)


def lesson_of(X, y):
    return gate.Lesson.of(checked_data(augmented(TREE), X, y))


def chosen(model):
    return model.report_["option"][model.report_["chosen"]].item()


# ---------------------------------------------------------------- what is chosen


@pytest.fixture(scope="module")
def distilled():
    X, y = problem(1200)
    return augmented(TREE).fit(X[:400], y[:400])


def test_a_tree_learns_from_new_rows_with_soft_labels(distilled):
    X, y = (part[400:] for part in problem(1200))
    plain = TREE.fit(*(part[:400] for part in problem(1200)))
    assert chosen(distilled) == "distilled"
    assert distilled.n_rows_[0] > 20 * 400
    scores = [average_precision_score(y, m.predict_proba(X)[:, 1]) for m in (plain, distilled)]
    assert scores[1] > scores[0] + 0.05


def test_the_report_has_a_line_for_each_option(distilled):
    report = distilled.report_
    columns = ["option", "score", "gain", "standard_error", "chosen"]
    assert list(report) == columns
    assert report["option"].tolist() == ["nothing", "softened", "distilled", "over-sampled"]
    assert_allclose(report["gain"], report["score"] - report["score"][0])
    assert report["standard_error"][0] == 0
    assert (report["standard_error"][1:] > 0).all()


def test_probabilities_are_those_of_the_real_shares_and_predict_weighs_rare_classes_more(distilled):
    X, y = (part[400:] for part in problem(1200))
    probability = distilled.predict_proba(X)
    assert abs(probability[:, 1].mean() - y.mean()) < 0.05
    weight = np.bincount(problem(1200)[1][:400]) ** 0.5  # The root of each class's share.
    assert_array_equal(distilled.predict(X), probability[:, 1] > weight[1] / weight.sum())


def test_where_labels_are_noise_the_classifier_is_fitted_as_it_is():
    X, y = noise()
    model = augmented(GaussianNB()).fit(X, y)
    assert chosen(model) == "nothing"
    assert model.teacher_score_ < 0.6
    assert model.report_["score"].isna().all()
    assert_array_equal(model.predict_proba(X), GaussianNB().fit(X, y).predict_proba(X))


@pytest.mark.parametrize(
    ("score", "error", "best"),
    [
        ([0.5, 0.5, 0.5, 0.5], [0, 0, 0, 0], "nothing"),
        ([0.5, 0.4, 0.3, 0.4], [0, 0, 0, 0], "nothing"),
        ([0.5, 0.6, 0.7, 0.8], [0, 0.2, 0.1, 0.4], "distilled"),
        ([0.5, 0.6, 0.7, 0.8], [0, 0.05, 0.3, 0.4], "softened"),
        ([0.5, 0.6, 0.7, 0.8], [0, 0.2, 0.3, 0.4], "nothing"),
    ],
)
def test_an_option_must_gain_more_than_a_standard_error(monkeypatch, score, error, best):
    X, y = problem(80)
    monkeypatch.setattr(gate, "held_out_answers", lambda estimator, lesson, n_jobs: None)
    monkeypatch.setattr(gate, "scores", lambda *_: (np.array(score), np.array(error)))
    assert chosen(augmented(GaussianNB()).fit(X, y)) == best


def few(rows):
    """So many rows of class 1."""
    X, y = problem(60, class_sep=2)
    dropped = np.flatnonzero(y)[rows:]
    return np.delete(X, dropped, 0), np.delete(y, dropped)


def test_six_rows_of_a_class_are_enough_to_choose():
    report = augmented(GaussianNB()).fit(*few(6)).report_
    assert report["score"].notna().all()


def test_of_few_rows_nothing_is_chosen_and_the_class_is_named():
    X, y = few(5)
    with pytest.warns(UserWarning, match=r"too few rows .* in class 1, at least 6"):
        model = augmented(GaussianNB()).fit(X, y)
    assert chosen(model) == "nothing"


# ---------------------------------------------------------------- the score


def test_no_option_has_seen_the_rows_that_it_is_scored_on():
    X, y = noise(400)
    lesson = lesson_of(X, y)
    for answer in gate.held_out_answers(KNeighborsClassifier(1), lesson):
        assert roc_auc_score(y, answer.probability[:, 1]) < 0.6


def test_models_that_have_not_seen_a_fold_label_the_other_rows():
    X, y = noise(400)
    lesson = lesson_of(X, y)
    inner, is_held_out = lesson.without_fold(0), lesson.fold_of_row == 0
    assert_array_equal(inner.data.rows, X[~is_held_out])
    held_out = X[is_held_out]
    assert roc_auc_score(y[is_held_out], lesson.query(held_out)[:, 1]) > 0.9
    assert roc_auc_score(y[is_held_out], inner.query(held_out)[:, 1]) < 0.65
    assert_allclose(inner.probability, inner.query(X[~is_held_out]))


def test_rows_that_the_teacher_did_not_learn_have_a_fold_too():
    X, y = problem(60)
    whole = lesson_of(X, y)
    lesson = replace(whole, dataset=whole.dataset.take(torch.arange(0, 60, 2)))
    assert_array_equal(lesson.fold_of_row[::2], whole.fold_of_row[::2])
    assert set(lesson.fold_of_row[1::2]) == {1, 3}
    inner = lesson.without_fold(1)
    encoded = inner.data.coding.encode(inner.data.rows)
    torch.testing.assert_close(encoded[inner.dataset.rows], inner.dataset.x)
    assert len(inner.data.codes) > len(inner.dataset.rows)


@pytest.mark.parametrize(("sign", "takes_nothing"), [(1, False), (-1, True)])
def test_the_users_scorer_decides(sign, takes_nothing):
    X, y = problem(n_informative=2)
    seen = []

    def scoring(classifier, rows, labels):
        seen.append(rows)
        assert set(classifier.predict(rows)) <= {"no", "yes"}
        return sign * np.mean(classifier.predict(rows) == "yes")

    model = augmented(LogisticRegression(), scoring=scoring).fit(X, np.array(["no", "yes"])[y])
    assert (chosen(model) == "nothing") is takes_nothing
    assert_array_equal(seen[-1], X)


def test_a_standard_error_is_that_of_the_gain():
    """Answers that err on the same rows have a certain gain, whatever their scores."""
    X, y = problem()
    data = checked_data(augmented(TREE), X, y)
    random = np.random.default_rng(0)

    def answers(signal, noise):
        score = signal * y + noise
        return gate.HeldOutAnswers(data.classes, np.c_[-score, score], y)

    same, other = random.normal(size=(2, 200))
    each = [answers(1.0, same), answers(1.1, same), answers(1.1, other)]
    score, error = gate.scores(each, data, gate.scorer_of("roc_auc", data))
    assert_allclose(score, [roc_auc_score(y, one.probability[:, 1]) for one in each])
    assert error[0] == 0
    assert 0 < 4 * error[1] < error[2] < 0.1


class Located(GaussianNB):
    """Leaves a file in a folder that is named by the process in which it is fitted."""

    def __init__(self, folder):
        super().__init__()
        self.folder = folder

    def fit(self, X, y, sample_weight=None):
        (self.folder / str(os.getpid())).touch()
        return super().fit(X, y, sample_weight)


@pytest.mark.slow
def test_the_choice_is_the_same_in_any_number_of_processes(tmp_path):
    X, y = problem(200)
    fitted = []
    for n_jobs in (None, 2):
        folder = tmp_path / str(n_jobs)
        folder.mkdir()
        fitted.append(augmented(Located(folder), n_jobs=n_jobs).fit(X, y))
    one, two = fitted
    pd.testing.assert_frame_equal(one.report_, two.report_)
    assert_array_equal(one.predict_proba(X), two.predict_proba(X))
    places = [{int(file.name) for file in (tmp_path / n).iterdir()} for n in ("None", "2")]
    assert places[0] == {os.getpid()}
    assert places[1] > {os.getpid()}, "the folds are fitted in other processes"


def test_a_scorer_that_asks_about_other_rows_is_refused():
    X, y = problem()
    data = checked_data(augmented(TREE), X, y)
    answer = gate.HeldOutAnswers(data.classes, np.full((200, 2), 0.5), y)
    with pytest.raises(ValueError, match="about the rows that it is given"):
        gate.scores([answer], data, lambda classifier, rows, labels: classifier.predict(rows[:3]))


def test_by_default_the_rarer_class_is_the_one_that_is_found():
    X, y = problem()
    rare, labels = y == 1, np.array(["common", "a rare one"])[y]
    data = checked_data(augmented(TREE), X, labels)
    probability = np.random.default_rng(0).dirichlet([1, 1], 200)
    answer = gate.HeldOutAnswers(data.classes, probability, labels)
    expected = average_precision_score(rare, probability[:, 0])
    assert gate.scorer_of(None, data)(answer, X, labels) == pytest.approx(expected)


# ---------------------------------------------------------------- rows and learners


def test_several_classes():
    X, y = problem(300, n_classes=3, weights=None)
    model = augmented(TREE).fit(X, np.array(["a", "b", "c"])[y])
    assert chosen(model) == "distilled"
    assert model.predict_proba(X).shape == (300, 3)
    assert_allclose(model.predict_proba(X).sum(1), 1)
    assert set(model.predict(X)) == {"a", "b", "c"}


def test_a_frame_with_categories_and_a_pipeline():
    X, y = problem(160, n_features=5, n_redundant=0)
    frame = pd.DataFrame(X, columns=list("abcde")).assign(kind=np.where(X[:, 0] > 0, "u", "v"))
    encoder = make_column_transformer((OneHotEncoder(), ["kind"]), remainder="passthrough")
    model = augmented(make_pipeline(encoder, TREE)).fit(frame, y)
    assert chosen(model) in ("softened", "distilled")
    assert list(model.feature_names_in_) == [*"abcde", "kind"]
    assert model.predict_proba(frame).shape == (160, 2)


def test_a_learner_that_takes_no_weights_and_stands_in_a_pipeline():
    X, y = problem(100)
    neighbors = augmented(KNeighborsClassifier(), scoring=lambda m, X, y: m.predict(X).mean())
    model = make_pipeline(StandardScaler(), neighbors).fit(X, y)[-1]
    X = (X - X.mean(0)) / X.std(0)
    assert chosen(model) != "nothing"
    assert isinstance(model.estimator_.estimator, KNeighborsClassifier)
    assert_allclose(model.predict_proba(X).sum(1), 1)


def test_over_sampled_probabilities_are_corrected_and_predict_is_the_estimators_own(monkeypatch):
    X, y = problem()
    monkeypatch.setattr(gate, "held_out_answers", lambda estimator, lesson, n_jobs: None)
    monkeypatch.setattr(gate, "scores", lambda *_: (np.arange(4.0), np.zeros(4)))
    model = augmented(LogisticRegression()).fit(X, y)
    assert chosen(model) == "over-sampled"
    assert model.n_rows_ == [2 * np.bincount(y).max()]
    own, real = model.estimator_.estimator, model.predict_proba(X)[:, 1]
    assert own.predict_proba(X)[:, 1].mean() > real.mean() + 0.1
    assert abs(real.mean() - y.mean()) < 0.05
    assert_array_equal(model.predict(X), own.predict(X))


@pytest.mark.slow
def test_texts_whose_row_models_have_folds_of_their_own():
    words = np.array(["win", "prize", "now", "call", "noon", "lunch"])
    random, y = np.random.default_rng(0), np.repeat([0, 1], [40, 20])
    texts = [" ".join(random.choice(words[3 * (1 - k) : 3 * (1 - k) + 4], 4)) for k in y]
    model = augmented(make_pipeline(CountVectorizer(), TREE)).fit(texts, y)
    assert model.report_["score"].notna().all()
    assert len(model.predict(texts)) == 60


def test_a_stored_classifier_holds_no_teacher(distilled):
    X, _ = problem(1200)
    stored = pickle.dumps(distilled)
    assert b"Committee" not in stored
    assert_array_equal(pickle.loads(stored).predict_proba(X), distilled.predict_proba(X))


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"sampler": "auto", "n_rounds": 3}, "n_rounds has no effect"),
        ({"scoring": "f1"}, "scoring has no effect"),
        ({"n_jobs": 2}, "n_jobs has no effect"),
        ({"sampler": "auto", "estimator": SVC()}, "SVC has not: wrap it"),
        ({"sampler": "best"}, "'sampler' parameter"),
        ({"sampler": "auto", "scoring": "best"}, "'scoring' parameter"),
    ],
)
def test_what_has_no_effect_is_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        AugmentedClassifier(**{"estimator": LogisticRegression()} | settings).fit(*problem(40))


@pytest.mark.parametrize(
    "model",
    [
        AugmentedClassifier(make_pipeline(StandardScaler(), LinearSVC()), sampler="auto"),
        DistilledClassifier(make_pipeline(StandardScaler(), LinearSVC())),
        DistilledClassifier(LogisticRegression(), teacher=LinearSVC()),
    ],
)
def test_the_last_step_of_a_pipeline_is_what_calibration_should_wrap(model):
    with pytest.raises(ValueError, match="predict_proba") as raised:
        model.fit(*problem(40))
    assert "wrap the last step" in str(raised.value)
    inside = make_pipeline(StandardScaler(), CalibratedClassifierCV(LinearSVC()))
    assert weight_parameter(inside) == "calibratedclassifiercv__sample_weight"


def test_nothing_but_weights_is_passed_on():
    X, y = problem(40)
    with pytest.raises(ValueError, match="nothing but sample_weight on: fit takes no groups"):
        augmented(LogisticRegression()).fit(X, y, groups=np.ones(40))
    assert not hasattr(augmented(LogisticRegression()), "decision_function")


def test_the_student_is_a_classifier_that_can_be_scored_and_attacked(distilled):
    student = distilled.estimator_
    assert isinstance(student, Student)
    X, y = problem(1200)
    table = robustness_table([student], X[400:600], y[400:600], attacks=["square"])
    assert table["clean"][0] > 0.6
    assert table["square"][0] < table["clean"][0]
    assert clone(student) is student.fit(X, y) is student
