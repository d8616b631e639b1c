"""A dataclass in a few lines: of arrays and frames the shape, of long values the beginning."""

from dataclasses import fields
from typing import Any

from advaug.core.drawing import shortened

MOST_CHARACTERS = 80  # of the value of one field


def short(value: Any) -> str:
    """A value in a few words: of a tensor, an array or a frame its shape."""
    if hasattr(value, "shape") and hasattr(value, "__len__"):
        dtype = str(getattr(value, "dtype", ""))  # Asked so, since torch may not be imported.
        of = f" {dtype.removeprefix('torch.')}" if dtype.startswith("torch.") else ""
        return f"{type(value).__name__}{tuple(value.shape)}{of}"
    if isinstance(value, tuple | list) and len(value) > 3:
        rest = f", ... {len(value)} in all"
        shown = shortened(", ".join(map(short, value[:2])), MOST_CHARACTERS - len(rest))
        opening, closing = ("(", ")") if isinstance(value, tuple) else ("[", "]")
        return f"{opening}{shown}{rest}{closing}"
    if isinstance(value, tuple):
        return f"({', '.join(map(short, value))})"
    return shortened(" ".join(repr(value).split()), MOST_CHARACTERS)


class ShortRepr:
    """Mixin for a dataclass (``repr=False``) whose fields may be large."""

    def __repr__(self) -> str:
        shown = (one for one in fields(self) if one.repr)  # type: ignore[arg-type]
        parts = (f"{one.name}={short(getattr(self, one.name))}" for one in shown)
        return f"{type(self).__name__}({', '.join(parts)})"
