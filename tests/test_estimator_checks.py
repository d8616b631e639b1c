"""scikit-learn's and imbalanced-learn's own checks, on all estimators.

With one exception: a net that is trained in random batches is not the same for a row of weight 2 as
for the row twice (scikit-learn's own nets are not either), nor are models that are fitted in random
folds, or on random rows.
"""

import pytest
from imblearn.over_sampling.base import BaseOverSampler
from imblearn.under_sampling.base import BaseUnderSampler
from imblearn.utils import estimator_checks as imblearn_checks
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import parametrize_with_checks

from advaug import (
    AdversarialOverSampler,
    AdversarialTransformer,
    AdversarialUnderSampler,
    CommitteeClassifier,
    PriorCorrectedClassifier,
)
from advaug.models.training import Training
from advaug.robust import (
    AdversarialClassifier,
    AdversarialDetector,
    AdversarialRegressor,
    AugmentedClassifier,
    DistilledClassifier,
    RejectingClassifier,
    UnknownDetector,
)

# Several checks pass classes of one to five rows on purpose: the warning names them.
pytestmark = pytest.mark.filterwarnings("ignore:too few rows to learn from:UserWarning")

SAMPLER = AdversarialOverSampler(random_state=0)
THINNER = AdversarialUnderSampler(random_state=0)
TRANSFORMERS = [
    AdversarialTransformer(random_state=0),
    AdversarialTransformer(when="fit", random_state=0),
]
CLASSIFIERS = [
    CommitteeClassifier(random_state=0),
    PriorCorrectedClassifier(LogisticRegression()),
    PriorCorrectedClassifier(LogisticRegression(), method="prior"),
]
Drawn = CommitteeClassifier | DistilledClassifier
SHORT = Training(epochs=20, learning_rate=0.01)
DETECTOR = AdversarialDetector(training=SHORT, random_state=0)
DEFENCES = [
    *(
        AdversarialClassifier(loss=loss, training=SHORT, random_state=0)
        for loss in ("adversarial", "free", "trades", "vat")
    ),
    AdversarialRegressor(training=SHORT, random_state=0),
    AugmentedClassifier(LogisticRegression(), random_state=0),
    AugmentedClassifier(LogisticRegression(), sampler="auto", random_state=0),
    DistilledClassifier("net", LogisticRegression(), training=SHORT, random_state=0),
    DistilledClassifier(LogisticRegression(), random_state=0),
    DETECTOR,
    UnknownDetector(training=SHORT, random_state=0),
    RejectingClassifier(LogisticRegression(), DETECTOR),
]


def failing_checks(estimator):
    """Name of a check that must fail -> why."""
    if isinstance(estimator, AdversarialClassifier | AdversarialRegressor | Drawn):
        kinds = ("dense", "sparse")
        name = "check_sample_weight_equivalence_on_{}_data"
        return {name.format(kind): "rows or folds are drawn at random" for kind in kinds}
    return {}


@parametrize_with_checks(
    [SAMPLER, THINNER, *TRANSFORMERS, *CLASSIFIERS, *DEFENCES],
    expected_failed_checks=failing_checks,
)
def test_every_check_of_scikit_learn_passes(estimator, check):
    check(estimator)


@imblearn_checks.parametrize_with_checks([SAMPLER, THINNER])
def test_every_check_of_imbalanced_learn_passes(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    "check",
    [
        imblearn_checks.check_param_validation,
        imblearn_checks.check_dataframe_column_names_consistency,
    ],
)
@pytest.mark.parametrize("sampler", [SAMPLER, THINNER], ids=["over", "under"])
def test_the_checks_that_imbalanced_learn_runs_apart_pass(check, sampler):
    check(type(sampler).__name__, clone(sampler))


def test_the_sampler_is_an_over_sampler_of_imbalanced_learn():
    assert isinstance(SAMPLER, BaseOverSampler)
    assert SAMPLER._sampling_type == "over-sampling"
    assert type(SAMPLER).__name__ == "AdversarialOverSampler"


def test_the_under_sampler_is_one_of_imbalanced_learn():
    assert isinstance(THINNER, BaseUnderSampler)
    assert THINNER._sampling_type == "under-sampling"
