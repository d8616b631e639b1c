"""Signals: moves that have the frequencies of the data, so that what moves stays a signal.

A move is filtered, its spectrum is shaped like the spread of real signals around their mean, and
shortened as a whole: clipping it cell by cell would put edges into it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, Self

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool1d, grid_sample, interpolate, max_pool1d

from advaug.core import norms
from advaug.core.box import Box
from advaug.core.space import Space
from advaug.domains.signals.eigenbasis import Eigenbasis

KEPT = 0.999  # share of the spread's power that lies in the band
FADE = 9  # cells over which a mixed-in signal fades out where it ends


@dataclass(frozen=True)
class BandLimited(Space):
    """Rows are (batch, channels, time), or (batch, 2 * channels, time) with flags of missing cells.

    Parameters
    ----------
    box : Box
        Bounds, norm, freedom and grid of the cells.
    spread : Tensor (channels, frequencies)
        Standard deviation of the signals at each frequency of a cosine transform, from constant
        to a change of sign at every step; where it is 0 nothing moves.
    has_flags : bool
        Whether flags follow the channels: where one is 1 the cell is missing and stays so.
    least_snr : float, optional
        Power of a channel over the power of its move, at least, in dB.
    keeps_shape : bool
        Whether `restrict_to_common_levels` leaves the spread as it is.
    basis : Eigenbasis, optional
        Moves go along its axes, instead of having the spread at each frequency.
    """

    window_axes: ClassVar[int] = 1
    box: Box
    spread: Tensor
    has_flags: bool = False
    least_snr: float | None = None
    keeps_shape: bool = False
    basis: Eigenbasis | None = None

    @property
    def norm(self) -> float:
        return self.box.norm

    def restrict_to_common_levels(
        self, rows: Float[Tensor, "rows cells time"], least: float
    ) -> Self:
        """Moves shaped by these rows' own spread, inside the band as it is."""
        if self.keeps_shape:
            return self
        own_values = rows[:, : len(self.spread)]
        if self.basis:
            return replace(self, basis=Eigenbasis.of(own_values).to(self.spread.device))
        own = spread_of(own_values).to(self.spread)
        return replace(self, spread=own * (self._response(own.shape[1]) > 0))

    def with_norm(self, norm: float) -> Self:
        return replace(self, box=self.box.with_norm(norm))

    def displacement_space(self) -> Self:
        return replace(self, box=self.box.displacement_space(), has_flags=False, least_snr=None)

    def mask_frozen(
        self, move: Float[Tensor, "batch cells time"], x: Float[Tensor, "batch cells time"]
    ) -> Float[Tensor, "batch cells time"]:
        move = self.box.mask_frozen(move, x)
        if self.has_flags:
            flags = x[:, len(self.spread) :]
            move = move.masked_fill(torch.cat([flags, flags], 1) > 0.5, 0.0)
        return move

    def steepest(
        self,
        gradient: Float[Tensor, "batch cells time"],
        x: Float[Tensor, "batch cells time"],
        radius: Float[Tensor, " batch"],
        seed: Float[Tensor, "batch cells time"] | None = None,
    ) -> Float[Tensor, "batch cells time"]:
        """The filtered move that gains most among all filters of moves of one length.

        In norm inf the smooth steps of Han et al. (Deep learning models for
        electrocardiograms are susceptible to adversarial attack. Nature Medicine 2020), with the
        data's spectrum for their Gaussian kernels.
        """
        unit = norms.steepest(self._shaped(self.mask_frozen(gradient, x)), self.box.norm)
        return self._with_length(self.mask_frozen(self._shaped(unit), x), radius)

    def projector(
        self, seed: Float[Tensor, "batch cells time"], radius: Float[Tensor, " batch"] | None
    ) -> Callable[[Tensor], Tensor]:
        def back(x: Tensor) -> Tensor:
            move = self.mask_frozen(self._limited(x - seed), seed)
            if radius is not None:
                move = move * norms.per_row(self._share_in_ball(move, radius), move)
            return self._moved(seed, move)

        return back

    def sample(
        self,
        seed: Float[Tensor, "batch cells time"],
        radius: Float[Tensor, " batch"],
        noise: Float[Tensor, "batch cells time"],
    ) -> Float[Tensor, "batch cells time"]:
        """A random shape, its length spread evenly up to the radius."""
        move = self.mask_frozen(self._shaped(norms.standard_normal(noise)), seed)
        share = noise.flatten(1)[:, 0] * 4096 % 1  # the digits that say nothing of the shape
        return self._moved(seed, self._with_length(move, radius * share))

    def snap(
        self,
        x: Float[Tensor, "batch cells time"],
        seed: Float[Tensor, "batch cells time"],
        radius: Float[Tensor, " batch"],
        noise: Float[Tensor, "batch cells time"],
    ) -> Float[Tensor, "batch cells time"]:
        return self.box.snap(x, seed, radius, noise)

    def distance(
        self, x: Float[Tensor, "batch cells time"], seed: Float[Tensor, "batch cells time"]
    ) -> Float[Tensor, " batch"]:
        return self.box.distance(x, seed)

    def apply_move(
        self, x: Float[Tensor, "batch cells time"], move: Float[Tensor, "batch cells time"]
    ) -> Float[Tensor, "batch cells time"]:
        return self._moved(x, self.mask_frozen(self._limited(move), x))

    def scatter(
        self,
        x: Float[Tensor, "batch cells time"],
        size: Float[Tensor, " batch"],
        scale: Float[Tensor, "cells time"],
        noise: Float[Tensor, "batch cells time"],
    ) -> Float[Tensor, "batch cells time"]:
        """A random signal with the rows' own spread, `size` standard deviations long, laid over
        the row.

        As many independent coordinates are counted as the spectrum is wide, (sum v)^2 / sum v^2
        of its variances v: a signal of many cells has few.
        """
        spread = self.basis.sizes if self.basis else self._response(x.shape[2] + 1)
        variance = spread.square()
        width = variance.sum().square() / variance.square().sum().clamp_min(1e-12)
        move = self.mask_frozen(self._shaped(norms.standard_normal(noise)), x)
        move = move * norms.per_row(size / width.clamp_min(1).sqrt(), move)
        return self._moved(x, move)

    def mix(
        self,
        seed: Float[Tensor, "batch cells time"],
        other: Float[Tensor, "batch cells time"],
        share: Float[Tensor, " batch"],
    ) -> Float[Tensor, "batch cells time"]:
        """Cell by cell at one time; where the other has ended or lacks a cell the seed goes on."""
        way = self.mask_frozen(self.mask_frozen(other - seed, seed), other)
        if self.has_flags:
            flags, others = (rows[:, len(self.spread) :] for rows in (seed, other))
            lacks = max_pool1d(others * (1 - flags), FADE, 1, FADE // 2)
            fades = 1 - avg_pool1d(lacks, FADE, 1, FADE // 2)
            way = way * torch.cat([fades, fades], 1)
        return seed + norms.per_row(share, seed) * way

    def _response(self, frequencies: int) -> Float[Tensor, "channels frequencies"]:
        """The spread, for signals of any length."""
        if self.spread.shape[1] == frequencies:
            return self.spread
        found: Tensor = interpolate(self.spread[None], frequencies, mode="linear")[0]
        return found

    def _shaped(self, move: Float[Tensor, "batch cells time"]) -> Tensor:
        """The move with the signals' own spread."""
        if self.basis:
            return self._of_values(self.basis.shaped, move)
        return self._of_values(partial(filtered, self._response(move.shape[2] + 1)), move)

    def _limited(self, move: Float[Tensor, "batch cells time"]) -> Tensor:
        """Without what lies outside the band, or off the axes."""
        if self.basis:
            return self._of_values(self.basis.limited, move)
        inside = (self._response(move.shape[2] + 1) > 0).to(move)
        return self._of_values(partial(filtered, inside), move)

    def _of_values(
        self, change: Callable[[Tensor], Tensor], move: Float[Tensor, "batch cells time"]
    ) -> Float[Tensor, "batch cells time"]:
        """The values changed, the flags dropped."""
        if not len(move):  # a transform of no rows is refused
            return move
        values, rest = move[:, : len(self.spread)], move[:, len(self.spread) :]
        return torch.cat([change(values), torch.zeros_like(rest)], 1)

    def _share_in_ball(
        self, move: Float[Tensor, "batch cells time"], radius: Float[Tensor, " batch"]
    ) -> Float[Tensor, " batch"]:
        """How much of each move fits into the ball."""
        size = norms.length(move, self.box.norm)
        return (radius / size.clamp_min(torch.finfo(size.dtype).tiny)).clamp_max(1)

    def _with_length(
        self, move: Float[Tensor, "batch cells time"], radius: Float[Tensor, " batch"]
    ) -> Float[Tensor, "batch cells time"]:
        """Moves of the radius' length; what does not move stays."""
        size = norms.length(move, self.box.norm)
        share = torch.where(size > 0, radius / size.clamp_min(1e-30), 0.0)
        return move * norms.per_row(share, move)

    def _moved(
        self, seed: Float[Tensor, "batch cells time"], move: Float[Tensor, "batch cells time"]
    ) -> Float[Tensor, "batch cells time"]:
        """The seed moved, the signal-to-noise ratio at least `least_snr`, inside the bounds."""
        if self.least_snr is not None:
            values = seed[:, : len(self.spread)]
            power = (values - values.mean(2, keepdim=True)).square().sum(2)
            allowed = (power * 10 ** (-self.least_snr / 10)).sqrt()
            allowed = torch.cat([allowed] * (seed.shape[1] // len(self.spread)), 1)
            size = move.square().sum(2).sqrt().clamp_min(1e-30)
            move = move * (allowed / size).clamp_max(1)[:, :, None]
        return self.box.apply_move(seed, move)


def read_at(
    x: Float[Tensor, "batch cells time"], place: Float[Tensor, "batch time"]
) -> Float[Tensor, "batch cells time"]:
    """The signals read at other times, in samples, between which cubics run."""
    across = 2 * place / max(x.shape[2] - 1, 1) - 1
    grid = torch.stack([across, torch.zeros_like(across)], -1)[:, None]
    read = grid_sample(
        x[:, :, None], grid, mode="bicubic", padding_mode="border", align_corners=True
    )
    return read[:, :, 0]


def filtered(
    response: Float[Tensor, "channels frequencies"], values: Float[Tensor, "batch channels time"]
) -> Float[Tensor, "batch channels time"]:
    """Signals filtered without delay."""
    made: Tensor = torch.fft.irfft(torch.fft.rfft(mirrored(values)) * response)
    return made[:, :, : values.shape[2]]


def mirrored(x: Float[Tensor, "*rows time"]) -> Float[Tensor, "*rows twice"]:
    """A signal and its mirror image: no jump where the transform closes its circle."""
    return torch.cat([x, x.flip(-1)], -1)


def spread_of(x: Float[Tensor, "rows channels time"]) -> Float[Tensor, "channels frequencies"]:
    """Standard deviation around the rows' mean at each frequency of the cosine transform.

    Beyond the lowest frequencies that hold KEPT of a channel's variance it is 0.
    """
    off = mirrored(x - x.mean(0))
    variance = torch.fft.rfft(off).abs().square().mean(0) / off.shape[2]
    variance[:, 0] /= 2
    total = variance.sum(1, keepdim=True)
    inside = variance.cumsum(1) - variance < KEPT * total
    spread: Tensor = (variance * inside).sqrt()
    return spread
