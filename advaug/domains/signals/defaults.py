"""What estimators do with signals where the user does not say so: chosen by measurement."""

from advaug.core.problem import Attack
from advaug.domains.signals.rocket_ridge import RocketRidge
from advaug.domains.signals.warp import Warp
from advaug.models.committee import Ensemble
from advaug.sampling.defaults import Defaults, attack_for_queries
from advaug.sampling.recipes import Explore, Recipe

MIN_NEW_SIGNALS = 1000  # Fewer than of other rows: learners of signals are slow.

# Students of few signals find too few rare ones if they decide as they have learnt.
DECISION_BALANCE = 0.7


def explore(auc: float) -> Recipe:
    """Three quarters of the signals are warped in time, the others mixed with near signals."""
    return Explore(
        p_cross_class=0.0,
        n_neighbors=10,
        noise_std=0.0,
        attack_radius=1.0,
        p_attack_only=0.75,
        attack=Warp(shift=0.0),
    )


def warp_or_queries(attack: Attack, *, is_queried: bool) -> Attack:
    """A random warp needs no gradient, so that it suits every model."""
    return attack if isinstance(attack, Warp) else attack_for_queries(attack, is_queried=is_queried)


# Nets see the leading directions of the hundreds of features of a signal.
DEFAULTS = Defaults(
    recipe=explore,
    ensemble=Ensemble(n_components=64),
    candidates=lambda: explore(0.0),
    n_candidates=lambda n: max(n, MIN_NEW_SIGNALS),
    decision_balance=DECISION_BALANCE,
    row_surrogates=(RocketRidge(),),
    attack=warp_or_queries,
)
