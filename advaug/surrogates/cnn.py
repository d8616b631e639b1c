"""Many small convolutional nets on embedded tokens, trained and asked in one computation.

Members lie side by side in the channels: one table of vectors, one grouped convolution a width. A
member is trained without one fold of the rows, so that each row has members that never saw it.
"""

import copy
from dataclasses import dataclass, replace
from typing import Self

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import conv1d, cross_entropy

from advaug.settings import Settings
from advaug.spaces.splicing import END
from advaug.surrogates.ensemble import AdamW, balanced_rows, one_cycle, stratified_folds
from advaug.surrogates.features import Features
from advaug.surrogates.grams import grams_of

WIDTHS = (3, 5)  # tokens that a convolution sees
NOBODY, STRANGER = 0, 1  # codes of no token, and of one that is rare or has not been seen
ASKED = 2**22  # numbers of a layer held at once


class SideBySide(nn.Module):
    """The members' weights: (batch, length) codes of tokens to (members, batch, classes)."""

    def __init__(self, tokens: int, members: int, width: int, classes: int) -> None:
        super().__init__()
        self.members = members
        self.embedding: nn.Embedding = nn.utils.skip_init(nn.Embedding, tokens, members * width)
        self.kernels = nn.ParameterList(
            torch.empty(members * width, width, size) for size in WIDTHS
        )
        self.heads = nn.Parameter(torch.empty(members, len(WIDTHS) * width, classes))

    def draw(self, generator: torch.Generator) -> Self:
        """First weights; torch's own generator stays untouched."""
        with torch.no_grad():
            self.embedding.weight.normal_(generator=generator)
            for weight in (*self.kernels, self.heads):
                fan = weight[0].numel() if weight is not self.heads else weight.shape[1]
                weight.uniform_(-(fan**-0.5), fan**-0.5, generator=generator)
        return self

    def forward(self, codes: Int[Tensor, "batch length"]) -> Float[Tensor, "members batch classes"]:
        return self.read(self.embedding(codes), codes != NOBODY)

    def of_each(
        self, codes: Int[Tensor, "members batch length"]
    ) -> Float[Tensor, "members batch classes"]:
        """Each member on rows of its own."""
        table = self.embedding.weight.unflatten(1, (self.members, -1))
        member = torch.arange(self.members, device=codes.device)[:, None, None]
        vectors = table[codes, member].movedim(0, 2).flatten(2)
        return self.read(vectors, (codes != NOBODY).movedim(0, 2))

    def read(
        self, vectors: Float[Tensor, "batch length channels"], there: Tensor
    ) -> Float[Tensor, "members batch classes"]:
        """From embedded tokens on; `there` (batch, length) or (batch, length, members)."""
        there = there if there.dim() == 3 else there[..., None].expand(-1, -1, self.members)
        there = there.repeat_interleave(vectors.shape[2] // self.members, 2)
        x = (vectors * there).transpose(1, 2)
        seen = [
            conv1d(x, kernel, padding=size // 2, groups=self.members).relu().amax(2)
            for size, kernel in zip(WIDTHS, self.kernels, strict=True)
        ]
        wide = torch.stack([part.unflatten(1, (self.members, -1)) for part in seen], 2)
        return torch.bmm(wide.flatten(2).transpose(0, 1), self.heads)


@dataclass(frozen=True)
class TextCNNs:
    """Trained members as an attacked model of encoded rows.

    Parameters
    ----------
    code : int Tensor (tokens,)
        Of each token number the place of its vector.
    """

    net: SideBySide
    code: Int[Tensor, " tokens"]
    fold_of_member: Int[Tensor, " members"]
    fold_of_row: Int[Tensor, " rows"]

    def to(self, device: torch.device | str) -> Self:
        """The same nets on another device."""
        return replace(self, net=copy.deepcopy(self.net).to(device), code=self.code.to(device))

    def member_logits(
        self, x: Float[Tensor, "batch length"]
    ) -> Float[Tensor, "members batch classes"]:
        """Each member's logits of encoded rows."""
        codes = coded(x, self.code)
        height = max(ASKED // (codes.shape[1] * self.net.embedding.embedding_dim), 1)
        logits = [self.net(part) for part in codes.split(height)]
        return logits[0] if len(logits) == 1 else torch.cat(logits, 1)

    def logits(self, x: Float[Tensor, "batch length"]) -> Float[Tensor, "batch classes"]:
        """The members' mean logits."""
        return self.member_logits(x).mean(0)

    def probability(self, x: Float[Tensor, "batch length"]) -> Float[Tensor, "batch classes"]:
        """The members' mean probability of each class."""
        with torch.no_grad():
            return self.member_logits(x).softmax(-1).mean(0)


@dataclass
class TextCNN(Settings):
    """Settings of an ensemble of small convolutional nets on tokens; `fit` trains it.

    Parameters
    ----------
    repeats, folds : int
        Nets a fold, and folds.
    width : int
        Numbers in a token's vector, and patterns of each width (3 and 5 tokens) that a net knows.
    tokens : int
        Most frequent tokens with a vector of their own; all others share one.
    longest : int
        Tokens of a row that are read while training: a random stretch of a longer row.
    steps, batch : int
        Training steps, and rows a step and member, drawn with equal shares of the classes.
    rate, decay : float
        Peak of the one-cycle learning rate and AdamW's weight decay.
    hidden : float
        Share of the tokens that are not shown in training: so nets learn what unknown ones mean.
    smoothing : float
        Label smoothing.

    References
    ----------
    Kim. Convolutional neural networks for sentence classification. EMNLP 2014.

    Examples
    --------
    >>> from advaug.surrogates import TextCNN
    >>> TextCNN(width=8).folds
    3
    """

    repeats: int = 2
    folds: int = 3
    width: int = 16
    tokens: int = 5000
    longest: int = 128
    steps: int = 100
    batch: int = 48
    rate: float = 1e-2
    decay: float = 1e-2
    hidden: float = 0.1
    smoothing: float = 0.1

    def fit(
        self,
        x: Float[Tensor, "rows length"],
        y: Int[Tensor, " rows"],
        n_classes: int,
        generator: torch.Generator,
        features: Features,
    ) -> TextCNNs:
        """Train on encoded rows; of their features only the number of tokens is asked."""
        if self.folds < 2:
            raise ValueError(f"folds must be at least 2, got folds={self.folds}")
        fold_of_row = stratified_folds(y, self.folds, generator)
        fold_of_member = torch.arange(self.folds).repeat(self.repeats)
        code = codes_of(x, len(grams_of(features, self).normal), self.tokens)
        net = SideBySide(int(code.max()) + 1, len(fold_of_member), self.width, n_classes)
        net = net.draw(generator).to(x.device)
        rows = balanced_rows(y, fold_of_row, fold_of_member, self.steps, self.batch, generator)
        descent = AdamW(tuple(net.parameters()), self.decay)
        for k in range(self.steps):
            codes = self._shown(coded(x[rows[k]].flatten(0, 1), code.to(x.device)), generator)
            with torch.enable_grad():
                logits = net.of_each(codes.unflatten(0, rows[k].shape))
                loss = cross_entropy(
                    logits.flatten(0, 1),
                    y[rows[k]].flatten().to(x.device),
                    label_smoothing=self.smoothing,
                )
                gradients = torch.autograd.grad(loss * len(fold_of_member), tuple(net.parameters()))
            descent.step(gradients, self.rate * one_cycle(k / self.steps))
        net = net.requires_grad_(False).eval()
        return TextCNNs(net, code.to(x.device), fold_of_member, fold_of_row)

    def _shown(
        self, codes: Int[Tensor, "batch length"], generator: torch.Generator
    ) -> Int[Tensor, "batch fewer"]:
        """A stretch of each row, a few of its tokens hidden."""
        count = (codes != NOBODY).sum(1)
        width = min(max(int(count.max()), 1), self.longest)
        lot = torch.rand(len(codes), 1 + width, generator=generator).to(codes.device)
        start = (lot[:, :1] * (count[:, None] - width + 1).clamp_min(1)).long()
        seen = codes.gather(1, start + torch.arange(width, device=codes.device))
        return torch.where((lot[:, 1:] < self.hidden) & (seen != NOBODY), STRANGER, seen)


def codes_of(x: Float[Tensor, "rows length"], size: int, most: int) -> Int[Tensor, " size"]:
    """The code of each token number: the most frequent tokens have their own."""
    held = plain(x.long().cpu(), size)
    held = held[held >= 0].bincount(minlength=size)
    common = held.argsort(descending=True, stable=True)[:most]
    common = common[held[common] > 0]
    code = torch.full((max(size, 1),), STRANGER)
    code[common] = torch.arange(len(common)) + STRANGER + 1
    return code


def plain(number: Int[Tensor, "*shape"], size: int) -> Int[Tensor, "*shape"]:
    """Tokens without their mark of being frozen."""
    return torch.where(number >= size, number - size, number)


def coded(
    x: Float[Tensor, "batch length"], code: Int[Tensor, " size"]
) -> Int[Tensor, "batch length"]:
    """The code of every token, NOBODY behind the row's end."""
    number = plain(x.long(), len(code))
    known = code[number.clamp(0, len(code) - 1)]
    return torch.where(number == END, NOBODY, torch.where(number < 0, STRANGER, known))
