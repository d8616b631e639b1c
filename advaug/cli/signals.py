"""Files of signals: the arrays of a .npz, one of them the rows, one the classes.

Arrays as long as the rows (groups, lengths, moments) are copied from the parent, others stay.
"""

import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from advaug.cli.files import PARENT, CliError
from advaug.core.known_names import did_you_mean

SUFFIX = ".npz"
LAYOUTS = "auto", "nct", "ntc"
Arrays = dict[str, Any]


def is_signals(source: Path) -> bool:
    """Whether the file holds signals, and no table."""
    return source.name.endswith(SUFFIX)


def check_options(options: Any) -> None:
    """CliError where an option speaks of a table's columns."""
    for name in ("text", "constraint", "no-constraints", "drop", "sep", "decimal", "encoding"):
        if getattr(options, {"drop": "drop_columns"}.get(name, name.replace("-", "_"))):
            raise CliError(f"--{name} is for tables: leave it out, signals have no such column")


def refuse_layout(options: Any) -> None:
    """CliError where a table is read by the layout of signals."""
    if options.layout != "auto":
        raise CliError("--layout is for signals in a .npz: leave it out, tables have columns")


def as_option(message: str) -> str:
    """An error of the library, with the option in place of the parameter."""
    return re.sub(r"adapter=SignalAdapter\(layout='(\w+)'\)", r"--layout \1", message)


def read(source: Path) -> Arrays:
    """All arrays; CliError if the file is none, or holds Python objects."""
    import numpy as np

    try:
        with source.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return dict(file)
    except (ValueError, OSError, EOFError, AttributeError, BadZipFile, zlib.error) as error:
        raise CliError(
            f"cannot read {source}: {error}. It must be arrays of numpy.savez, labels as numbers "
            "or texts: save it anew"
        ) from error


def parted(arrays: Arrays, target: str, wants_parent: bool) -> tuple[str, Any, Any]:
    """The rows' name, the rows and the labels; CliError with the mend if they are not there."""
    if target not in arrays:
        raise CliError(f"--target {target!r} is no array: {did_you_mean(target, list(arrays))}")
    if wants_parent and PARENT in arrays:
        raise CliError(f"--parent: there is an array {PARENT} already: rename it")
    y = arrays[target]
    if (
        y.ndim != 1
        or not 2 <= len(set(y.tolist())) < len(y)
        or (y.dtype.kind == "f" and any(y % 1))
    ):
        raise CliError(
            f"--target {target!r} must be (n,) labels of two classes or more, none empty"
        )
    rows = [
        name
        for name, values in arrays.items()
        if values.ndim in (2, 3) and len(values) == len(y) and values.dtype.kind in "fiu"
    ]
    if len(rows) != 1:
        found = ", ".join(rows) or "none"
        raise CliError(
            f"signals must be the one array (n, channels, time), (n, time, channels) or (n, time) "
            f"beside the {len(y)} labels, found {found}: keep one in the file"
        )
    if arrays[rows[0]].dtype.name == "uint8":
        raise CliError(f"{rows[0]!r} holds bytes, as pictures do: save signals as int16 or floats")
    return rows[0], arrays[rows[0]], y


def channels(frozen: Sequence[str]) -> list[int]:
    """The channels that --frozen names."""
    for name in frozen:
        if not name.isdecimal():
            raise CliError(f"--frozen {name!r}: a file of signals has channels: give 0, 1, ...")
    return [int(name) for name in frozen]


def write(out: Path, arrays: Arrays, made: Arrays, sampler: Any, wants_parent: bool) -> None:
    """All arrays anew; those as long as the rows are longer by what the parents hold in them."""
    import numpy as np

    from advaug.containers.files import beside as written_beside

    is_new, n = sampler.synthetic_mask_, int((~sampler.synthetic_mask_).sum())
    parents = sampler.parent_indices_[is_new]
    if wants_parent:
        made = made | {PARENT: np.where(is_new, sampler.parent_indices_, -1)}
    beside = {
        name: np.concatenate([values, values[parents]])
        for name, values in arrays.items()
        if name not in made and values.ndim and len(values) == n
    }
    with written_beside(out) as part:
        np.savez_compressed(part, **{**arrays, **beside, **made})
