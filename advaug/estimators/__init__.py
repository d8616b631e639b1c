"""The scikit-learn and imbalanced-learn faces, and the generator of rows that one of them fits."""

from advaug.estimators.committee_classifier import CommitteeClassifier
from advaug.estimators.over_sampler import AdversarialOverSampler
from advaug.estimators.prior_corrected import PriorCorrectedClassifier
from advaug.estimators.strategies import grow
from advaug.estimators.transformer import AdversarialTransformer
from advaug.estimators.under_sampler import AdversarialUnderSampler
from advaug.sampling.row_generator import RowGenerator

__all__ = [
    "AdversarialOverSampler",
    "AdversarialTransformer",
    "AdversarialUnderSampler",
    "CommitteeClassifier",
    "PriorCorrectedClassifier",
    "RowGenerator",
    "grow",
]
