"""A data set of each domain: X and y, imbalanced, read by the domain's adapter as it comes."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

from advaug import datasets
from advaug.adapters import ImageAdapter, SequenceAdapter, SignalAdapter, TabularAdapter
from advaug.estimators.choices import choose_adapter

LOADERS = {
    "load_thyroid_sick": TabularAdapter,
    "load_ecg_beats": SignalAdapter,
    "load_tickets": SequenceAdapter,
    "load_digit_images": ImageAdapter,
}


@pytest.mark.parametrize(("name", "adapter"), LOADERS.items(), ids=LOADERS)
def test_a_loader_returns_rows_of_its_domain_and_two_classes(name, adapter):
    X, y = getattr(datasets, name)()
    assert len(X) == len(y)
    classes, counts = np.unique(y, return_counts=True)
    assert len(classes) == 2
    assert 30 <= counts.min() < 0.12 * len(y)
    assert type(choose_adapter("auto", X)) is adapter
    assert choose_adapter("auto", X).fit(X).encode(X[:5]).shape[0] == 5


def test_every_loader_is_tested_here():
    assert {name for name in vars(datasets) if name.startswith("load_")} == LOADERS.keys()


def test_tickets_are_the_same_each_time_and_neither_hopeless_nor_trivial():
    X, y = datasets.load_tickets()
    assert datasets.load_tickets()[0] == X
    assert len(set(X)) == len(X)
    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 3)), LogisticRegression(C=10))
    score = cross_val_score(model, X, y == "break-in", scoring="average_precision").mean()
    assert 0.3 < score < 0.98
