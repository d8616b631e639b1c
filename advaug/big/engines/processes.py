"""Processes of this machine. If one is killed, the jobs that it and its siblings had are run again.

The processes are forked from a server that has imported what they need. They end when their parent
does, however that ends.
"""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, ProcessPoolExecutor, wait
from itertools import islice
from multiprocessing.context import BaseContext
from threading import Thread
from typing import Any

from advaug.big.engines import Engine, Job

PRELOADED = "advaug.big.growing"  # what the server imports, so that no worker need do so
QUEUED = 2  # jobs that are handed out for each worker, beside the one that it works on
MOST_LOSSES = 2  # So often processes may be lost one after another while no job is done.


class Processes(Engine):
    """A pool of processes.

    Parameters
    ----------
    workers : int or None
        None takes one process for each core.
    """

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers or os.cpu_count() or 1
        self._pool: ProcessPoolExecutor | None = None

    def map(self, function: Callable[..., Any], jobs: Sequence[Job]) -> Iterator[tuple[int, Any]]:
        left, losses = dict(enumerate(jobs)), 0
        while left:
            try:
                for place, result in self._once(function, left):
                    del left[place]
                    losses = 0
                    yield place, result
            except BrokenExecutor as error:
                self._stop()
                losses += 1
                if losses > MOST_LOSSES:
                    raise RuntimeError(
                        f"worker processes ended {losses} times while no job was done. If memory "
                        "was short, ask for fewer workers; a script of yours must begin its work "
                        'below `if __name__ == "__main__":`'
                    ) from error

    def _once(
        self, function: Callable[..., Any], jobs: dict[int, Job]
    ) -> Iterator[tuple[int, Any]]:
        """Each job once; BrokenExecutor where a process is lost."""
        pool, waiting = self._started(), iter(list(jobs.items()))
        running: dict[Future[Any], int] = {}
        while True:
            free = self.workers * (1 + QUEUED) - len(running)
            for place, job in islice(waiting, free):
                running[pool.submit(function, *job)] = place
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(future), future.result()

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(self.workers, context(), initializer=begin)
        return self._pool

    def _stop(self) -> None:
        """End the processes at once: what they were writing is no whole file."""
        if self._pool is not None:
            for process in list((self._pool._processes or {}).values()):
                process.terminate()
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def __exit__(self, *error: object) -> None:
        self._stop()


def context() -> BaseContext:
    """Processes that share what a server has imported; new ones where the system has no fork."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    chosen = multiprocessing.get_context("forkserver")
    chosen.set_forkserver_preload([PRELOADED])
    return chosen


def begin() -> None:
    """What a worker does first: leave Ctrl-C to its parent, and end when the parent has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=end_with_parent, daemon=True).start()


def end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
