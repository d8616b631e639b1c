"""scikit-learn's and imbalanced-learn's own checks, on both estimators, without exceptions."""

import pytest
from imblearn.over_sampling.base import BaseOverSampler
from imblearn.utils import estimator_checks as imblearn_checks
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import parametrize_with_checks

from advaug import AdversarialOverSampler, AdversarialTransformer, PriorCorrectedClassifier

# Several checks pass classes of one to five rows on purpose: the warning names them.
pytestmark = pytest.mark.filterwarnings("ignore:too few rows to learn from:UserWarning")

SAMPLER = AdversarialOverSampler(random_state=0)
TRANSFORMERS = [
    AdversarialTransformer(random_state=0),
    AdversarialTransformer(when="fit", random_state=0),
]
CLASSIFIERS = [
    PriorCorrectedClassifier(LogisticRegression()),
    PriorCorrectedClassifier(LogisticRegression(), method="prior"),
]


@parametrize_with_checks([SAMPLER, *TRANSFORMERS, *CLASSIFIERS])
def test_every_check_of_scikit_learn_passes(estimator, check):
    check(estimator)


@imblearn_checks.parametrize_with_checks([SAMPLER])
def test_every_check_of_imbalanced_learn_passes(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    "check",
    [
        imblearn_checks.check_param_validation,
        imblearn_checks.check_dataframe_column_names_consistency,
    ],
)
def test_the_checks_that_imbalanced_learn_runs_apart_pass(check):
    check("AdversarialOverSampler", clone(SAMPLER))


def test_the_sampler_is_an_over_sampler_of_imbalanced_learn():
    assert isinstance(SAMPLER, BaseOverSampler)
    assert SAMPLER._sampling_type == "over-sampling"
    assert type(SAMPLER).__name__ == "AdversarialOverSampler"
