"""New rows as torch datasets: a fixed number of them, or fresh ones in each epoch.

Row i of a class is the same wherever it is made, so the workers of a `DataLoader` share the work
without a common state: no row comes twice, and none depends on the number of workers.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, get_worker_info

from advaug import containers
from advaug.sampling.row_generator import RowGenerator

__all__ = ["BalancedBatches", "GeneratedRows"]


CHUNK_SIZE = 1024  # Rows that are made at once: to ask the voters about fewer costs as much.
MAX_WORKERS = 256


def as_tensor(rows: Any) -> Tensor:
    """Rows of numbers, in any container, as a tensor of float32.

    ValueError with the mend where they hold something else.
    """
    if isinstance(rows, Tensor):
        return rows.float()
    is_frame = containers.kind_of_container(rows) == "frame"
    try:
        array = np.asarray(rows) if is_frame else containers.as_array(rows)
        return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"the rows are not numbers throughout ({error}): pass transform=, a function from rows "
            "in your container to a tensor"
        ) from error


@contextmanager
def one_thread_in_workers() -> Iterator[None]:
    """A block in which a forked worker starts no threads of OpenMP, where it could hang."""
    if get_worker_info() is None:
        yield
        return
    with threadpool_limits(1, user_api="openmp"):
        yield


class GeneratedRows(Dataset[tuple[Any, int]]):
    """New rows of all classes, as many of each: a map-style dataset of (row, place of its class).

    Rows are made when one of them is asked for, many at once, and kept.

    Parameters
    ----------
    generator : RowGenerator
        The `generator_` of a fitted `AdversarialOverSampler`.
    n_rows : int
        Rows of each class.
    start : int
        The number of the first row.
    transform : callable
        From rows in your container to a tensor, or to another thing that can be indexed.

    See Also
    --------
    advaug.torch_datasets.BalancedBatches :
        Batches with as many new rows of each class, give or take one: fresh ones in each epoch.
    advaug.RowGenerator :
        New rows of each class on demand: the `generator_` of a fitted `AdversarialOverSampler`.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from advaug import AdversarialOverSampler
    >>> from advaug.torch_datasets import GeneratedRows
    >>> X, y = make_classification(300, weights=[0.9], random_state=0)
    >>> rows = GeneratedRows(AdversarialOverSampler(random_state=0).fit(X, y).generator_, 50)
    >>> row, label = rows[70]
    >>> len(rows), row.shape, label
    (100, torch.Size([20]), 1)
    """

    def __init__(
        self,
        generator: RowGenerator,
        n_rows: int,
        start: int = 0,
        transform: Callable[[Any], Any] = as_tensor,
    ) -> None:
        self.generator, self.n_rows, self.start = generator, n_rows, start
        self.transform = transform
        self._kept: dict[tuple[int, int], Any] = {}

    def __len__(self) -> int:
        return self.n_rows * len(self.generator.classes)

    def __getitem__(self, at: int) -> tuple[Any, int]:
        if not -len(self) <= at < len(self):
            raise IndexError(f"row {at} is asked for, there are {len(self)}")
        label, row = divmod(int(at) % len(self), self.n_rows)
        chunk, place = divmod(row, CHUNK_SIZE)
        if (label, chunk) not in self._kept:
            first, stop = chunk * CHUNK_SIZE, min((chunk + 1) * CHUNK_SIZE, self.n_rows)
            value = self.generator.classes.tolist()[label]
            with one_thread_in_workers():
                made = self.generator.rows(value, self.start + first, self.start + stop)
            self._kept[label, chunk] = self.transform(made)
        return self._kept[label, chunk][place], label


class BalancedBatches(IterableDataset[tuple[Any, Tensor]]):
    """Batches with as many new rows of each class, give or take one: fresh ones in each epoch.

    Each item is a whole batch, (rows, places of their classes): `loader` gives a `DataLoader`. An
    epoch is one iteration. Several workers make the same batches as one, in another order.

    Parameters
    ----------
    generator : RowGenerator
        The `generator_` of a fitted `AdversarialOverSampler`.
    batch_size : int
        Rows of a batch.
    n_batches : int
        Batches of an epoch.
    start : int
        The number of the first row of each class.
    transform : callable
        From rows in your container to a tensor, or to another thing that can be indexed.

    See Also
    --------
    advaug.torch_datasets.GeneratedRows :
        New rows of all classes, as many of each: a map-style dataset of (row, place of its class).
    advaug.RowGenerator :
        New rows of each class on demand: the `generator_` of a fitted `AdversarialOverSampler`.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from advaug import AdversarialOverSampler
    >>> from advaug.torch_datasets import BalancedBatches
    >>> X, y = make_classification(300, weights=[0.9], random_state=0)
    >>> generator = AdversarialOverSampler(random_state=0).fit(X, y).generator_
    >>> batches = BalancedBatches(generator, batch_size=32, n_batches=3).loader()
    >>> [label.bincount().tolist() for rows, label in batches]
    [[16, 16], [16, 16], [16, 16]]
    """

    def __init__(
        self,
        generator: RowGenerator,
        batch_size: int,
        n_batches: int,
        start: int = 0,
        transform: Callable[[Any], Any] = as_tensor,
    ) -> None:
        self.generator, self.batch_size, self.n_batches = generator, batch_size, n_batches
        self.start, self.transform = start, transform
        # How often each worker has begun an epoch: workers that end with theirs leave it here.
        self._epochs = torch.zeros(MAX_WORKERS, dtype=torch.long).share_memory_()

    def set_epoch(self, epoch: int) -> None:
        """Let the next iteration be that of another epoch."""
        self._epochs.fill_(epoch)

    def loader(self, num_workers: int = 0, **options: Any) -> DataLoader[Any]:
        """A `DataLoader` of the batches; their memory is pinned where there is cuda."""
        options = {"pin_memory": torch.cuda.is_available(), **options}
        return DataLoader(self, batch_size=None, num_workers=num_workers, **options)

    def __len__(self) -> int:
        return self.n_batches

    def __iter__(self) -> Iterator[tuple[Any, Tensor]]:
        worker = get_worker_info()
        own, n_workers = (0, 1) if worker is None else (worker.id, worker.num_workers)
        epoch = int(self._epochs[own])
        self._epochs[own] += 1
        at_once = -(-CHUNK_SIZE // self.batch_size)
        firsts = range(own * at_once, self.n_batches, n_workers * at_once)
        for first in firsts:
            count = min(at_once, self.n_batches - first)
            yield from self._made(epoch * self.n_batches + first, count)

    def _made(self, first: int, count: int) -> Iterator[tuple[Any, Tensor]]:
        """So many batches, whose rows are dealt to the classes in turn."""
        n_classes, size = len(self.generator.classes), self.batch_size
        dealt = torch.arange(first * size, (first + count) * size)
        label, number = dealt % n_classes, dealt // n_classes
        requests, place, n_rows = [], torch.empty_like(dealt), 0
        for at, value in enumerate(self.generator.classes.tolist()):
            own = number[label == at]
            if len(own):
                start, stop = self.start + int(own[0]), self.start + int(own[-1]) + 1
                requests.append(self.generator.request(value, start, stop))
                place[label == at] = n_rows + torch.arange(len(own))
                n_rows += len(own)
        with one_thread_in_workers():
            rows = self.transform(self.generator.made(requests))
        for batch in torch.arange(len(dealt)).split(size):
            yield rows[place[batch]], label[batch]
