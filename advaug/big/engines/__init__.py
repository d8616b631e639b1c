"""Where the work runs: here, in processes, on Ray or on Dask. Every engine gives the same rows.

An engine calls a function for each of many jobs, in any order and possibly more than once. So the
functions that are handed to it are pure, or write files that are the same at each call.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol, Self, runtime_checkable

Job = tuple[Any, ...]


@runtime_checkable
class Engine(Protocol):
    """Calls functions for jobs; members whose body is not "..." have a default.

    See Also
    --------
    advaug.big.scan : Read a table of any size once, batch by batch.
    advaug.big.grow_rows : Write new rows as the files of a folder.
    """

    def map(self, function: Callable[..., Any], jobs: Sequence[Job]) -> Iterator[tuple[int, Any]]:
        """The place of each job and its result, as they come; lost jobs are run again."""
        ...

    def owns(self, source: Any) -> bool:
        """Whether the source is a data frame of this engine; by default none is."""
        return False

    def parts(self, source: Any) -> list[Any]:
        """The parts of a data frame that it owns, which may stand among a job's arguments."""
        return []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Stop what was started."""


# The module and the class of each engine, and what must be installed for it.
ENGINES = {
    "local": ("local", "Local", ""),
    "processes": ("processes", "Processes", ""),
    "ray": ("on_ray", "OnRay", "ray"),
    "dask": ("on_dask", "OnDask", "distributed"),
}


# What a process takes at most, of a table of usual width; see benchmarks/results/big.md.
WORKER_BYTES = 600 * 2**20


def workers_within(memory: int, name: str, workers: int | None) -> int | None:
    """How many workers there may be within so many bytes; ValueError where there is no room."""
    most = memory // WORKER_BYTES - 1  # One process is the caller.
    if name == "local":
        most, workers = most + 1, None
    if most < (workers or 1):
        needed = ((workers or 1) + (name != "local")) * WORKER_BYTES // 2**20
        raise ValueError(
            f"memory: {memory // 2**20} MB are too few, about {needed} MB are needed: allow more"
            + (", or ask for fewer workers" if workers else "")
        )
    return None if name == "local" else workers or min(most, os.cpu_count() or 1)


def check_engine(name: str, workers: int | None) -> None:
    """ValueError or ImportError with the mend where there is no such engine."""
    if name not in ENGINES:
        raise ValueError(f"engine {name!r} is not known: choose one of {', '.join(ENGINES)}")
    if workers is not None and name == "local":
        raise ValueError("engine 'local' is one process: leave out workers, or use 'processes'")
    if workers is not None and workers < 1:
        raise ValueError(f"workers must be 1 or more, got {workers}")
    needs = ENGINES[name][2]
    if needs and find_spec(needs) is None:
        raise ImportError(f"engine {name!r} needs {needs}: pip install advaug[{name}]")


def choose_engine(engine: "str | Engine", workers: int | None = None) -> Engine:
    """An engine by its name and number of workers, or the user's own."""
    if not isinstance(engine, str):
        if workers is not None:
            raise ValueError("workers is for engines by name: an engine object has its own")
        return engine
    check_engine(engine, workers)
    module, name, _ = ENGINES[engine]
    start = getattr(import_module(f"advaug.big.engines.{module}"), name)
    chosen: Engine = start() if engine == "local" else start(workers)
    return chosen
