"""A value that is computed when it is first asked for, and stored as the value."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Deferred(Generic[T]):
    """What a function of no arguments returns, computed once.

    A pickle holds the value, not the function.

    Examples
    --------
    >>> calls = []
    >>> one = Deferred(lambda: calls.append("asked") or 7)
    >>> len(calls), one.value, one.value, len(calls)
    (0, 7, 7, 1)
    """

    def __init__(self, compute: Callable[[], T]) -> None:
        self._compute: Callable[[], T] | None = compute

    @property
    def value(self) -> T:
        """The value; the function and all that it holds are forgotten."""
        compute = self._compute  # Another thread may forget it in between; both get equal values.
        if compute is not None:
            self._value, self._compute = compute(), None
        return self._value

    def __getstate__(self) -> dict[str, Any]:
        return {"_value": self.value, "_compute": None}
