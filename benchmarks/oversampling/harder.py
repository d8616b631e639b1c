"""Sets of signals that leave room: noisier versions of the folder's, and sets that aeon ships.

`gunpoint~noise2` is the set `gunpoint` with white noise of twice each channel's deviation added to
every row; `aeon_arrowhead` is the set ArrowHead of the package aeon.
"""

from typing import Any

import numpy as np

SHIPPED = {  # the names in aeon
    "aeon_arrowhead": "ArrowHead",
}
MARK, NOISE, REST = "~", "noise", "_vs_rest"
# With less noise the best learner alone has an average precision above .95. Left out: nab_tweets,
# on which nobody is better than chance, and of aeon's sets ACSF1, which learners solve, and
# PickupGestureWiimoteZ, whose classes have ten rows.
SETS = (
    "aeon_arrowhead_vs_rest",
    "basic_motions_vs_rest~noise4",
    "cbf_vs_rest~noise2",
    "ecg200",
    "gunpoint~noise1",
    "italy_power_demand~noise1",
    "japanese_vowels_vs_rest~noise2",
    "libras_traj_vs_rest~noise0.5",
    "osuleaf_vs_rest~noise1",
    "plaid_vs_rest",
)


def shipped(name: str) -> tuple[Any, np.ndarray, dict[str, Any]]:
    """Padded signals, labels and what the folder's reader tells of a set, of one that aeon has."""
    from aeon.datasets import load_classification

    rows, y = load_classification(SHIPPED[name])
    lengths = np.array([row.shape[1] for row in rows])
    X = np.zeros((len(rows), rows[0].shape[0], lengths.max()), np.float32)
    for place, row in zip(X, rows, strict=True):
        place[:, : row.shape[1]] = row
    return X, y, {"lengths": lengths, "base": name}


def noisy(X: Any, changes: list[str]) -> Any:
    """Signals, an array or a list of arrays, with the noise that their set's name asks for."""
    for change in changes:
        if not change.startswith(NOISE):
            raise ValueError(f"--sets: {MARK}{change} is no version: write {MARK}{NOISE}2")
        rng, factor = np.random.default_rng(0), float(change.removeprefix(NOISE))
        spread = np.concatenate([*X], axis=1).std(axis=1, keepdims=True)
        added = [(row + factor * spread * rng.normal(size=row.shape)).astype("f4") for row in X]
        X = np.stack(added) if isinstance(X, np.ndarray) else added
    return X
