"""What the over-sampler does by default with each kind of rows: chosen by measurement, said here.

Tables and images, signals, and sequences differ in how far new rows may lie from real ones, in who
votes on them, and in how a model without a gradient is asked.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from advaug.attacks.square import Square
from advaug.core.domain import Adapter, Coding
from advaug.core.problem import Attack
from advaug.domains.sequences.adapter import SequenceCoding
from advaug.domains.sequences.attacks.greedy import Greedy
from advaug.domains.sequences.judge import BigramJudge
from advaug.domains.sequences.ngram_ridge import NGramRidge
from advaug.domains.signals.adapter import SignalCoding
from advaug.domains.signals.warp import Warp
from advaug.models.committee import Ensemble
from advaug.registry import ADAPTERS
from advaug.sampling.encoded_dataset import EncodedDataset, sample_of_classes
from advaug.sampling.judges.conformal import ConformalJudge
from advaug.sampling.judges.descriptor_band import DescriptorBandJudge
from advaug.sampling.judges.protocol import Judge
from advaug.sampling.recipes import Explore
from advaug.sampling.voters import MOST, train_voters

EASY_AUC = 0.985  # from here on little is left to learn: new rows stay beside real ones


def explored(coding: Coding, auc: float) -> Explore:
    """How far "explore" goes where nobody says so; `auc`: the committee's, held out."""
    if isinstance(coding, SignalCoding):  # three of four signals warped, the others mixed with kin
        warp = Warp(shift=0.0)
        return Explore(
            p_cross_class=0.0,
            n_neighbors=10,
            noise_std=0.0,
            attack_radius=1.0,
            p_attack_only=0.75,
            attack=warp,
        )
    if isinstance(coding, SequenceCoding):
        return Explore(p_cross_class=0.6, noise_std=3.0)
    return Explore(max_mix=0.0, p_cross_class=0.0, noise_std=1.0) if auc >= EASY_AUC else Explore()


def ensemble(coding: Coding) -> Ensemble:
    """The committee's settings: of hundreds of features of a signal nets see leading directions."""
    return Ensemble(directions=64) if isinstance(coding, SignalCoding) else Ensemble()


def with_voters(
    pool: EncodedDataset, coding: Coding, n_classes: int, generator: torch.Generator
) -> EncodedDataset:
    """Who has a voice beside the nets: trees, and on sequences, where nets see leading directions
    of the n-grams, linear models on all of them."""
    if not isinstance(coding, SequenceCoding):
        return replace(pool, voters=train_voters(pool.features, pool.y, n_classes, generator))
    few = sample_of_classes(pool.y, generator, MOST)
    grams = pool.committee.features
    models = NGramRidge().fit(pool.x[few], pool.y[few], n_classes, generator, grams)
    return replace(pool, readers=(models.probability,))


def judge(coding: Coding, n_classes: int, signs: slice | None, *, is_sifted: bool) -> Judge:
    """Who keeps rows: where chance decides (`is_sifted`), plausibility is told, not asked."""
    any_class = 1 / n_classes
    found: Judge = ConformalJudge()
    if is_sifted and isinstance(coding, SequenceCoding):
        found = BigramJudge(any_class, alpha=0.0)
    elif is_sifted:
        found = ConformalJudge(any_class, alpha=0.0)
    return found if signs is None else DescriptorBandJudge(found, signs)


def followed(attack: Attack, coding: Coding, is_asked: bool) -> Attack:
    """A recipe's own attack as these rows and this model can follow it: by edits where rows are
    sequences, by queries where the model has no gradient."""
    stop_at = getattr(attack, "stop_at", None)
    if isinstance(coding, SequenceCoding):
        return Greedy(stop_at=stop_at)
    if isinstance(attack, Warp):
        return attack
    return Square(steps=100, stop_at=stop_at) if is_asked else attack


def adapter_for(X: Any) -> Adapter:
    """The first adapter that accepts the container."""
    for adapter in ADAPTERS.values():
        if adapter().accepts(X):
            return adapter()
    raise ValueError(
        f"Found array with dim {np.ndim(X)} and dtype {getattr(X, 'dtype', '?')} that no adapter "
        f"takes: {', '.join(ADAPTERS)} are known; reshape to (rows, columns), (signals, channels, "
        "time) or (images, channels, height, width), or name one, e.g. adapter='image'"
    )
