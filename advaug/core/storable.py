"""The mark of functions that a stored object may name; it needs no torch."""

from collections.abc import Callable
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


def storable(function: Function) -> Function:
    """Mark a function or method that a stored object may name: it does nothing but compute."""
    function.is_storable = True  # type: ignore[attr-defined]
    return function
