"""
Premature beats that keep their shape
=====================================

Thirty-three premature beats of a real ECG become 400. Each new beat has the P wave, the QRS complex
and the T wave of a beat; the table compares real and new ones in physicians' units.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from advaug import AdversarialOverSampler
from advaug.datasets import ECG_GAIN, ECG_RATE, ECG_ZERO, load_ecg_beats
from advaug.report import SignalDisplay

plt.style.use("advaug.data.pictures")

# %%
# Over-sample by the defaults. Six of the new beats, each on the real one that it comes from.

X, y = load_ecg_beats()
sampler = AdversarialOverSampler(random_state=0)
X_new, y_new = sampler.fit_resample(X, y)
X_mv = (X_new - ECG_ZERO) / ECG_GAIN  # millivolts
time = np.arange(X.shape[2]) / ECG_RATE
figure, axes = plt.subplots(2, 3, figsize=(10, 5), sharex=True, sharey=True)
new = np.flatnonzero(sampler.synthetic_mask_)
for ax, row in zip(axes.flat, new[:: len(new) // 6], strict=False):
    ax.plot(time, X_mv[sampler.parent_indices_[row], 0], color="#9a9a9a", label="real")
    ax.plot(time, X_mv[row, 0], color="C5", label="new")
axes[0, 0].legend()
axes[0, 0].set(ylabel="lead MLII, mV")
axes[1, 0].set(ylabel="lead MLII, mV", xlabel="seconds")
for name, at in {"P": 0.06, "QRS": 0.3, "T": 0.6}.items():
    axes[0, 0].annotate(name, (at, 0.15), color="#666666")
plt.show()

# %%
# The height of the R peak, the width of the QRS complex at half this height, and the height of the
# P and T waves above the baseline (median), for the middle half of the beats.


def measured(beats):
    beats = beats[:, 0] - np.median(beats[:, 0], axis=1, keepdims=True)
    height = beats.max(1)
    width = 1000 * (beats > height[:, None] / 2).sum(1) / ECG_RATE
    waves = {"P, mV": beats[:, time < 0.18].max(1), "T, mV": beats[:, time > 0.45].max(1)}
    return pd.DataFrame({"R, mV": height, "QRS, ms": width} | waves)


rare = {"real": X_mv[: len(X)][y == "premature"], "new": X_mv[new]}
quartiles = {name: measured(beats).quantile([0.25, 0.5, 0.75]) for name, beats in rare.items()}
print(pd.concat(quartiles, axis=1).T.round(2).to_string())

# %%
# Spectra: the median, and from the 5th to the 95th percentile. The two peaks are the mains.

SignalDisplay.from_sampler(sampler, X_mv, y_new, kind="spectra", sampling_rate=ECG_RATE, unit="mV")
plt.show()
