"""Reports and pictures of synthetic rows, whoever made them."""

from advaug.domains.sequences.diff import SequenceDiff
from advaug.domains.signals.display import SignalDisplay
from advaug.domains.signals.verdict_display import VerdictDisplay
from advaug.report.checks import Check
from advaug.report.class_map import ClassMapDisplay
from advaug.report.margins import MarginDisplay
from advaug.report.report import ValidityReport, validity_report

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
