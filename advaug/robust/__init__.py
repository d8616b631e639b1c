"""Defences: models trained on their own adversarial rows, detectors, and measures of robustness."""

from advaug.robust.augmented import AugmentedClassifier
from advaug.robust.certificates import Certificates, certify
from advaug.robust.classifier import AdversarialClassifier
from advaug.robust.detector import AdversarialDetector
from advaug.robust.distilled import DistilledClassifier
from advaug.robust.regressor import AdversarialRegressor
from advaug.robust.rejecting import RejectingClassifier
from advaug.robust.robustness import (
    RobustnessDisplay,
    robust_accuracy_scorer,
    robustness_table,
)
from advaug.robust.unknown_classes import UnknownDetector

__all__ = [
    "AdversarialClassifier",
    "AdversarialDetector",
    "AdversarialRegressor",
    "AugmentedClassifier",
    "Certificates",
    "DistilledClassifier",
    "RejectingClassifier",
    "RobustnessDisplay",
    "UnknownDetector",
    "certify",
    "robust_accuracy_scorer",
    "robustness_table",
]
