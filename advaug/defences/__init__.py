"""Defences: nets trained on their own adversarial rows, detectors, and what each of them buys."""

from advaug.defences.augmented import AugmentedClassifier
from advaug.defences.classifier import AdversarialClassifier
from advaug.defences.detector import AdversarialDetector
from advaug.defences.distilled import DistilledClassifier
from advaug.defences.regressor import AdversarialRegressor
from advaug.defences.rejecting import RejectingClassifier
from advaug.defences.robustness import RobustnessDisplay, robustness_table
from advaug.defences.unknown import UnknownDetector

__all__ = [
    "AdversarialClassifier",
    "AdversarialDetector",
    "AdversarialRegressor",
    "AugmentedClassifier",
    "DistilledClassifier",
    "RejectingClassifier",
    "RobustnessDisplay",
    "UnknownDetector",
    "robustness_table",
]
