"""Fitted objects of this library as one file that holds no code.

The file has the layout of safetensors: a header of JSON, then the numbers. Of an object it holds
the name of its class, which must be one of this library, and its fields. Nothing is run when it is
read: an object gets its fields back, and its constructor is not called.
"""

import hashlib
import json
import math
import os
import re
import struct
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import cached_property, partial
from importlib import import_module
from pathlib import Path
from types import FunctionType, MethodType
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from advaug import __version__, containers

FORMAT = 1
DIGEST = "sha256"  # The last tensor: 32 bytes that all bytes before them have as their digest.
# Modules whose classes and marked functions may be named in a file. None does anything when it is
# imported.
MODULES = re.compile(r"advaug\.(core|attacks|models|sampling|domains)(\.[a-z_]+)*")
# Dtypes of safetensors. Arrays of others are stored as bytes.
DTYPES = {
    **{"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2"},
    **{"I8": "|i1", "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1", "BOOL": "|b1"},
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}

Kind = TypeVar("Kind")


class NotStorable(TypeError):
    """A part that a file without code cannot hold."""


def name_of(thing: Any) -> str:
    """The module and the name of a class or function of this library."""
    return f"{thing.__module__}:{thing.__qualname__}"


def named(name: Any, kind: type) -> Any:
    """The class or the marked function of this library that a name stands for."""
    module, _, path = str(name).partition(":")
    if not MODULES.fullmatch(module) or not re.fullmatch(r"\w+(\.\w+)?", path):
        raise ValueError(f"{name!r} is no class or function of advaug")
    found: Any = import_module(module)
    for part in path.split("."):
        found = vars(found)[part]
    is_ours = isinstance(found, kind) and found.__module__ == module
    if not is_ours or not (isinstance(found, type) or getattr(found, "is_storable", False)):
        raise ValueError(f"{name!r} may not be stored")
    return found


# ---------------------------------------------------------------- objects to plain values


class Packer:
    """Objects as JSON and arrays. A thing that two others hold is stored once.

    Every value that JSON has not is a list that begins with a tag.
    """

    def __init__(self) -> None:
        self.objects: list[Any] = []
        self.arrays: list[np.ndarray[Any, Any]] = []
        self._places: dict[int, int] = {}
        self._alive: list[Any] = []  # An id is another object's as soon as its own is gone.

    def pack(self, value: Any) -> Any:
        """A value as JSON; `NotStorable` names a part that cannot be stored."""
        if value is None or type(value) in (bool, int, str):
            return value
        if type(value) is float:
            return value if math.isfinite(value) else ["float", repr(value)]
        if type(value) in SIMPLE:
            tag, to_plain, _ = SIMPLE[type(value)]
            return [tag, self.pack(to_plain(value))]
        if type(value) in (list, tuple, set, frozenset):
            ordered = sorted(value, key=repr) if isinstance(value, set | frozenset) else value
            return [type(value).__name__, [self.pack(one) for one in ordered]]
        if isinstance(value, dict):
            return ["dict", [[self.pack(key), self.pack(one)] for key, one in value.items()]]
        if isinstance(value, np.generic):
            return ["number", self.pack(np.asarray(value))]
        return ["same", self._place(value)]

    def _place(self, value: Any) -> int:
        """The place of an object among those that are stored."""
        if id(value) not in self._places:
            packed = self._packed(value)
            self._places[id(value)] = len(self.objects)
            self._alive.append(value)
            self.objects.append(packed)
        return self._places[id(value)]

    def _packed(self, value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return self._array(value)
        if isinstance(value, Tensor):
            if value.requires_grad or type(value) is not Tensor:
                raise NotStorable(f"a {type(value).__name__} that is trained")
            return ["tensor", self._array(value.cpu().numpy())]
        if isinstance(value, FunctionType) and getattr(value, "is_storable", False):
            return ["function", name_of(value)]
        if isinstance(value, MethodType) and getattr(value, "is_storable", False):
            return ["method", name_of(value.__func__), self.pack(value.__self__)]
        if isinstance(value, partial):
            parts = (self.pack(part) for part in (value.func, value.args, value.keywords))
            return ["partial", *parts]
        if (kind := containers.kind_of_packed(value)) is not None:
            return ["container", kind, self.pack(containers.pack(value))]
        if not self._is_ours(type(value)):
            return self._refused(value)
        if isinstance(value, tuple):
            return ["named", name_of(type(value)), self.pack(tuple(value))]
        return ["object", name_of(type(value)), self.pack(state_of(value))]

    def _is_ours(self, kind: type) -> bool:
        return bool(MODULES.fullmatch(kind.__module__)) and "<locals>" not in kind.__qualname__

    def _refused(self, value: Any) -> Any:
        name = getattr(value, "__qualname__", type(value).__qualname__)
        raise NotStorable(f"{name} of {getattr(value, '__module__', type(value).__module__)}")

    def _array(self, array: np.ndarray[Any, Any]) -> Any:
        if array.dtype == object:
            return ["objects", list(array.shape), [self.pack(one) for one in array.ravel()]]
        self.arrays.append(array)
        return ["array", len(self.arrays) - 1, array.dtype.str, list(array.shape)]


def state_of(value: Any) -> dict[str, Any]:
    """What a pickle would hold of an object, without what is computed when it is asked for."""
    state, kind = value.__getstate__() or {}, type(value)
    return {
        name: one
        for name, one in state.items()
        if not isinstance(getattr(kind, name, None), cached_property)
    }


def compiled(parts: tuple[str, int]) -> re.Pattern[str]:
    return re.compile(*parts)


# Type -> its tag, to a plain value and back.
SIMPLE: dict[type, tuple[str, Callable[[Any], Any], Callable[[Any], Any]]] = {
    slice: ("slice", lambda one: (one.start, one.stop, one.step), lambda parts: slice(*parts)),
    re.Pattern: ("pattern", lambda one: (one.pattern, one.flags), compiled),
    torch.device: ("device", lambda one: "cpu", torch.device),
    bytes: ("bytes", lambda one: one.hex(), bytes.fromhex),
}
BY_TAG = {tag: back for tag, _, back in SIMPLE.values()}
MANY: dict[str, Callable[[Any], Any]] = {one.__name__: one for one in (list, tuple, set, frozenset)}


class Unpacker:
    """What `Packer` has packed, as objects again."""

    def __init__(self, objects: list[Any], arrays: list[np.ndarray[Any, Any]]) -> None:
        self.arrays = arrays
        self.made: list[Any] = []
        for packed in objects:  # Each of them names only earlier ones.
            self.made.append(self._made(packed))

    def unpack(self, value: Any) -> Any:
        if not isinstance(value, list):
            return value
        tag, inner = value
        if tag == "same":
            return self.made[inner]
        if tag in MANY:
            return MANY[tag](self.unpack(one) for one in inner)
        if tag == "dict":
            return {self.unpack(key): self.unpack(one) for key, one in inner}
        if tag == "float":
            return float(inner)
        if tag == "number":
            return self.unpack(inner)[()]
        return BY_TAG[tag](self.unpack(inner))

    def _made(self, packed: Any) -> Any:
        match packed:
            case ["array", int(place), str(dtype), list(shape)]:
                if (kind := np.dtype(dtype)).kind not in "biufcUSmM":
                    raise ValueError(f"an array of {kind}")
                return self.arrays[place].view(kind).reshape(shape)
            case ["objects", list(shape), list(values)]:
                array = np.empty(len(values), dtype=object)
                array[:] = [self.unpack(one) for one in values]
                return array.reshape(shape)
            case ["tensor", array]:
                return torch.from_numpy(self._made(array))
            case ["function", name]:
                return named(name, FunctionType)
            case ["method", name, owner]:
                return MethodType(named(name, FunctionType), self.unpack(owner))
            case ["partial", function, args, keywords]:
                inner = self.unpack(function)
                if not isinstance(inner, FunctionType | MethodType):
                    raise ValueError("a part of no function")
                return partial(inner, *self.unpack(args), **self.unpack(keywords))
            case ["container", kind, parts]:
                return containers.unpack(kind, self.unpack(parts))
            case ["named", name, values]:
                kind = named(name, type)
                if not issubclass(kind, tuple):
                    raise ValueError(f"{name!r} is no tuple")
                return tuple.__new__(kind, self.unpack(values))
            case ["object", name, state]:
                return with_state(named(name, type), self.unpack(state))
        raise ValueError(f"{str(packed)[:60]} is not known")


def with_state(kind: type, state: dict[str, Any]) -> Any:
    """An object with its fields; ValueError where its class has other ones."""
    if is_dataclass(kind) and (other := state.keys() ^ {one.name for one in fields(kind)}):
        raise ValueError(f"{kind.__name__} has other fields: {', '.join(sorted(other))}")
    made: Any = object.__new__(kind)
    if getattr(getattr(kind, "__setstate__", None), "is_storable", False):
        made.__setstate__(state)
    else:
        vars(made).update(state)
    return made


# ---------------------------------------------------------------- the file


def save(value: Any, path: str | os.PathLike[str]) -> None:
    """Write an object to a file, whole or not at all."""
    target, data = Path(path), dumps(value)
    unfinished = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    try:
        unfinished.write_bytes(data)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


def dumps(value: Any) -> bytes:
    """An object as the bytes of a file; `NotStorable` names a part that it cannot hold."""
    packer = Packer()
    root = packer.pack(value)
    place, tensors = 0, {}
    for number, array in enumerate(packer.arrays):
        dtype = NAMES.get(array.dtype.str)
        tensors[str(number)] = {
            "dtype": dtype or "U8",
            "shape": list(array.shape) if dtype else [array.nbytes],
            "data_offsets": [place, place + array.nbytes],
        }
        place += array.nbytes
    tensors[DIGEST] = {"dtype": "U8", "shape": [32], "data_offsets": [place, place + 32]}
    about = {
        "kind": type(value).__name__,
        "format": str(FORMAT),
        "advaug": __version__,
        "root": json.dumps(root),
        "objects": json.dumps(packer.objects),
    }
    header = json.dumps({"__metadata__": about, **tensors}).encode()
    header += b" " * (-len(header) % 8)
    parts = (struct.pack("<Q", len(header)), header, *(one.tobytes() for one in packer.arrays))
    data = b"".join(parts)
    return data + hashlib.sha256(data).digest()


def load(path: str | os.PathLike[str], kind: type[Kind], finish: Callable[[Kind], Kind]) -> Kind:
    """The object in a file, finished.

    Raises
    ------
    ValueError : the file is damaged, is no such file, or holds what this version does not know
    """
    return loads(Path(path).read_bytes(), kind, finish, str(path))


def loads(data: bytes, kind: type[Kind], finish: Callable[[Kind], Kind], path: str) -> Kind:
    """The object in the bytes of a file, finished; errors name the path."""
    if hashlib.sha256(data[:-32]).digest() != data[-32:] or len(data) < 40:
        raise ValueError(
            f"{path} is damaged, or no file of {kind.__name__}.save: copy it again, or save it "
            "again"
        )
    try:
        (length,) = struct.unpack("<Q", data[:8])
        header, body = json.loads(data[8 : 8 + length]), memoryview(data)[8 + length :]
        about = header.pop("__metadata__")
        found = about["kind"], about["format"], about["advaug"]
        if found[:2] == (kind.__name__, str(FORMAT)):
            arrays = [array_of(body, header[str(at)]) for at in range(len(header) - 1)]
            unpacker = Unpacker(json.loads(about["objects"]), arrays)
            made = unpacker.unpack(json.loads(about["root"]))
            if not isinstance(made, kind):
                raise ValueError(f"a {type(made).__name__}")
            return finish(made)
    except Exception as error:
        raise ValueError(
            f"{path} holds what this version of advaug does not know ({error}): load it with the "
            "version that saved it"
        ) from error
    raise ValueError(
        f"{path} holds a {found[0]} in format {found[1]} of advaug {found[2]}, but a "
        f"{kind.__name__} in format {FORMAT} is asked for: load it with that version"
    )


def array_of(data: memoryview, about: dict[str, Any]) -> np.ndarray[Any, Any]:
    """An array of its own memory, so that it is aligned and may be written to."""
    start, stop = about["data_offsets"]
    dtype = np.dtype(DTYPES[about["dtype"]])
    return np.frombuffer(data[start:stop], dtype).reshape(about["shape"]).copy()
