"""The embedded tokens of a net, caught on their way through it, and their gradient."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)

from advaug.core.objectives import Objective
from advaug.domains.sequences.space import EditSpace


@contextmanager
def embedded(
    objective: Objective, x: Tensor, instead: Tensor | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """The objective's value and the embedded tokens (batch, length, width) that it came from.

    `instead`: vectors that take the place of the embedded tokens. ValueError for a net without a
    `torch.nn.Embedding`, or with one that has too few rows.
    """
    caught: list[Tensor] = []

    def check(module: nn.Module, given: Any) -> None:
        if isinstance(module, nn.Embedding) and not caught and given[0].shape[:2] == x.shape:
            largest = int(given[0].max()) if given[0].numel() else 0
            if largest >= module.num_embeddings:
                raise ValueError(too_small(module.num_embeddings, largest))

    def catch(module: nn.Module, _: Any, output: Any) -> Any:
        is_first = isinstance(module, nn.Embedding) and not caught
        if not is_first or output.shape[:2] != x.shape:
            return output
        vector = output if instead is None else instead.to(output)
        caught.append(vector.detach().requires_grad_(True) if instead is None else vector)
        return caught[0]

    hooks = (register_module_forward_pre_hook(check), register_module_forward_hook(catch))
    try:
        with torch.enable_grad():
            value = objective(x)
            if not caught:
                raise NoEmbedding(
                    "surrogate must embed its tokens with torch.nn.Embedding, one vector a token, "
                    "for 'hotflip': take attack='greedy', which only queries"
                )
            yield value, caught[0]
    finally:
        for hook in hooks:
            hook.remove()


class NoEmbedding(ValueError):
    """The attacked model has no embedding of its tokens whose gradient could be taken."""


def too_small(rows: int, largest: int) -> str:
    """The error for an embedding of too few rows."""
    return (
        f"surrogate: its torch.nn.Embedding has {rows} rows, but tokens are numbered 0 (padding) "
        f"to {largest} or more: make it torch.nn.Embedding(len(adapter_.words) + 1, ...)"
    )


def vectors(
    objective: Objective, space: EditSpace, like: Float[Tensor, "batch length"]
) -> Float[Tensor, "tokens width"]:
    """The net's own vector of every token, by rows that hold each token once."""
    length = like.shape[1]
    every = torch.arange(-(-space.size // length) * length, device=like.device)
    rows = every.clamp_max(space.size - 1).view(-1, length)
    first = torch.zeros(len(rows), dtype=torch.long, device=like.device)
    with embedded(objective.take(first), rows.to(like)) as (_, vector):
        return vector.detach().flatten(0, 1)[: space.size].to(like.device)


def vectors_or_none(
    objective: Objective, space: EditSpace, like: Float[Tensor, "batch length"]
) -> Float[Tensor, "tokens width"] | None:
    """The same; None where the model has no embedding."""
    first = torch.zeros(1, dtype=torch.long, device=like.device)
    try:
        with embedded(objective.take(first), like[:1]):
            pass
    except NoEmbedding:
        return None
    return vectors(objective, space, like)
