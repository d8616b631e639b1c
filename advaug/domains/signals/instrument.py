"""Signals as another recording device would measure them: a dozen scalars, searched adversarially.

The device sets gain, offset, drift and baseline wander of each channel, and sampling clock, noise
and low-pass of all. These do not change a signal's class within tolerances in units of their own.
"""

import math
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from advaug.core.box import Box
from advaug.core.norms import standard_normal
from advaug.core.problem import AttackProblem
from advaug.core.row_random import RowRandom
from advaug.domains.signals.features import parted
from advaug.domains.signals.scalar_search import ScalarSearch, last_sample
from advaug.domains.signals.space import BandLimited, mirrored, read_at

EACH = 3  # scalars of each channel: gain, offset, drift
SHARED = 4  # scalars of all channels: clock, noise, cut-off, half turns of the wander
WAVES = 2  # further scalars of each channel: sine and cosine of the wander
FAULTS = 7  # gain, offset, drift, clock, noise, cut-off, wander
WHITE, START, COLOR, COUNT = range(4)  # streams of random numbers


@dataclass
class Instrument(ScalarSearch):
    """The recording device that fools the model most, within its tolerances.

    Steepest ascent over scalars z in [-1, 1] (noise and cut-off: [0, 1]), from a random start near
    their bounds more often than not (cosines of uniform angles); a signal x becomes
    (1 + gain)^z lowpass(x(t (1 + clock z))) + offset z + drift z t / T + wander (z sin(u t) + z
    cos(u t)) + noise z n. The noise n is drawn once for each row, of a color between white and
    pink, and u T / pi = 2 + z: the baseline swings half a turn to one and a half. The radius is the
    share of the tolerances that may be used, 1 for all; with steps=0 the instrument is a random
    one. By default the tolerances are wide, for a device that nobody knows: give those of yours.

    Parameters
    ----------
    gain : float >= 0
        A channel is at most 1 + gain times as large, or as small.
    offset, drift : float >= 0
        Shift of a channel, and its slope from start to end, in its standard deviations.
    wander : float >= 0
        Amplitude of each of the two waves that the baseline swings in, in the same unit.
    clock : float in [0, 1)
        Share by which time runs faster or slower.
    noise : float >= 0
        Standard deviation of the noise, in those of the channel.
    cutoff : float > 0
        Lowest cut-off frequency (-3 dB) of a second-order low-pass, in cycles per sample.
    has_all_faults : bool
        Whether a device may have all seven faults. If not, each has one to seven, whose number and
        kinds are drawn: for training rows, in which a model should meet each fault alone too.
    steps : int
        Number of gradient steps.
    step : float
        Length of one step as a share of the radius.

    See Also
    --------
    advaug.attacks.Warp : Time that starts earlier or later and runs at a smoothly changing speed.
    advaug.attacks.PGD :
        Projected gradient descent: x <- project(x + step * radius * steepest(grad J(x))).

    References
    ----------
    The family of transformations: Um, Pfister, Pichler, et al. Data augmentation of wearable
    sensor data for Parkinson's disease monitoring using convolutional neural networks. ICMI 2017.

    Examples
    --------
    >>> from advaug.attacks import Instrument
    >>> Instrument(gain=0.1).clock
    0.12
    """

    gain: float = 0.6
    offset: float = 0.3
    drift: float = 0.3
    wander: float = 0.4
    clock: float = 0.12
    noise: float = 0.4
    cutoff: float = 0.1
    has_all_faults: bool = True
    steps: int = 8
    step: float = 0.25

    def __call__(self, problem: AttackProblem) -> Tensor:
        seed, space, random = problem.seed, self.space_of(problem), problem.random
        channels = len(space.spread)
        white = standard_normal(random.at(WHITE).uniform(channels, seed.shape[2]).to(seed))
        unit = seed.new_ones((EACH + WAVES) * channels + SHARED)
        lowest = -unit
        lowest[EACH * channels + 1 : EACH * channels + 3] = 0  # noise and cut-off
        angle = torch.pi * random.at(START).uniform(len(unit)).to(seed)
        z = lowest + (unit - lowest) * (1 - angle.cos()) / 2
        present = None if self.has_all_faults else drawn_faults(random.at(COUNT), channels).to(seed)
        recorded = partial(
            self.recorded,
            seed=seed,
            noise=colored(white, random.at(COLOR).uniform(1).to(seed)),
            space=space,
            present=present,
        )
        return self.search(problem, recorded, z, Box(lowest, unit))

    def recorded(
        self,
        z: Tensor,
        seed: Tensor,
        noise: Tensor,
        space: BandLimited,
        present: Tensor | None = None,
    ) -> Tensor:
        """The signals through instruments z; frozen and missing cells stay, bounds hold."""
        channels, time = noise.shape[1:]
        z = z if present is None else z * present
        parts = z.split((EACH * channels, SHARED, WAVES * channels), 1)
        gain, offset, drift = parts[0].reshape(len(z), EACH, channels, 1).unbind(1)
        clock, level, low, turns = parts[1][:, :, None, None].unbind(1)
        sine, cosine = parts[2].reshape(len(z), WAVES, channels, 1).unbind(1)
        place = torch.arange(time, device=z.device).to(z)
        running = place * (1 + self.clock * clock[:, 0])
        _, there = parted(seed, channels)
        x = read_at(seed, running.minimum(last_sample(there)))[:, :channels]  # its end goes on
        rate = torch.fft.rfftfreq(2 * time, device=z.device).to(z)
        response = (1 + (rate * low / self.cutoff) ** 4).rsqrt()
        x = torch.fft.irfft(torch.fft.rfft(mirrored(x)) * response)[:, :, :time]
        x = x * (gain * math.log1p(self.gain)).exp() + self.offset * offset
        x = x + self.drift * drift * place / time + self.noise * level * noise
        if self.wander:
            angle = torch.pi * (2 + turns) * place / time
            x = x + self.wander * (sine * angle.sin() + cosine * angle.cos())
        move = torch.cat([x, seed[:, channels:]], 1) - seed
        moved: Tensor = space.box.apply_move(seed, space.mask_frozen(move, seed))
        return moved


def drawn_faults(random: RowRandom, channels: int) -> Float[Tensor, "batch scalars"]:
    """1 for the scalars of the faults that each device has, 0 for the others."""
    lot = random.uniform(1 + FAULTS)
    count = 1 + (lot[:, :1] * FAULTS).floor()
    is_present = (lot[:, 1:].argsort(1).argsort(1) < count).to(lot)
    own, shared, wander = is_present.split((EACH, SHARED - 1, 1), 1)
    each = own.repeat_interleave(channels, 1)
    return torch.cat([each, shared, wander.expand(-1, 1 + WAVES * channels)], 1)


def colored(
    noise: Float[Tensor, "batch channels time"], color: Float[Tensor, "batch one"]
) -> Float[Tensor, "batch channels time"]:
    """White noise with a power that falls as frequency ** -color, of variance 1 on average."""
    rate = torch.fft.rfftfreq(noise.shape[2], device=noise.device).to(noise)
    shape = rate.clamp_min(1 / noise.shape[2]) ** (-color[:, :, None] / 2)
    shape = shape / shape.square().mean(2, keepdim=True).sqrt()
    found: Tensor = torch.fft.irfft(torch.fft.rfft(noise) * shape, n=noise.shape[2])
    return found
