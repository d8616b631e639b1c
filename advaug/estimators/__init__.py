"""The scikit-learn and imbalanced-learn faces."""

from advaug.estimators.sampler import AdversarialOverSampler
from advaug.estimators.transformer import AdversarialTransformer

__all__ = ["AdversarialOverSampler", "AdversarialTransformer"]
