"""A Ray cluster: the one that you are connected to, or one of this machine.

Jobs are tasks and no actors: a task waits for a free core, and is run again if its worker is lost.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any

from advaug.big.engines import Engine, Job

# What Ray reads when it is imported or starts; what you have set yourself stays.
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",  # Nothing is sent to anybody.
    "RAY_worker_niceness": "0",  # Else workers give way to all other processes, and may starve.
    "RAY_raylet_start_wait_time_s": "300",  # A busy machine takes longer than the 30 s of old.
}
RETRIES = 3  # A job whose worker is lost is run so often again.
STARTS = 3  # So often it is tried to start Ray, which gives up after 30 seconds by itself.
QUEUED = 4  # tasks that are handed out for each core of the cluster
STORE_BYTES = 200 * 2**20  # for results, which are small


class OnRay(Engine):
    """Tasks of a Ray cluster.

    Parameters
    ----------
    workers : int or None
        Cores of a new cluster of this machine. None takes all cores, or those of the cluster that
        ``ray.init`` has connected you to.
    """

    def __init__(self, workers: int | None = None) -> None:
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        self.ray = import_module("ray")
        self.workers = workers
        self._is_own = False

    def map(self, function: Callable[..., Any], jobs: Sequence[Job]) -> Iterator[tuple[int, Any]]:
        self._start()
        task = self.ray.remote(num_cpus=1, max_retries=RETRIES)(called)
        most = QUEUED * int(self.ray.cluster_resources()["CPU"])
        waiting, running = iter(enumerate(jobs)), {}
        for place, job in waiting:
            running[task.remote(function, *job)] = place
            if len(running) >= most:
                yield self._next(running)
        while running:
            yield self._next(running)

    def _next(self, running: dict[Any, int]) -> tuple[int, Any]:
        """One of the results, removed from those that are waited for."""
        [done], _ = self.ray.wait(list(running), num_returns=1)
        return running.pop(done), self.ray.get(done)

    def owns(self, source: Any) -> bool:
        return hasattr(source, "to_arrow_refs")

    def parts(self, source: Any) -> list[Any]:
        self._start()
        return list(source.to_arrow_refs())

    def _start(self) -> None:
        if not self.ray.is_initialized():
            for start in range(1, STARTS + 1):
                try:
                    self._init()
                    break
                except Exception:
                    if start == STARTS:
                        raise
                    self.ray.shutdown()
        if self.ray.cluster_resources().get("CPU", 0) < 1:
            raise RuntimeError("the Ray cluster has no core: start a node with one, or wait for it")

    def _init(self) -> None:
        self._is_own = True
        self.ray.init(
            num_cpus=self.workers,
            include_dashboard=False,
            log_to_driver=False,
            object_store_memory=STORE_BYTES,
        )

    def __exit__(self, *error: object) -> None:
        if self._is_own:
            with suppress(Exception):
                self.ray.shutdown()
            self._is_own = False


def called(function: Callable[..., Any], *job: Any) -> Any:
    """A task of Ray must be a function of Python, which a job's own need not be."""
    return function(*job)
