"""Signals in a pandas frame: one row for each signal and time, or one series in each cell.

These are "pd-multiindex" and "nested_univ" of sktime. The columns are the channels.
"""

import itertools
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd

Array = np.ndarray[Any, Any]


def is_nested(frame: pd.DataFrame) -> bool:
    """Whether each cell of the first row is a series or an array."""
    if not frame.size:
        return False
    return all(isinstance(cell, pd.Series | np.ndarray) for cell in frame.iloc[0])


@dataclass(frozen=True, eq=False)
class Panel:
    """Rows of the frame are times, all of a signal together.

    Parameters
    ----------
    values : DataFrame
        A column for each channel; its index is the time.
    names : Index
        What the frame calls each signal.
    lengths : int array
        How many rows of `values` each signal has.
    is_nested : bool
        Whether the frame has a row for each signal and a series in each cell.
    """

    values: pd.DataFrame
    names: pd.Index
    lengths: Array
    is_nested: bool = False

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Self:
        """The signals of a frame; an error says what is none."""
        if not frame.columns.is_unique:
            raise ValueError(f"two columns have one name: {frame.columns.tolist()}")
        if frame.index.nlevels == 2:
            panel = cls._of_long(frame)
        elif is_nested(frame):
            panel = cls._of_nested(frame)
        else:
            raise TypeError(
                "signals in a frame have an index of two levels, signal and time, or a series in "
                "each cell; this frame has neither: pass X.to_numpy() if its rows are signals of "
                "one channel"
            )
        for name, dtype in panel.values.dtypes.items():
            if not pd.api.types.is_numeric_dtype(dtype) or dtype.kind == "c":
                raise ValueError(f"channel {name!r} is {dtype}: make it numbers, or drop it")
        return panel

    @classmethod
    def _of_long(cls, frame: pd.DataFrame) -> Self:
        names = frame.index.get_level_values(0)
        codes, _ = pd.factorize(names)
        starts = np.flatnonzero(np.diff(codes, prepend=-1))
        if len(starts) > len(np.unique(codes)) or (codes < 0).any():
            raise ValueError(
                "the rows of a signal do not stand together in X, or one has no name: pass "
                "X.sort_index()"
            )
        lengths = np.diff(starts, append=len(frame))
        return cls(frame.droplevel(0), names[starts], lengths)

    @classmethod
    def _of_nested(cls, frame: pd.DataFrame) -> Self:
        parts = []
        for place, row in enumerate(frame.itertuples(index=False)):
            cells = dict(zip(frame.columns, map(pd.Series, row), strict=True))
            if len({len(cell) for cell in cells.values()}) > 1:
                raise ValueError(f"the channels of signal {place} differ in length: cut them")
            parts.append(pd.DataFrame(cells))
        lengths = np.array([len(part) for part in parts])
        return cls(pd.concat(parts), frame.index, lengths, True)

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def frame(self) -> pd.DataFrame:
        """The user's frame; signals that stand in it twice are numbered, for names are unique."""
        values, names = self.values, self.names
        if not names.is_unique:
            names = pd.RangeIndex(len(names), name=names.name)
        if self.is_nested:
            parts = np.split(np.arange(len(values)), np.cumsum(self.lengths)[:-1])
            cells = {c: [values[c].iloc[part] for part in parts] for c in values.columns}
            return pd.DataFrame(cells, index=names)
        levels = [names.repeat(self.lengths), values.index]
        index = pd.MultiIndex.from_arrays(levels, names=[names.name, values.index.name])
        return values.set_axis(index, axis=0)

    def signals(self) -> Any:
        """An array (n, channels, time), or a list of arrays where lengths differ."""
        dtypes = set(self.values.dtypes)
        is_one = len(dtypes) == 1 and isinstance(next(iter(dtypes)), np.dtype)
        given: dict[str, Any] = {} if is_one else {"dtype": np.float64, "na_value": np.nan}
        matrix = self.values.to_numpy(**given)
        if not len(self):
            return []
        if len(set(self.lengths.tolist())) == 1:
            parts = matrix.reshape(len(self), -1, matrix.shape[1])
            return np.ascontiguousarray(parts.transpose(0, 2, 1))
        cuts = np.cumsum(self.lengths)[:-1]
        return [np.ascontiguousarray(part.T) for part in np.split(matrix, cuts)]

    def with_signals(self, signals: Any) -> Self:
        """The same frame with other values, in its dtypes."""
        matrix = np.concatenate([signal.T for signal in signals])
        values = pd.DataFrame(matrix, self.values.index, self.values.columns)
        return replace(self, values=values.astype(self.values.dtypes))

    def take(self, rows: Array) -> Self:
        """Some signals; one may be taken twice."""
        rows = np.asarray(rows, dtype=int)
        starts = np.cumsum(self.lengths) - self.lengths
        places = [np.arange(starts[row], starts[row] + self.lengths[row]) for row in rows]
        values = self.values.take(np.concatenate([*places, np.empty(0, int)]))
        return replace(self, values=values, names=self.names.take(rows), lengths=self.lengths[rows])

    def joined(self, below: list[Self], names: pd.Index) -> Self:
        """These signals and others below them, with names for all."""
        values = pd.concat([self.values, *(panel.values for panel in below if len(panel))])
        lengths = np.concatenate([self.lengths, *(panel.lengths for panel in below)])
        return replace(self, values=values, names=names, lengths=lengths)

    def named(self, names: pd.Index) -> Self:
        """The same signals with other names."""
        return replace(self, names=names)


def as_panel(X: Any) -> Any:
    """A pandas frame as the signals that it holds; all else as it is."""
    return Panel.of(X) if isinstance(X, pd.DataFrame) else X


def with_new_names(names: pd.Index, count: int) -> pd.Index:
    """Names that are no numbers, and "new 0", "new 1" and so on below them."""
    known, fresh = set(names), (f"new {place}" for place in itertools.count())
    new = itertools.islice((name for name in fresh if name not in known), count)
    return pd.Index([*names, *new], name=names.name)
