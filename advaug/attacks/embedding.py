"""The first layer of a net that reads tokens: what it embeds them to, caught while it is asked."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook

from advaug.objectives import Objective
from advaug.spaces import Edits


@contextmanager
def embedded(objective: Objective, x: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """The objective's value and the embedded tokens (batch, length, width) that it came from."""
    caught: list[Tensor] = []

    def catch(module: nn.Module, _: Any, output: Any) -> Any:
        is_first = isinstance(module, nn.Embedding) and not caught
        if not is_first or output.shape[:2] != x.shape:
            return output
        caught.append(output.detach().requires_grad_(True))
        return caught[0]

    hook = register_module_forward_hook(catch)
    try:
        with torch.enable_grad():
            value = objective(x)
            if not caught:
                raise ValueError(
                    "HotFlip needs a net that embeds its tokens with torch.nn.Embedding, one "
                    "vector a token: take attack='greedy', which only asks"
                )
            yield value, caught[0]
    finally:
        hook.remove()


def vectors(
    objective: Objective, space: Edits, like: Float[Tensor, "batch length"]
) -> Float[Tensor, "tokens width"]:
    """The net's own vector of every token, by rows that hold each token once."""
    length = like.shape[1]
    every = torch.arange(-(-space.size // length) * length, device=like.device)
    rows = every.clamp_max(space.size - 1).view(-1, length)
    nobody = torch.zeros(len(rows), dtype=torch.long, device=like.device)
    with embedded(objective.take(nobody), rows.to(like)) as (_, vector):
        return vector.detach().flatten(0, 1)[: space.size]
