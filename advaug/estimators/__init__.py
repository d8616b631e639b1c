"""The scikit-learn and imbalanced-learn faces."""

from advaug.estimators.committee_classifier import CommitteeClassifier
from advaug.estimators.over_sampler import AdversarialOverSampler
from advaug.estimators.prior_corrected import PriorCorrectedClassifier
from advaug.estimators.strategies import grow
from advaug.estimators.transformer import AdversarialTransformer
from advaug.estimators.under_sampler import AdversarialUnderSampler

__all__ = [
    "AdversarialOverSampler",
    "AdversarialTransformer",
    "AdversarialUnderSampler",
    "CommitteeClassifier",
    "PriorCorrectedClassifier",
    "grow",
]
