"""Defences: nets trained on their own adversarial rows, detectors, and what each of them buys."""

from advaug.defences.classifier import AdversarialClassifier
from advaug.defences.robustness import RobustnessDisplay, robustness_table

__all__ = ["AdversarialClassifier", "RobustnessDisplay", "robustness_table"]
