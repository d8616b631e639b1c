"""Plain dataclasses that scikit-learn can read and set: `attack__steps` in a grid search.

Only `get_params` and `set_params`, so that the floors below the estimators need no scikit-learn.
"""

from dataclasses import fields
from typing import Any, Self

from advaug.core.known_names import did_you_mean

AUTO = "auto"  # The value of a parameter that is left open.


def is_auto(value: Any) -> bool:
    """Whether a parameter is left open."""
    return isinstance(value, str) and value == AUTO


class Parameters:
    """Mixin for a dataclass: scikit-learn's two parameter methods over its fields."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Every field by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]

    def set_params(self, **params: Any) -> Self:
        """Set fields by name; an unknown name is refused."""
        known = self.get_params()
        for name, value in params.items():
            if name not in known:
                mend = did_you_mean(name, known, "it has")
                raise ValueError(f"{type(self).__name__} has no parameter {name!r}: {mend}")
            setattr(self, name, value)
        return self
