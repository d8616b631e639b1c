"""What dataclasses of tensors share: moving to a device, some of the rows, a short repr."""

from dataclasses import fields, replace
from typing import Any, Protocol, Self, TypeVar, runtime_checkable

import torch
from torch import Tensor

from advaug.core.short_repr import ShortRepr

T = TypeVar("T")


@runtime_checkable
class Movable(Protocol):
    """What can be brought to a device."""

    def to(self, device: torch.device | str, /) -> Any: ...


def moved(value: Any, device: torch.device | str) -> Any:
    """A tensor, or whatever holds some, on the device."""
    if isinstance(value, tuple):
        return tuple(moved(part, device) for part in value)
    if isinstance(value, dict):
        return {name: moved(part, device) for name, part in value.items()}
    return value.to(device) if isinstance(value, Movable) else value


def some_rows(value: Any, rows: Tensor) -> Any:
    """The rows of a tensor, or of every tensor in a dict; anything else as it is."""
    if isinstance(value, dict):
        return {name: some_rows(part, rows) for name, part in value.items()}
    return picked(value, rows) if isinstance(value, Tensor) else value


def picked(values: Tensor, rows: Tensor) -> Tensor:
    """`values[rows]`, where places of rows, none below 0, take a third to a fifth of its time."""
    if rows.dtype != torch.long or rows.device != values.device or not values.dim():
        return values[rows]
    return values.index_select(0, rows.flatten()).view(rows.shape + values.shape[1:])


def moved_fields(thing: T, device: torch.device | str) -> T:
    """A dataclass with every tensor in its fields on the device."""
    values = {one.name: moved(getattr(thing, one.name), device) for one in fields(thing)}  # type: ignore[arg-type]
    return replace(thing, **values)  # type: ignore[type-var]


class StoredFields:
    """Mixin for a dataclass whose pickle holds its fields, and nothing that is computed of them."""

    def __getstate__(self) -> dict[str, Any]:
        return {one.name: getattr(self, one.name) for one in fields(self)}  # type: ignore[arg-type]


class MovableFields:
    """Mixin for a dataclass whose fields are tensors or hold some."""

    def to(self, device: torch.device | str) -> Self:
        """The same on another device."""
        return moved_fields(self, device)


class TensorFields(ShortRepr, MovableFields):
    """Mixin for a dataclass (``repr=False``) of tensors: moved, indexed and shown as one."""

    def take(self, rows: Tensor) -> Self:
        """Some of the rows: every tensor is indexed, other fields stay."""
        values = {one.name: some_rows(getattr(self, one.name), rows) for one in fields(self)}  # type: ignore[arg-type]
        return replace(self, **values)  # type: ignore[type-var]
