"""Adversarial training of nets that read tokens: what moves is the embedding, not the tokens.

No text is made; the move is measured in the row's own token vectors, so that a net cannot escape
it by longer ones.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from advaug.domains.sequences.adapter import SequenceCoding
from advaug.models.torch_model import two_sided
from advaug.robust.losses import NEAR, REGULARISERS, RobustLoss, at_the_attack


@dataclass(frozen=True)
class EmbeddedLoss:
    """A robust loss whose moved rows are r = radius * v * g / |g| beside the embedding.

    v is the length of the row's token vectors (root mean square), g the gradient of the loss (FGM)
    or of the divergence from where the row was (VAT), and |g| its length over all tokens. Radius
    .3 is about what the paper takes: 5, vectors of 256 numbers of variance 1.

    References
    ----------
    Miyato, Dai, Goodfellow. Adversarial training methods for semi-supervised text classification.
    ICLR 2017.
    """

    loss: RobustLoss

    def __call__(self, rows: Tensor) -> Tensor:
        with torch.enable_grad():
            return self._robust(rows)

    def _robust(self, rows: Tensor) -> Tensor:
        one = self.loss
        x, y, weight = one.batch(rows)
        x = one.native(x)
        before, embedded = logits_at(one.net, x)
        clean = one.clean(before, y, weight)
        if one.alpha == 1:
            return clean
        if REGULARISERS[one.kind] is at_the_attack:
            each = one.task.loss(before, y).sum()
            (slope,) = torch.autograd.grad(each, embedded, retain_graph=True)
        else:
            slope = self._beside(x, before.detach(), embedded.detach())
        after, _ = logits_at(one.net, x, self._move(slope, embedded.detach()))
        robust = weight * REGULARISERS[one.kind](one.task, before, after, y)
        return one.alpha * clean + (1 - one.alpha) * robust.mean()

    def _beside(self, x: Tensor, before: Tensor, embedded: Tensor) -> Tensor:
        """Where the divergence rises, a short random way off."""
        chance = torch.randn(embedded.shape, generator=self.loss.generator).to(embedded)
        near = (NEAR * self._move(chance, embedded)).requires_grad_(True)
        after, _ = logits_at(self.loss.net, x, near)
        (slope,) = torch.autograd.grad(self.loss.task.apart(before, after).sum(), near)
        return slope

    def _move(self, slope: Tensor, embedded: Tensor) -> Tensor:
        count = (embedded != 0).any(2).sum(1).clamp_min(1)  # padding may have no vector
        size = length(embedded) / count.sqrt() / length(slope).clamp_min(1e-12)
        return self.loss.radius * size[:, None, None] * slope


def length(x: Tensor) -> Tensor:
    """Of each row over all tokens."""
    return x.flatten(1).norm(dim=1)


def embeds(net: nn.Module) -> nn.Embedding | None:
    """The net's first table of tokens."""
    return next((part for part in net.modules() if isinstance(part, nn.Embedding)), None)


def logits_at(net: nn.Module, x: Tensor, move: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Logits of rows of tokens whose embedding is moved, and the embedding."""
    with moved(net, move) as seen:
        return two_sided(net(x)), seen[0]


@contextmanager
def moved(net: nn.Module, move: Tensor | None) -> Iterator[list[Tensor]]:
    """A block in which the first embedding of each call is moved."""
    table: Any = embeds(net)
    seen: list[Tensor] = []

    def hook(module: nn.Module, given: Any, out: Tensor) -> Tensor:
        out = out if move is None or seen else out + move
        seen.append(out)
        return out

    handle = table.register_forward_hook(hook)
    try:
        yield seen
    finally:
        handle.remove()


def in_its_space(loss: RobustLoss, coding: Any, attack: Any) -> RobustLoss | EmbeddedLoss:
    """The loss that moves embeddings where rows are sequences, the net embeds them, and nobody
    named an attack; else as it is."""
    is_free = isinstance(attack, str) and attack == "auto" and isinstance(coding, SequenceCoding)
    return EmbeddedLoss(loss) if is_free and embeds(loss.net) is not None else loss
