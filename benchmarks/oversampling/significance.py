"""Paired comparisons over base sets, each set a mean over its learners, variants and seeds."""

import numpy as np
import pandas as pd
from scipy.stats import studentized_range, wilcoxon

ROPE = 0.005  # differences that nobody would act on
KNOWLEDGE = [0.0, 0.7, 0.8, 0.9, 0.97, 0.99, 1.0]  # edges of the ranges of the committee's AUC


def per_base(scores: pd.DataFrame, metric: str) -> pd.DataFrame:
    """A row per base set, a column per method: means over learners and variants."""
    cells = scores.pivot_table(index=["base", "set"], columns="method", values=metric, sort=False)
    return cells.groupby("base").mean()


def gains_by_learner(scores: pd.DataFrame, metric: str, rival: str) -> pd.DataFrame:
    """Mean gain over a rival: a row per learner, a column per method."""
    keys = ["set", "learner"]
    cells = scores.pivot_table(index=keys, columns="method", values=metric, sort=False)
    cells = cells.dropna(subset=[rival])
    return cells.sub(cells[rival], axis=0).groupby("learner", sort=False).mean()


def share_below(scores: pd.DataFrame, metric: str, rival: str, by: float) -> pd.Series:
    """Of each method's cells (set, learner), the share that is below a rival's by more than so."""
    keys = ["set", "learner"]
    cells = scores.pivot_table(index=keys, columns="method", values=metric, sort=False)
    gains = cells.sub(cells[rival], axis=0).dropna(subset=[rival])
    return (gains < -by).where(gains.notna()).mean()


def gains_by_knowledge(scores: pd.DataFrame, metric: str, rival: str) -> pd.DataFrame:
    """Mean gain over a rival by the AUC that the committee reaches on a set as a classifier: a row
    per method, a column per range, headed by how many sets lie in it."""
    knowledge = scores[scores["method"] == "committee"].groupby("set")["AUC"].mean()
    ranges = pd.cut(knowledge, KNOWLEDGE)
    cells = scores.pivot_table(index="set", columns="method", values=metric, sort=False)
    gains = cells.sub(cells[rival], axis=0).groupby(ranges, observed=True).mean().T
    counts = ranges.value_counts()
    return gains.rename(columns={r: f"AUC {r.left:g} to {r.right:g} ({counts[r]})" for r in gains})


def wilcoxon_p(gap: np.ndarray) -> float:
    """Two-sided p of Wilcoxon's signed-rank test; 1 where nothing differs."""
    return float(wilcoxon(gap).pvalue) if len(gap) > 1 and np.any(gap) else 1.0


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's adjustment for several tests."""
    order = np.argsort(p)
    steps = np.maximum.accumulate(np.sort(p) * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(steps, 1)
    return adjusted


def bayesian_signed_rank(
    gap: np.ndarray, rope: float = ROPE, prior: float = 0.5, draws: int = 20_000, seed: int = 0
) -> tuple[float, float, float]:
    """Posterior probabilities that the median gap is below, within and above the rope.

    Benavoli, Corani, Demsar, Zaffalon. Time for a change: a tutorial for comparing multiple
    classifiers through Bayesian analysis. JMLR 18, 2017: Dirichlet weights of the gaps, and of
    one gap of zero as prior; the mass of the pair means in each region; its share of the draws
    in which a region holds most.
    """
    z = np.concatenate([[0.0], gap])
    pairs = (z[:, None] + z[None, :]) / 2
    alpha = np.concatenate([[prior], np.ones(len(gap))])
    weights = np.random.default_rng(seed).dirichlet(alpha, draws)
    below = ((weights @ (pairs < -rope)) * weights).sum(1)
    above = ((weights @ (pairs > rope)) * weights).sum(1)
    mass = np.stack([below, 1 - below - above, above])
    wins = np.bincount(mass.argmax(0), minlength=3) / draws
    return float(wins[0]), float(wins[1]), float(wins[2])


def mean_ranks(table: pd.DataFrame, *, low_is_good: bool = False) -> pd.Series:
    """Mean rank over base sets, 1 the best."""
    return table.rank(axis=1, ascending=low_is_good).mean()


def critical_difference(methods: int, sets: int, alpha: float = 0.05) -> float:
    """Nemenyi's critical difference of mean ranks (Demsar. JMLR 7, 2006)."""
    q = studentized_range.ppf(1 - alpha, methods, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(methods * (methods + 1) / (6 * sets)))


def against(table: pd.DataFrame, rival: str, sign: int = 1) -> pd.DataFrame:
    """Every method against one: gain, sets won and lost, Wilcoxon's p plain and by Holm, and the
    Bayesian probabilities of being practically worse, the same and better."""
    methods = [name for name in table if name != rival]
    gaps = {name: sign * (table[name] - table[rival]).dropna().to_numpy() for name in methods}
    p = np.array([wilcoxon_p(gap) for gap in gaps.values()])
    rows = []
    for name, plain, adjusted in zip(methods, p, holm(p), strict=True):
        gap = gaps[name]
        worse, same, better = bayesian_signed_rank(gap)
        rows.append(
            {
                "method": name,
                "gain": gap.mean(),
                "won-lost": f"{(gap > 0).sum()}-{(gap < 0).sum()}",
                "p": plain,
                "p Holm": adjusted,
                "worse": worse,
                "same": same,
                "better": better,
            }
        )
    return pd.DataFrame(rows).set_index("method")
