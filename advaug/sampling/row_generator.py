"""Everything that new rows are made of: fitted once, then rows of every class on demand.

It holds copies of the parents, at most 10 000 of each class, and needs no other row. Row i of a
class is a function of (fit, seed, class, i) alone, so any slice, batch, order or process gives the
same rows.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from html import escape
from itertools import islice
from typing import Any, Self

import numpy as np
import torch

from advaug import containers
from advaug.core.deferred import Deferred
from advaug.core.devices import resolve
from advaug.core.drawing import shortened, visible
from advaug.core.storage import NotStorable, load, save
from advaug.models.protocol import AttackedModel
from advaug.sampling.changes import Changes
from advaug.sampling.class_generator import ClassRows
from advaug.sampling.provenance import (
    STATUSES,
    Array,
    ClassRequest,
    RowWriter,
    joined,
    synthetic_rows,
)

MOST_CLASSES = 20  # A notebook shows so many classes,
MOST_CHARACTERS = 300  # and a repr so much of them.


@dataclass(frozen=True)
class ClassEntry:
    """How the rows of a class are made.

    Parameters
    ----------
    name : str
        The recipe's name in the provenance.
    maker : Deferred ClassRows
        Its judge is fitted when the first row is made.
    """

    name: str
    maker: Deferred[ClassRows]


@dataclass(frozen=True, eq=False, repr=False)
class RowGenerator:
    """New rows of each class on demand: the `generator_` of a fitted `AdversarialOverSampler`.

    `fit` of the sampler makes it, or `load` reads it from a file. You never construct it yourself.
    It never changes. Row i of a class depends on the fit, the class and i alone: ``rows(label, 0,
    100)`` and ``rows(label, 100, 200)`` are the two halves of ``rows(label, 0, 200)``, in any order
    and in any process.

    Attributes
    ----------
    classes : ndarray
        The labels, sorted.
    counts : dict of label -> int
        How many rows of each class `fit_resample` makes; `generate` makes rows of these classes.
    batch_size : int
        Rows at once on the device. No row depends on it.

    See Also
    --------
    advaug.AdversarialOverSampler : Over-sample with synthetic rows that held-out models agree on.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import make_classification
    >>> from advaug import AdversarialOverSampler
    >>> X, y = make_classification(300, weights=[0.9], random_state=0)
    >>> generator = AdversarialOverSampler(random_state=0).fit(X, y).generator_
    >>> whole = generator.rows(1, 0, 50)
    >>> whole.shape
    (50, 20)
    >>> bool((generator.rows(1, 20, 50) == whole[20:]).all())
    True
    >>> X_more, y_more = generator.generate(10, labels=[0, 1])
    >>> y_more.tolist()
    [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]
    """

    writer: RowWriter  # the parents with their coding, and the rules that new rows keep
    entries: Sequence[ClassEntry]  # one for each class
    classes: Array
    examples: Any  # a label of each class, in the container of y
    counts: Mapping[Any, int]
    model: AttackedModel | None = None  # the user's own, which is attacked
    batch_size: int = 4096
    tensors: tuple[Any, Any] = (None, None)  # empty ones like X and y, where these were tensors

    def __repr__(self) -> str:
        pairs = zip(self.classes.tolist(), self._parents(), strict=True)
        own = ", ".join(f"{label!r}: {count}" for label, count in pairs)
        return f"RowGenerator(parents={{{shortened(own, MOST_CHARACTERS)}}})"

    def _repr_html_(self) -> str:
        """What a notebook shows: the parents, the recipe and the first rows of each class."""
        heads = ("class", "parents", "recipe", "rows of fit_resample")
        pairs = zip(self.classes.tolist(), self._parents(), self.entries, strict=True)
        lines = [
            (label, parents, entry.name, self.counts.get(label, 0))
            for label, parents, entry in islice(pairs, MOST_CLASSES)
        ]
        cells = "".join(
            f"<tr>{''.join(f'<td>{escape(visible(str(cell)))}</td>' for cell in line)}</tr>"
            for line in lines
        )
        head = "".join(f"<th>{name}</th>" for name in heads)
        more = len(self.classes) - len(lines)
        return (
            f"<table><caption>RowGenerator{f', {more} more classes' if more else ''}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{cells}</tbody></table>"
        )

    def _parents(self) -> list[int]:
        """How many parents each class has."""
        parents: list[int] = self.writer.dataset.y.bincount(minlength=len(self.classes)).tolist()
        return parents

    # ---------------------------------------------------------------- rows

    def rows(self, label: Any, start: int, stop: int) -> Any:
        """New rows `start` to `stop` of a class, without `stop`, in your container.

        The index of a pandas frame is the rows' numbers.

        Parameters
        ----------
        label : object
            The class.
        start : int
            Number of the first row.
        stop : int
            Number after that of the last row.

        Returns
        -------
        container of rows
            The new rows.

        Raises
        ------
        ValueError
            There is no such class; or recipe "distill" has made fewer rows.
        """
        return self.rows_with_provenance(label, start, stop)[0]

    def provenance(self, label: Any, start: int, stop: int) -> Any:
        """A DataFrame with a line for each of these rows, as `provenance_` of the sampler.

        Parameters
        ----------
        label : object
            The class.
        start : int
            Number of the first row.
        stop : int
            Number after that of the last row.

        Returns
        -------
        DataFrame
            A line for each row.
        """
        return self.rows_with_provenance(label, start, stop)[1]

    def rows_with_provenance(self, label: Any, start: int, stop: int) -> tuple[Any, Any]:
        """Both from one computation.

        Parameters
        ----------
        label : object
            The class.
        start : int
            Number of the first row.
        stop : int
            Number after that of the last row.

        Returns
        -------
        tuple
            The rows and the DataFrame.
        """
        records: list[dict[str, Any]] = []
        wanted = [self.request(label, start, stop)]
        rows = self._stacked(wanted, records.append)
        rows = containers.numbered(rows, range(start, stop))
        table = with_changes(*self.table(records, wanted))
        return containers.given_back(rows, self.tensors[0]), table

    def labels(self, label: Any, count: int) -> Any:
        """The label so many times, in the container of y.

        Parameters
        ----------
        label : object
            The class.
        count : int
            How many.

        Returns
        -------
        array-like of shape (count,)
            The labels.
        """
        return self._labels(np.full(count, self.place(label)))

    def weights(self, label: Any, start: int, stop: int) -> Array:
        """The sample weights of these rows: the probability of their label, by the voters.

        Parameters
        ----------
        label : object
            The class.
        start : int
            Number of the first row.
        stop : int
            Number after that of the last row.

        Returns
        -------
        ndarray of shape (n_rows,)
            The weight of each row.
        """
        probability = self.provenance(label, start, stop)["probability"].to_numpy()
        maker = self.entries[self.place(label)].maker.value
        return maker.weights(torch.arange(start, stop), probability)

    def generate(
        self, n: int, labels: Sequence[Any] | None = None, start: int | None = None
    ) -> tuple[Any, Any]:
        """So many new rows with their labels, as many of each class, give or take one.

        Parameters
        ----------
        n : int
            How many rows in all.
        labels : list of classes, optional
            By default the classes of which `fit_resample` makes rows, or all if there are none.
        start : int, optional
            The number of the first row of each class. By default rows come after those that
            `fit_resample` makes: they are new beside its rows.

        Returns
        -------
        tuple of X and y
            In your containers, the rows of one class after those of the other.
        """
        labels = list(labels) if labels is not None else [*self.counts] or self.classes.tolist()
        shares = [len(part) for part in np.array_split(np.arange(n), len(labels))]
        firsts = [self.counts.get(label, 0) if start is None else start for label in labels]
        wanted = [
            self.request(label, first, first + count)
            for label, first, count in zip(labels, firsts, shares, strict=True)
            if count
        ]
        places = np.repeat([self.place(label) for label in labels], shares)
        return self.made(wanted), self._labels(places)

    def _labels(self, places: Array) -> Any:
        found = containers.numbered(containers.take(self.examples, places), range(len(places)))
        return containers.given_back(found, self.tensors[1])

    # ---------------------------------------------------------------- what estimators need

    def place(self, label: Any) -> int:
        """The place of a class; ValueError if there is no such class."""
        known = self.classes.tolist()
        if label not in known:
            raise ValueError(f"there is no class {label!r}: the generator knows {known}")
        return known.index(label)

    def request(self, label: Any, start: int, stop: int) -> ClassRequest:
        """Rows of a class, to be made together with others."""
        if not 0 <= start <= stop:
            raise ValueError(f"rows {start} to {stop} are asked for: take 0 <= start <= stop")
        entry = self.entries[self.place(label)]
        return ClassRequest(entry.maker.value, entry.name, start, stop)

    def made(self, requests: list[ClassRequest]) -> Any:
        """The rows of several requests, one after the other, in the container of X.

        Parameters
        ----------
        requests : list of `ClassRequest`
            Which rows of which classes: see `request`.

        Returns
        -------
        container of rows
            The rows of the first request, then those of the next.
        """
        return containers.given_back(self._stacked(requests, lambda record: None), self.tensors[0])

    def _stacked(self, requests: list[ClassRequest], tell: Callable[[dict[str, Any]], Any]) -> Any:
        """The rows of several requests as containers hold them; each record is told."""
        count = sum(request.count for request in requests)
        return containers.stacked(self.writer.parents, self.batches(requests, tell), count)

    def batches(
        self, requests: list[ClassRequest], tell: Callable[[dict[str, Any]], Any]
    ) -> Iterator[tuple[Any, Array]]:
        """Batches of new rows with their parents' numbers; each record is told."""
        with nullcontext() if self.model is None else self.model.frozen():
            for new, record in synthetic_rows(self.writer, requests, self.batch_size):
                tell(record)
                yield new, record["parent"]

    def table(
        self, records: list[dict[str, Any]], requests: list[ClassRequest]
    ) -> tuple[Any, list[Deferred[list[Changes]]]]:
        """The records of all batches as a frame, and apart from it what moved, batch by batch.

        Of long texts it costs more than the rows, so it is computed when it is asked for.
        """
        record = joined(records)
        changes = record.pop("changes", [])
        recipes = sorted({request.name for request in requests})
        named = {"recipe": recipes, "label": self.classes, "status": STATUSES}
        return containers.table(record, named), changes

    def to(self, device: str | torch.device) -> Self:
        """The same generator on another device; "auto" is cuda where there is one.

        Parameters
        ----------
        device : str or torch.device
            "auto" is cuda where there is one.

        Returns
        -------
        RowGenerator
            Another one.
        """
        entries = [replace(one, maker=moved(one.maker, resolve(device))) for one in self.entries]
        return replace(self, entries=entries)

    # ---------------------------------------------------------------- a file

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the generator to one file, which holds numbers and JSON but no code.

        The judges and voters are fitted before, where no row has been made yet.

        Parameters
        ----------
        path : path-like
            Where the file is written.

        Raises
        ------
        TypeError
            A part, such as a function of yours, cannot be stored so.
        """
        try:
            save(self, path)
        except NotStorable as error:
            raise TypeError(
                f"a file without code cannot hold {error}: use joblib.dump(generator, path), and "
                "load only files that you trust"
            ) from None

    @classmethod
    def load(cls, path: str | os.PathLike[str], device: str | torch.device = "auto") -> Self:
        """The generator that was saved, on a device of this machine.

        Nothing in the file is run.

        Parameters
        ----------
        path : path-like
            The file.
        device : str or torch.device, default="auto"
            "auto" is cuda where there is one.

        Returns
        -------
        RowGenerator
            The generator that was saved.

        Raises
        ------
        ValueError
            The file is damaged, or is of a version that this one does not know.
        """
        target = resolve(device)
        return load(path, cls, lambda generator: generator.to(target))

    def __getstate__(self) -> dict[str, Any]:
        """On the CPU, so that a pickle from a GPU loads anywhere."""
        return dict(vars(self.to("cpu")))


def with_changes(frame: Any, changes: list[Deferred[list[Changes]]]) -> Any:
    """The frame with a column of what moved in each row, where the domain lists it."""
    if not changes:
        return frame
    return frame.assign(changes=[change for batch in changes for change in batch.value])


def moved(maker: Deferred[ClassRows], device: torch.device) -> Deferred[ClassRows]:
    """The same on another device."""
    return Deferred(partial(on_device, maker, device))


def on_device(maker: Deferred[ClassRows], device: torch.device) -> ClassRows:
    return maker.value.to(device)
