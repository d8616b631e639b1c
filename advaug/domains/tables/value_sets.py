"""The values that a column of numbers may hold: its step, few levels, special values, gaps.

All of it is found in the training values. `nearest` maps any number to such a value, so that a new
cell holds a value that a real one could hold.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, Any]

EXACT = 2.0**53  # Floats cannot hold larger whole numbers, so nothing is looked for in them.
MOST_DIGITS = 8  # A column with more decimals is read as one without a step.
FEWEST_ROUNDED = 4  # Numbers of so many decimals may be rounded ones of a wider step: 0.3333.
WIDER = 1.5  # A wider step is at least so many times as wide.
MOST_PARTS = 10_000  # A step may be one of so many equal parts of 1, as a ninth is.
FEWEST_STEPS = 8  # A step is accepted if so many distinct values lie on it.
MOST_UNITS = 1e5  # A step that is no decimal number is looked for in ranges of so many steps.
# A value may miss its step by so many parts of itself: what sums of decimals and dtypes lose.
NOISE, NOISE_FLOAT32, NOISE_FLOAT16 = 4e-12, 6.1e-8, 5e-4
TINY = 1e-9  # Scaled numbers may miss whole ones by so much more.
BY_CHANCE = 1e-6  # Values that are no multiples of a decimal step are near to some so often.
PROBES = 64  # So many values refute most guesses.
MOST_NOISE = 0.02  # Scaled numbers miss their step by at most so much of it.

MOST_LEVELS = 500  # Columns with more distinct values have no levels.
FEW_LEVELS = 20  # So few distinct values are levels if they fill less than half of their steps,
HALF_FULL, SPARSE = 0.5, 0.1  # and more of them if they fill less than a tenth.
ROWS_OF_FEW, ROWS_OF_MANY = 3, 5  # Rows for each level, of few levels and of many.

MOST_ATOMS = 5
FEWEST_OTHERS = 10  # A value is special among so many other values.
ATOM_ROWS, ATOM_SHARE = 5, 0.02  # It holds so many rows, and such a share of them,
PILE_UP = 8.0  # and so many times the rows that nearly all other values hold;
PILE_UP_AT_END = 4.0  # the least and the largest value: so many times the rows of those nearby.
NEARBY = 5
SENTINEL_ROWS = 2  # Rows of a value that stands far away from all others,
SENTINELS = tuple(10.0**digits - 1 for digits in range(2, 10))  # or one of such a value: 99, -999.
FAR, FAR_SHARE = 10.0, 0.2  # Far are so many usual gaps, and such a share of the others' range.

SAME = 1e-6  # A number within so many scales of a special value is that value.
FINE = 1e-5  # Steps of fewer scales are lost in float32: there real values are remembered too.
MOST_KNOWN = 10_000  # Of columns with more values no value is remembered.


@dataclass(frozen=True)
class Rounding:
    """Numbers are rounded to at most so many `decimals` and so many significant `digits`."""

    decimals: int
    digits: int

    def of(self, values: Array) -> Array:
        """The rounded numbers; NaN stays NaN."""
        powers = 10.0 ** self._decimals_of(values).clip(0, self.decimals)
        return np.rint(values * powers) / powers

    def error(self, values: Array) -> float:
        """By how much the largest of these numbers may be off, or a little more."""
        return float(0.1 ** self._decimals_of(np.abs(values).max()))

    def _decimals_of(self, values: Array) -> Array:
        with np.errstate(divide="ignore"):
            leading = np.floor(np.log10(np.abs(values)))
        return np.minimum(self.decimals, self.digits - 1 - leading)


@dataclass(frozen=True)
class Step:
    """Numbers at equal distances: (first + k * size) / divisor for whole k.

    Decimal steps have whole `first` and `size`, and a power of ten as divisor: the quotient is then
    the float nearest to the decimal number. Other numbers may be `rounded`, as 1/3 to 0.3333.
    """

    first: float
    size: float
    divisor: float = 1.0
    rounded: Rounding | None = None

    @property
    def width(self) -> float:
        """The distance of neighbouring numbers."""
        return self.size / self.divisor

    def places(self, values: Array) -> Array:
        """The number k of the nearest step."""
        return np.rint((values * self.divisor - self.first) / self.size)

    def at(self, places: Array) -> Array:
        exact = (self.first + places * self.size) / self.divisor
        return exact if self.rounded is None else self.rounded.of(exact)

    @property
    def words(self) -> str:
        """ "a multiple of 0.05", "0.5 above a multiple of 2", "a multiple of 1/9"."""
        if not np.log10(self.divisor).is_integer():
            return f"a multiple of 1/{self.divisor:g}"
        rest = self.first % self.size / self.divisor
        if self.divisor != 1 or float(self.size).is_integer():
            multiple = f"a multiple of {self.width:g}"
            return f"{rest:g} above {multiple}" if rest else multiple
        return f"one of equal steps of {self.width:g}"


def no_values() -> Array:
    return np.empty(0)


@dataclass(frozen=True, eq=False)
class ValueSet:
    """What a column of numbers may hold.

    Parameters
    ----------
    step : Step or None
        None where every number may occur.
    levels : ndarray
        All values, in order, of a column that holds few; else empty.
    atoms : ndarray
        Special values that hold a share of the rows, such as 0 or -999, in order.
    ends : (float, float)
        The least and the largest value that is no atom, where there are atoms.
    gaps : ndarray (2, gaps)
        Lower and upper ends of the intervals in which no value lies, in order.
    known : ndarray (2, values)
        In order: numbers as they would be computed, and the real values that stand there.
    tolerance : float
        A number that is no farther from an atom or a known value is that value.
    """

    step: Step | None = None
    levels: Array = field(default_factory=no_values)
    atoms: Array = field(default_factory=no_values)
    ends: tuple[float, float] = (0.0, 0.0)
    gaps: Array = field(default_factory=lambda: np.empty((2, 0)))
    known: Array = field(default_factory=lambda: np.empty((2, 0)))
    tolerance: float = 0.0

    def nearest(self, values: Array) -> Array:
        """The nearest numbers that the column may hold; NaN stays NaN."""
        allowed = self._out_of_gaps(values)
        found = allowed if self.step is None else self.step.at(self.step.places(allowed))
        found = self._known_near(found)
        if not len(self.atoms):
            return found
        return np.where(self._is_atom(allowed), self._nearest_atom(allowed), found)

    def holds(self, values: Array, slack: float) -> Array:
        """Which numbers are such values, give or take `slack`."""
        return np.asarray(np.abs(self.nearest(values) - values) <= slack)

    def is_in_gap(self, values: Array, slack: float) -> Array:
        """Which numbers lie where no real value does."""
        return np.asarray(np.abs(self._out_of_gaps(values) - values) > slack)

    @property
    def is_free(self) -> bool:
        """Whether every number may occur."""
        return self.step is None and not self.gaps.size and not self.atoms.size

    @property
    def is_whole(self) -> bool:
        """Whether any whole number may occur, and nothing else is known."""
        has_more = self.gaps.size or self.atoms.size or self.known.size
        return self.step == Step(0.0, 1.0) and not has_more

    def _out_of_gaps(self, values: Array) -> Array:
        low, high = self.gaps
        if not len(low):
            return values
        at = np.searchsorted(low, values, side="right") - 1
        below, above = low[at.clip(0)], high[at.clip(0)]
        is_inside = (at >= 0) & (values > below) & (values < above)
        return np.where(is_inside, np.where(values - below < above - values, below, above), values)

    def _known_near(self, values: Array) -> Array:
        computed, real = self.known
        if not len(computed):
            return values
        at = nearest_places(computed, values)
        return np.where(np.abs(computed[at] - values) <= self.tolerance, real[at], values)

    def _nearest_atom(self, values: Array) -> Array:
        return self.atoms[nearest_places(self.atoms, values)] if len(self.atoms) else values

    def _is_atom(self, values: Array) -> Array:
        is_near: Array = np.zeros(values.shape, dtype=bool)
        if len(self.atoms):
            is_near = np.abs(self._nearest_atom(values) - values) <= self.tolerance
        return is_near


def nearest_places(ordered: Array, values: Array) -> Array:
    """The place of the nearest of some ordered numbers."""
    above = np.searchsorted(ordered, values).clip(1, max(len(ordered) - 1, 1))
    above = above.clip(max=len(ordered) - 1)
    below = (above - 1).clip(0)
    is_below = np.abs(values - ordered[below]) <= np.abs(ordered[above] - values)
    return np.where(is_below, below, above)


def learn_value_set(values: Array, *, is_coarse: bool = False) -> ValueSet:
    """What a column may hold, from its values without missing ones.

    is_coarse : whether the column holds float32
    """
    unique, counts = np.unique(values, return_counts=True)
    is_huge = np.abs(unique) >= EXACT
    if is_huge.sum() > MOST_ATOMS:
        return ValueSet()
    step = None if is_huge.any() else find_step(unique)
    if not is_huge.any() and are_levels(unique, len(values), step):
        known = np.stack([unique, unique])
        return ValueSet(levels=unique, gaps=np.stack([unique[:-1], unique[1:]]), known=known)
    is_atom = find_atoms(unique, counts)
    if (is_huge & ~is_atom).any():
        return ValueSet()
    rest = unique[~is_atom]
    step = find_step(rest) if is_atom.any() else step
    scale = float(rest.std()) or 1.0
    return ValueSet(
        step=step,
        atoms=unique[is_atom],
        ends=(float(rest[0]), float(rest[-1])),
        gaps=find_gaps(unique, is_atom, step),
        known=known_values(rest, step, is_coarse),
        tolerance=max(step.width / 4 if step else 0.0, SAME * scale),
    )


def known_values(unique: Array, step: Step | None, is_coarse: bool) -> Array:
    """Numbers as they are computed, and the real values there, where the two may differ."""
    if step is None or step.width < FINE * unique.std():
        return np.stack([unique, unique]) if len(unique) <= MOST_KNOWN else np.empty((2, 0))
    computed = step.at(step.places(unique))
    stored = computed.astype(np.float32).astype(np.float64) if is_coarse else computed
    differs = np.flatnonzero(stored != unique)
    differs = differs[np.unique(computed[differs], return_index=True)[1]]
    return np.stack([computed[differs], unique[differs]])


# ---------------------------------------------------------------- steps


def find_step(unique: Array) -> Step | None:
    """The largest step on which all values lie: of decimals, else of any equal distances."""
    if len(unique) < 2:
        return None
    if are_whole(unique):
        return decimal_step(unique, 0)
    few = some_of(unique)
    for noise in noises_of(unique):
        for digits in range(1, MOST_DIGITS + 1):
            if not are_decimals(few * 10.0**digits, noise)[1]:
                continue
            scaled = unique * 10.0**digits
            slack, fit = are_decimals(scaled, noise)
            if np.log((2 * slack).clip(max=1)).sum() > np.log(BY_CHANCE) or slack.max() > 0.25:
                break
            if fit:
                whole = np.rint(scaled)
                step = decimal_step(whole, digits)
                return wider_step(unique, step, Rounding(digits, most_digits(whole))) or step
    return equal_step(unique, noises_of(unique)[-1] * float(np.abs(unique).max()))


def some_of(values: Array) -> Array:
    """A few of the values, from the first to one of the last."""
    return values[:: len(values) // PROBES + 1]


def are_whole(values: Array) -> bool:
    """Whether all numbers are whole: a few of them refute most columns."""
    few = some_of(values)
    return np.array_equal(few, np.rint(few)) and np.array_equal(values, np.rint(values))


def are_decimals(scaled: Array, noise: float) -> tuple[Array, bool]:
    """By how much each number may miss a whole one, and whether none misses it by more."""
    slack = noise * np.abs(scaled) + TINY
    return slack, are_whole_within(scaled, slack)


def are_whole_within(scaled: Array, slack: Array | float) -> bool:
    """Whether no number misses a whole one by more than `slack`."""
    return bool((np.abs(scaled - np.rint(scaled)) <= slack).all())


def noises_of(unique: Array) -> list[float]:
    """By which parts of themselves numbers may miss their steps, whatever holds them now."""
    found, few = [NOISE], some_of(unique)
    with np.errstate(over="ignore"):
        for noise, dtype in ((NOISE_FLOAT32, np.float32), (NOISE_FLOAT16, np.float16)):
            if all(np.array_equal(values, values.astype(dtype)) for values in (few, unique)):
                found.append(noise)
    return found


def decimal_step(whole: Array, digits: int) -> Step:
    size = int(np.gcd.reduce((whole - whole[0]).astype(np.int64)))
    if len(whole) < FEWEST_STEPS:
        size = 1  # A few values have a common divisor by chance.
    return Step(float(whole[0]) % size, float(size), 10.0**digits)


def most_digits(whole: Array) -> int:
    """How many digits the longest of whole numbers has, without zeros at its end."""
    return max(len(f"{abs(one):.0f}".rstrip("0")) for one in some_of(whole).tolist())


def wider_step(unique: Array, step: Step, rounded: Rounding) -> Step | None:
    """The step that numbers had before they were rounded, if it is wider than their decimals."""
    if rounded.decimals < FEWEST_ROUNDED:
        return None
    wider = equal_step(unique, rounded.error(unique), rounded)
    return wider if wider is not None and wider.width > WIDER * step.width else None


def equal_step(unique: Array, noise: float, rounded: Rounding | None = None) -> Step | None:
    """A step of numbers that were scaled, such as ninths, or counts divided by their deviation.

    noise : by how much a number may miss its step
    """
    if len(unique) < FEWEST_STEPS:
        return None
    differences = np.diff(unique)
    width = float(differences.min())
    span = float(unique[-1] - unique[0])
    if noise > MOST_NOISE * width or span > MOST_UNITS * width:
        return None
    places = np.r_[0.0, np.rint(differences / width).cumsum()]
    width, first = np.polyfit(places, unique, 1).tolist()
    parts = float(np.rint(1 / width))
    near = max(noise, 2 * NOISE_FLOAT32 * float(np.abs(unique).max())) * parts + TINY
    if 1 < parts <= MOST_PARTS and are_whole_within(unique * parts, near):
        return Step(0.0, 1.0, parts, rounded)
    if not are_whole_within((unique - first) / width, MOST_NOISE):
        return None
    return Step(first, width, rounded=rounded)


# ---------------------------------------------------------------- levels and special values


def are_levels(unique: Array, n_rows: int, step: Step | None) -> bool:
    """Whether new values are none: few values for many rows, which do not fill their steps."""
    few = len(unique) <= FEW_LEVELS
    rows = ROWS_OF_FEW if few else ROWS_OF_MANY
    if not 1 < len(unique) <= min(n_rows / rows, MOST_LEVELS):
        return False
    if step is None:
        return True
    fills = len(unique) / ((unique[-1] - unique[0]) / step.width + 1)
    return bool(fills < (HALF_FULL if few else SPARSE))


def find_atoms(unique: Array, counts: Array) -> Array:
    """(values,) of bool: special values, which hold far more rows than others or stand far off."""
    is_atom: Array = np.zeros(len(unique), dtype=bool)
    if len(unique) <= FEWEST_OTHERS:
        return is_atom
    is_atom |= are_far(unique, counts) | are_far(-unique[::-1], counts[::-1])[::-1]
    least = max(ATOM_ROWS, ATOM_SHARE * counts.sum())
    is_atom[0] |= unique[0] < 0 <= unique[1] and counts[0] >= least  # As -1 among amounts.
    for at in np.argsort(-counts, kind="stable")[:MOST_ATOMS]:
        others = ~is_atom & (np.arange(len(unique)) != at)
        if counts[at] < least or others.sum() < FEWEST_OTHERS:
            break
        is_atom[at] |= is_pile(counts, int(at), np.flatnonzero(others))
    return is_atom


def is_pile(counts: Array, at: int, others: Array) -> bool:
    """Whether a value holds far more rows than the others."""
    if counts[at] >= PILE_UP * np.quantile(counts[others], 0.9):
        return True
    if others[0] < at < others[-1]:
        return False
    nearby = others[:NEARBY] if at < others[0] else others[-NEARBY:]
    return bool(counts[at] >= PILE_UP_AT_END * counts[nearby].mean())


def are_far(unique: Array, counts: Array) -> Array:
    """Which of the least values are sentinels: repeated, and far below all other values."""
    is_far: Array = np.zeros(len(unique), dtype=bool)
    for n in range(min(MOST_ATOMS, len(unique) - FEWEST_OTHERS), 0, -1):
        rest = unique[n:]
        gap, span = rest[0] - unique[n - 1], rest[-1] - rest[0]
        repeats = (counts[:n] >= SENTINEL_ROWS) | np.isin(np.abs(unique[:n]), SENTINELS)
        if not repeats.all() or gap < FAR_SHARE * span:
            continue
        if gap >= FAR * np.quantile(np.diff(rest), 0.9):
            is_far[:n] = True
            break
    return is_far


def find_gaps(unique: Array, is_atom: Array, step: Step | None) -> Array:
    """The open intervals beside atoms that hold no value, of more than a step.

    An atom among other values has a gap beside it only where that is far wider than usual.
    """
    if not is_atom.any():
        return np.empty((2, 0))
    rest = np.flatnonzero(~is_atom)
    low, high, width = unique[:-1], unique[1:], np.diff(unique)
    beside = is_atom[:-1] | is_atom[1:]
    place = np.arange(len(low))
    is_outside = (place < rest[0]) | (place >= rest[-1])
    usual = np.quantile(np.diff(unique[rest]), 0.9)
    is_gap = beside & (is_outside | (width >= FAR * usual))
    if step is not None:
        is_gap &= width > 1.01 * step.width  # An atom may lie off the steps.
    return np.stack([low[is_gap], high[is_gap]])


def words_of(
    name: Any, values: ValueSet, shown: Callable[[float], str] = "{:g}".format, unit: str = ""
) -> Iterator[tuple[str, str]]:
    """(kind, sentence) for what new cells of a column keep; whole numbers are not worth one.

    shown : how a value is written
    unit : of what a step is a multiple
    """
    step = values.step
    if len(values.levels):
        few = ", ".join(map(shown, values.levels[:6].tolist()))
        more = ", ..." if len(values.levels) > 6 else ""
        yield "levels", f"{name} is one of {len(values.levels)} values: {few}{more}"
    if step is not None and step.width != 1:
        yield "step", f"{name} is {step.words}{unit}"
    for atom in values.atoms.tolist():
        beside = values.gaps[:, (values.gaps == atom).any(0)].T.tolist()
        apart = [f", with no value between {shown(low)} and {shown(high)}" for low, high in beside]
        yield "special value", f"{name} has the special value {shown(atom)}{''.join(apart)}"
