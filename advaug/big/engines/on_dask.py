"""A Dask cluster: the one that you are connected to, or one of this machine.

A task whose worker is lost is run again by the scheduler, and the worker is started again.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Any

from advaug.big.engines import Engine, Job

RETRIES = 3  # A job that fails is run so often again.


class OnDask(Engine):
    """Tasks of a Dask cluster.

    Parameters
    ----------
    workers : int or None
        Processes of a new cluster of this machine. None takes the cluster of your
        `distributed.Client`; without one a new cluster gets a process for each core.
    """

    def __init__(self, workers: int | None = None) -> None:
        self.dask, self.distributed = import_module("dask"), import_module("distributed")
        self.workers = workers
        self._client: Any = None
        self._cluster: Any = None

    def map(self, function: Callable[..., Any], jobs: Sequence[Job]) -> Iterator[tuple[int, Any]]:
        # Partitions of a data frame may stand among the arguments: delayed() finds them.
        tasks = [self.dask.delayed(function, pure=False)(*job) for job in jobs]
        futures = self._started().compute(tasks, retries=RETRIES)
        places = {future.key: place for place, future in enumerate(futures)}
        done = self.distributed.as_completed(futures, loop=self._started().loop)
        del futures  # A result is let go of when it has been read.
        for future in done:
            yield places[future.key], future.result()

    def owns(self, source: Any) -> bool:
        return hasattr(source, "to_delayed")

    def parts(self, source: Any) -> list[Any]:
        return list(source.to_delayed())

    def _started(self) -> Any:
        if self._client is None and self.workers is None:
            try:
                self._client = self.distributed.default_client()
            except ValueError:  # There is none.
                self.workers = os.cpu_count() or 1
        if self._client is None:
            self._cluster = self.distributed.LocalCluster(
                n_workers=self.workers, threads_per_worker=1, dashboard_address=":0"
            )
            self._client = self.distributed.Client(self._cluster, set_as_default=False)
        return self._client

    def __exit__(self, *error: object) -> None:
        if self._cluster is not None and self._client is not None:
            self._client.close()
            self._cluster.close()
            self._client = self._cluster = None
