"""What a sampler has done, in pictures and in a report; matplotlib comes when one is drawn."""

from advaug.inspection.checks import Check
from advaug.inspection.class_map import ClassMapDisplay
from advaug.inspection.diff import SequenceDiff
from advaug.inspection.margins import MarginDisplay
from advaug.inspection.report import ValidityReport, validity_report
from advaug.inspection.signals import SignalDisplay
from advaug.inspection.verdicts import VerdictDisplay

__all__ = [
    "Check",
    "ClassMapDisplay",
    "MarginDisplay",
    "SequenceDiff",
    "SignalDisplay",
    "ValidityReport",
    "VerdictDisplay",
    "validity_report",
]
