"""Adversarial training of nets that read tokens: the embedding is moved, not the tokens.

No text is made. The move is measured in the lengths of the row's own token vectors, so that a net
cannot escape it by longer ones.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from advaug.core.tensor_fields import TensorFields
from advaug.models.torch_model import embedding_of, two_class_logits
from advaug.models.training import Loss
from advaug.robust.losses import START_SHARE, RobustLoss


@dataclass(frozen=True, repr=False)
class EmbeddingLoss(TensorFields, Loss):
    """A robust loss whose moved rows are r = radius * v * g / |g| beside the embedding.

    v is the length of the row's token vectors (root mean square), g the gradient of the loss (FGM)
    or of the divergence from the prediction (VAT), and |g| its length over all tokens. The paper's
    radius, 5 for vectors of 256 numbers of variance 1, is about .3.

    References
    ----------
    Miyato, Dai, Goodfellow. Adversarial training methods for semi-supervised text classification.
    ICLR 2017.
    """

    loss: RobustLoss

    def __call__(self, rows: Tensor) -> Tensor:
        with torch.enable_grad():  # The loss of held-out rows needs the attack's gradient too.
            return self._robust(rows)

    def _robust(self, rows: Tensor) -> Tensor:
        loss = self.loss
        x, y, weight = loss.batch(rows)
        x = loss.native(x)
        before, embedded = embedded_logits(loss.net, x)
        if loss.clean_weight == 1:
            return loss.clean_loss(before, y, weight)
        if loss.is_at_moved_rows:
            total = loss.task.loss(before, y).sum()
            (gradient,) = torch.autograd.grad(total, embedded, retain_graph=True)
        else:
            gradient = self._difference_gradient(x, before.detach(), embedded.detach())
        after, _ = embedded_logits(loss.net, x, self._move(gradient, embedded.detach()))
        return loss.mixed_loss(before, after, y, weight)

    def _difference_gradient(self, x: Tensor, before: Tensor, embedded: Tensor) -> Tensor:
        """The gradient of the difference from the prediction, at a short random move."""
        noise = torch.randn(embedded.shape, generator=self.loss.generator).to(embedded)
        start = (START_SHARE * self._move(noise, embedded)).requires_grad_(True)
        after, _ = embedded_logits(self.loss.net, x, start)
        (gradient,) = torch.autograd.grad(self.loss.task.difference(before, after).sum(), start)
        return gradient

    def _move(self, gradient: Tensor, embedded: Tensor) -> Tensor:
        n_tokens = (embedded != 0).any(2).sum(1).clamp_min(1)  # Padding may have no vector.
        size = row_length(embedded) / n_tokens.sqrt() / row_length(gradient).clamp_min(1e-12)
        return self.loss.radius * size[:, None, None] * gradient


def row_length(x: Tensor) -> Tensor:
    """The Euclidean length of each row, over all its tokens."""
    return x.flatten(1).norm(dim=1)


def embedded_logits(net: nn.Module, x: Tensor, move: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Logits of rows of tokens whose embedding is moved, and the embedding."""
    with moved_embedding(net, move) as embedded:
        return two_class_logits(net(x)), embedded[0]


@contextmanager
def moved_embedding(net: nn.Module, move: Tensor | None) -> Iterator[list[Tensor]]:
    """A block in which the output of the net's first embedding is moved, at its first call."""
    table: Any = embedding_of(net)
    outputs: list[Tensor] = []

    def hook(module: nn.Module, given: Any, output: Tensor) -> Tensor:
        output = output if move is None or outputs else output + move
        outputs.append(output)
        return output

    handle = table.register_forward_hook(hook)
    try:
        yield outputs
    finally:
        handle.remove()


def loss_in_embedding(loss: RobustLoss, coding: Any, attack: Any) -> RobustLoss | EmbeddingLoss:
    """The loss that moves embeddings, where rows are sequences, the net embeds them, and
    attack="auto"; else the loss itself."""
    is_auto = attack == "auto" and "edits" in coding.provides
    return EmbeddingLoss(loss) if is_auto and embedding_of(loss.net) is not None else loss
