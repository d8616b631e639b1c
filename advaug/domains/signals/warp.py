"""Signals whose time is shifted and stretched: the same event comes earlier, or runs slower.

Only the times of what happens change, so that the label stays and the noise is that of a real
signal. The warp is random, or searched adversarially.
"""

from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from advaug.core.box import Box
from advaug.core.problem import AttackProblem
from advaug.domains.signals.features import parted
from advaug.domains.signals.scalar_search import ScalarSearch, last_sample
from advaug.domains.signals.space import BandLimited, read_at


@dataclass
class Warp(ScalarSearch):
    """Time that starts earlier or later and runs at a smoothly changing speed.

    With T the signal's last sample and s = t / T, speed(t) = exp(spread * sum_k z_k cos(pi k s))
    over k = 1 to `waves`, z in [-1, 1]; the clock is its integral, scaled to the length T and
    shifted by shift * z_0 * T: always monotone. Before the first sample and behind the last one
    their values go on. All channels share the clock. The radius is the share of spread and shift
    that may be used, 1 for all.

    Parameters
    ----------
    spread : float >= 0
        Largest logarithm of each wave's speed.
    shift : float in [0, 1)
        Largest shift as a share of the signal's length.
    waves : int >= 1
        Half cosines that the speed is made of.
    steps : int
        Number of gradient steps from a random start; 0 is a random warp.
    step : float
        Length of one step as a share of the radius.

    See Also
    --------
    advaug.attacks.Instrument :
        The recording device that fools the model most, within its tolerances.
    advaug.attacks.PGD :
        Projected gradient descent: x <- project(x + step * radius * steepest(grad J(x))).

    References
    ----------
    Um, Pfister, Pichler, et al. Data augmentation of wearable sensor data for Parkinson's disease
    monitoring using convolutional neural networks. ICMI 2017.

    Examples
    --------
    >>> from advaug.attacks import Warp
    >>> Warp(spread=0.1).waves
    4
    """

    spread: float = 0.2
    shift: float = 0.1
    waves: int = 4
    steps: int = 0
    step: float = 0.25

    def __call__(self, problem: AttackProblem) -> Tensor:
        space, seed = self.space_of(problem), problem.seed
        z = problem.random.uniform(1 + self.waves).to(seed) * 2 - 1
        unit = seed.new_ones(1 + self.waves)
        return self.search(
            problem, partial(self.warped, seed=seed, space=space), z, Box(-unit, unit)
        )

    def warped(self, z: Float[Tensor, "batch scalars"], seed: Tensor, space: BandLimited) -> Tensor:
        """The signals read at the times of z; frozen channels stay, signals with gaps too."""
        channels, time = len(space.spread), torch.arange(seed.shape[2], device=seed.device)
        _, there = parted(seed, channels)
        last = last_sample(there).long()
        has_gap = there.sum(2).amin(1, keepdim=True) <= last
        clock = torch.where(has_gap, time.to(z), self.clock(z, last, time))
        ended = time.minimum(last)[:, None].expand_as(seed)  # the last value goes on
        move = read_at(seed.gather(2, ended), clock) - seed
        return space.box.apply_move(seed, space.mask_frozen(move, seed))

    def clock(
        self,
        z: Float[Tensor, "batch scalars"],
        last: Int[Tensor, "batch one"],
        time: Int[Tensor, " time"],
    ) -> Float[Tensor, "batch time"]:
        """At which time, in samples, each row is read; behind the last sample time is its own."""
        wave = torch.arange(1, z.shape[1], device=z.device)[:, None, None]
        turned = torch.cos(torch.pi * wave * time / last.clamp_min(1))
        speed = (self.spread * (z.T[1:, :, None] * turned).sum(0)).exp()
        gone = (speed[:, 1:] + speed[:, :-1]).cumsum(1)
        gone = torch.cat([torch.zeros_like(gone[:, :1]), gone], 1)
        clock = gone / gone.gather(1, last).clamp_min(1e-12) + self.shift * z[:, :1]
        clock = (clock * last).clamp_min(0).minimum(last)
        return torch.where(time > last, time.to(clock), clock)
