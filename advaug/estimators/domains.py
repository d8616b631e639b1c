"""What the over-sampler does by default with each kind of rows: chosen by measurement, said here.

Tables and images, signals, and sequences differ in how far new rows may lie from real ones, in who
votes on them, and in how a model without a gradient is asked.
"""

from dataclasses import replace

import torch

from advaug.adapters import Coding, SequenceCoding, SignalCoding
from advaug.attacks import Attack, Greedy, Square, Warp
from advaug.families import MOST, train_voters
from advaug.generation import Explore, Pool
from advaug.generation.pool import sample_of_classes
from advaug.surrogates import Ensemble, NGramLinear
from advaug.validity import Banded, Fluency, Judge
from advaug.validity.protocol import AnyJudge

EASY_AUC = 0.985  # from here on little is left to learn: new rows stay beside real ones


def explored(coding: Coding, auc: float) -> Explore:
    """How far "explore" goes where nobody says so; `auc`: the committee's, held out."""
    if isinstance(coding, SignalCoding):  # three of four signals warped, the others mixed with kin
        warp = Warp(shift=0.0)
        return Explore(crossing=0.0, neighbours=10, noise=0.0, reach=1.0, apart=0.75, attack=warp)
    if isinstance(coding, SequenceCoding):
        return Explore(crossing=0.6, noise=3.0)
    return Explore(wide=0.0, crossing=0.0, noise=1.0) if auc >= EASY_AUC else Explore()


def ensemble(coding: Coding) -> Ensemble:
    """The committee's settings: of hundreds of features of a signal nets see leading directions."""
    return Ensemble(directions=64) if isinstance(coding, SignalCoding) else Ensemble()


def with_voters(pool: Pool, coding: Coding, n_classes: int, generator: torch.Generator) -> Pool:
    """Who has a voice beside the nets: trees, and on sequences, where nets see leading directions
    of the n-grams, linear models on all of them."""
    if not isinstance(coding, SequenceCoding):
        return replace(pool, voters=train_voters(pool.features, pool.y, n_classes, generator))
    few = sample_of_classes(pool.y, generator, MOST)
    grams = pool.committee.features
    models = NGramLinear().fit(pool.x[few], pool.y[few], n_classes, generator, grams)
    return replace(pool, readers=(models.probability,))


def judge(coding: Coding, n_classes: int, signs: slice | None, *, is_sifted: bool) -> AnyJudge:
    """Who keeps rows: where chance decides (`is_sifted`), plausibility is told, not asked."""
    any_class = 1 / n_classes
    found: AnyJudge = Judge()
    if is_sifted and isinstance(coding, SequenceCoding):
        found = Fluency(any_class, level=0.0)
    elif is_sifted:
        found = Judge(any_class, plausibility=0.0)
    return found if signs is None else Banded(found, signs)


def followed(attack: Attack, coding: Coding, is_asked: bool) -> Attack:
    """A recipe's own attack as these rows and this model can follow it: by edits where rows are
    sequences, by queries where the model has no gradient."""
    stop_at = getattr(attack, "stop_at", None)
    if isinstance(coding, SequenceCoding):
        return Greedy(stop_at=stop_at)
    if isinstance(attack, Warp):
        return attack
    return Square(steps=100, stop_at=stop_at) if is_asked else attack
