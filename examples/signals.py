"""
New heart beats, and which moves a judge rejects
================================================

Premature beats of a real ECG. A new beat is drawn on the beat that it comes from. Then the square
waves of plain FGSM stand beside moves that have the spectrum of the data.
"""

import matplotlib.pyplot as plt
import numpy as np

from advaug import AdversarialOverSampler, AdversarialTransformer
from advaug.adapters import SignalAdapter
from advaug.datasets import ECG_GAIN, ECG_RATE, ECG_ZERO, load_ecg_beats
from advaug.report import SignalDisplay, VerdictDisplay

plt.style.use("advaug.data.pictures")

# %%
# Over-sample: 33 premature beats become 400.

X, y = load_ecg_beats()
sampler = AdversarialOverSampler(random_state=0)
X_new, y_new = sampler.fit_resample(X, y)
print({str(name): int((y_new == name).sum()) for name in np.unique(y_new)})
SignalDisplay.from_sampler(sampler, X_new, sampling_rate=ECG_RATE)
plt.show()

# %%
# Move beats by FGSM within 0.3 standard deviations of a lead: freely, and in the band of the data.
# The judge of the sampler says which moved beats still look like premature ones.

rare = np.flatnonzero(y == "premature")
time = np.arange(X.shape[2]) / ECG_RATE
figure, axes = plt.subplots(3, 2, figsize=(10, 6.4))
bands = {"plain FGSM": None, "FGSM in the band of the data": "data"}
for (over, added, strip), (name, band) in zip(axes.T, bands.items(), strict=True):
    adapter = SignalAdapter(sampling_rate=ECG_RATE, band=band)
    attack = AdversarialTransformer(radius=0.3, adapter=adapter, random_state=0)
    moved = attack.fit_transform(X, y)
    verdicts = VerdictDisplay.from_sampler(
        sampler,
        X_new,
        y_new,
        signals=moved[rare],
        label="premature",
        ax=strip,
        name=f"{len(rare)} moved beats",
    )
    print(f"{name:30s} inside the spectral band of its class {verdicts.is_inside.mean():.0%}")
    over.plot(time, (X[rare[0], 0] - ECG_ZERO) / ECG_GAIN, color="#9a9a9a")
    over.plot(time, (moved[rare[0], 0] - ECG_ZERO) / ECG_GAIN, color="C5")
    over.set(title=name, ylabel="lead MLII, mV")
    added.plot(time, (moved - X)[rare[0], 0] / ECG_GAIN, color="C5")
    added.set(ylabel="added, mV", xlabel="seconds", ylim=(-0.1, 0.1))
plt.show()

# %%
# What the band cannot see: beats that run backwards have its powers, steps and correlations.

backwards = VerdictDisplay.from_sampler(
    sampler,
    X_new,
    y_new,
    signals=X[rare, :, ::-1],
    label="premature",
    name=f"{len(rare)} beats, reversed",
)
print(f"reversed in time               inside the spectral band {backwards.is_inside.mean():.0%}")
print(f"                               the committee agrees     {backwards.agrees.mean():.0%}")
print(
    f"                               plausible                {backwards.is_plausible.mean():.0%}"
)
plt.show()
