"""Signals as another instrument would have recorded them: a dozen scalars, searched adversarially.

Gain, offset, drift and wander of each channel, the clock, coloured noise and the cut-off of the
recorder leave a signal what it is; how far each may go is said in its own unit.
"""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from advaug.attacks.ascent import ascend
from advaug.core.box import Box
from advaug.core.norms import per_row, standard_normal
from advaug.core.objectives import Objective
from advaug.core.parameters import Parameters
from advaug.core.problem import Attack, AttackProblem
from advaug.domains.signals.space import BandLimited, read_at

EACH = 3  # scalars of each channel: gain, offset, drift
SHARED = 4  # scalars of all channels: clock, noise, cut-off, turns of the wander
WAVES = 2  # more of each channel: sine and cosine of the wander


@dataclass
class Instrument(Attack, Parameters):
    """The recording instrument that fools the model most, within its tolerances.

    Steepest ascent over scalars z in [-1, 1] (noise and cut-off: [0, 1]), from a random start; a
    signal x becomes lowpass((1 + gain)^z x(t (1 + clock z)) + offset z + drift z t / T +
    wander (z sin(u t) + z cos(u t)) + noise z n), n pink noise drawn once for each row and u T / pi
    = 2 + z: the baseline swings half a turn to one and a half. The radius is the share of the
    tolerances that may be used, 1 for all; with steps=0 the instrument is a random one.

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
        Lowest cut-off frequency (-3 dB) of a first-order low-pass, in cycles per sample.
    steps : int
        Number of gradient steps.
    step : float
        Length of one step as a share of the radius.

    References
    ----------
    The family of transformations: Um, Pfister, Pichler, et al. Data augmentation of wearable
    sensor data for Parkinson's disease monitoring using convolutional neural networks. ICMI 2017.

    Examples
    --------
    >>> from advaug.attacks import Instrument
    >>> Instrument(gain=0.1).clock
    0.02
    """

    gain: float = 0.2
    offset: float = 0.2
    drift: float = 0.3
    wander: float = 0.0
    clock: float = 0.02
    noise: float = 0.1
    cutoff: float = 0.2
    steps: int = 8
    step: float = 0.25

    @property
    def requires(self) -> frozenset[str]:
        return frozenset({"time_axis", "gradient"} if self.steps else {"time_axis"})

    def __call__(self, problem: AttackProblem) -> Tensor:
        seed, space = problem.seed, problem.space
        if seed.dim() != 3 or not isinstance(space, BandLimited):
            raise ValueError(
                f"an instrument records signals (channels, time), got rows of shape "
                f"{tuple(seed.shape[1:])}: use adapter='signal'"
            )
        channels = len(space.spread)
        white = problem.random.at(0).uniform(channels, seed.shape[2]).to(seed)
        noise = pink(standard_normal(white))
        unit = seed.new_ones((EACH + WAVES) * channels + SHARED)
        lowest = -unit
        lowest[EACH * channels + 1 : EACH * channels + 3] = 0  # noise and cut-off
        z = problem.random.at(1).uniform(len(unit)).to(seed) * (unit - lowest) + lowest
        z = z * per_row(problem.radius, z)
        if self.steps:
            recorded = RecordedObjective(problem.objective, self, seed, noise, space)
            of_scalars = replace(
                problem, objective=recorded, seed=torch.zeros_like(z), space=Box(lowest, unit)
            )
            z = ascend(of_scalars, steps=self.steps, step=self.step, start=z / 2)
        return self.recorded(z, seed, noise, space)

    def recorded(self, z: Tensor, seed: Tensor, noise: Tensor, space: BandLimited) -> Tensor:
        """The signals through instruments z; frozen and missing cells stay, bounds hold."""
        channels, time = noise.shape[1:]
        parts = z.split((EACH * channels, SHARED, WAVES * channels), 1)
        gain, offset, drift = parts[0].reshape(len(z), EACH, channels, 1).unbind(1)
        clock, level, low, turns = parts[1][:, :, None, None].unbind(1)
        sine, cosine = parts[2].reshape(len(z), WAVES, channels, 1).unbind(1)
        place = torch.arange(time, device=z.device).to(z)
        running = place * (1 + self.clock * clock[:, 0])
        x = read_at(seed, running.minimum(last_sample(seed, channels)))[:, :channels]
        x = x * (gain * math.log1p(self.gain)).exp() + self.offset * offset
        x = x + self.drift * drift * place / time + self.noise * level * noise
        if self.wander:
            angle = torch.pi * (2 + turns) * place / time
            x = x + self.wander * (sine * angle.sin() + cosine * angle.cos())
        rate = torch.fft.rfftfreq(2 * time, device=z.device).to(z)
        response = (1 + (rate * low / self.cutoff).square()).rsqrt()
        x = torch.fft.irfft(torch.fft.rfft(torch.cat([x, x.flip(2)], 2)) * response)[:, :, :time]
        move = torch.cat([x, seed[:, channels:]], 1) - seed
        moved: Tensor = space.box.apply_move(seed, space.mask_frozen(move, seed))
        return moved


@dataclass(frozen=True)
class RecordedObjective(Objective):
    """The objective of signals as a function of the instruments' scalars."""

    objective: Objective
    instrument: Instrument
    seed: Tensor
    noise: Tensor
    space: BandLimited

    def __call__(self, z: Float[Tensor, "batch scalars"]) -> Float[Tensor, " batch"]:
        return self.objective(self.instrument.recorded(z, self.seed, self.noise, self.space))

    def take(self, rows: Tensor) -> "RecordedObjective":
        some = self.objective.take(rows)
        return RecordedObjective(
            some, self.instrument, self.seed[rows], self.noise[rows], self.space
        )


def last_sample(
    seed: Float[Tensor, "batch cells time"], channels: int
) -> Float[Tensor, "batch one"]:
    """Where each signal ends: behind it its last value is read on."""
    place = torch.arange(seed.shape[2], device=seed.device).to(seed)
    there = 1 - seed[:, channels:] if seed.shape[1] > channels else torch.ones_like(seed)
    return (there * place).amax((1, 2))[:, None]


def pink(noise: Float[Tensor, "batch channels time"]) -> Float[Tensor, "batch channels time"]:
    """White noise with a power that falls as one over the frequency, of variance 1 on average."""
    rate = torch.fft.rfftfreq(noise.shape[2], device=noise.device).to(noise)
    shape = rate.clamp_min(1 / noise.shape[2]).rsqrt()
    shape = shape / shape.square().mean().sqrt()
    found: Tensor = torch.fft.irfft(torch.fft.rfft(noise) * shape, n=noise.shape[2])
    return found
