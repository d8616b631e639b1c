"""Work on several classes side by side, so that a model is asked once about the rows of them all.

A call of hundreds of small trees costs more than the few rows that a class has left for them.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import torch
from torch import Tensor

from advaug.models.protocol import Voter

T = TypeVar("T")


@dataclass(frozen=True)
class Question:
    """Rows on which a voter is to vote."""

    voter: Voter
    rows: Tensor


# Yields questions, gets the votes on each, and returns its result.
Task: TypeAlias = Generator[Question, Tensor, T]


def finish(task: Task[T]) -> T:
    """The result of one task."""
    return finish_all([task])[0]


def finish_all(tasks: Sequence[Task[T]]) -> list[T]:
    """The results of tasks; a voter answers the open questions of all of them in one call."""
    results: dict[int, T] = {}
    votes: dict[int, Tensor | None] = dict.fromkeys(range(len(tasks)))
    while votes:
        questions: dict[int, Question] = {}
        for place, answer in votes.items():
            try:
                questions[place] = tasks[place].send(answer)  # type: ignore[arg-type]
            except StopIteration as end:
                results[place] = end.value
        votes = {}
        for voter in {
            id(question.voter): question.voter for question in questions.values()
        }.values():
            rows = {at: one.rows for at, one in questions.items() if one.voter is voter}
            found = voter(torch.cat([*rows.values()]))
            votes |= zip(rows, found.split([len(some) for some in rows.values()]), strict=True)
    return [results[place] for place in range(len(tasks))]
