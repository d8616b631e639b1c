"""All work in this process, one job after another."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from advaug.big.engines import Engine, Job


class Local(Engine):
    """One process."""

    def map(self, function: Callable[..., Any], jobs: Sequence[Job]) -> Iterator[tuple[int, Any]]:
        for place, job in enumerate(jobs):
            yield place, function(*job)
