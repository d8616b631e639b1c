"""advaug: adversarial examples as new, valid training rows.

The estimators, and torch with them, are imported when they are first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from advaug.estimators.committee_classifier import CommitteeClassifier
    from advaug.estimators.over_sampler import AdversarialOverSampler
    from advaug.estimators.prior_corrected import PriorCorrectedClassifier
    from advaug.estimators.strategies import grow
    from advaug.estimators.transformer import AdversarialTransformer
    from advaug.estimators.under_sampler import AdversarialUnderSampler
    from advaug.report.report import validity_report
    from advaug.sampling.row_generator import RowGenerator
    from advaug.versions import show_versions

#: The version of this library, a str.
__version__ = "0.1.0"

__all__ = [
    "AdversarialOverSampler",
    "AdversarialTransformer",
    "AdversarialUnderSampler",
    "CommitteeClassifier",
    "PriorCorrectedClassifier",
    "RowGenerator",
    "__version__",
    "grow",
    "show_versions",
    "validity_report",
]

PACKAGES = {"show_versions": "versions", "validity_report": "report"}  # All else: estimators.

if not TYPE_CHECKING:

    def __getattr__(name):
        if name in __all__:
            package = PACKAGES.get(name, "estimators")
            return getattr(import_module(f"advaug.{package}"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
