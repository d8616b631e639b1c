"""advaug: adversarial examples as new, valid training rows."""

from advaug.estimators import AdversarialOverSampler, AdversarialTransformer

__version__ = "0.1.0"

__all__ = ["AdversarialOverSampler", "AdversarialTransformer", "__version__"]
