"""
Damaged bearings, recorded by an instrument that has drifted
============================================================

Vibrations are generated; a damaged bearing rings at each impact. Models learn from one instrument.
Later it reads 15 % high, drifts, is 1.5 % fast and deaf to high frequencies. Tolerances are known.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.signal import lfilter
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from advaug import AdversarialTransformer
from advaug.attacks import Instrument
from advaug.robust import AdversarialClassifier

plt.style.use("advaug.data.pictures")
TIME = np.arange(256) / 1000  # seconds
KNOWN = {"gain": 0.2, "offset": 0.2, "wander": 0, "clock": 0.02, "noise": 0.1, "cutoff": 0.2}


def vibrations(n, random):
    turns = 2 * np.pi * (random.uniform(24, 26, (n, 1)) * TIME + random.uniform(0, 1, (n, 1)))
    y, since = random.random(n) < 0.5, (TIME + random.uniform(0, 1 / 60, (n, 1))) % (1 / 60)
    ringing = 0.8 * y[:, None] * np.exp(-250 * since) * np.sin(2 * np.pi * 210 * since)
    X = np.sin(turns) + 0.4 * np.sin(2 * turns) + ringing + random.normal(0, 0.35, (n, 256))
    return X[:, None], y


def drifted(X):
    X = np.array([np.interp(TIME * 1.015, TIME, signal) for signal in X[:, 0]])[:, None]
    return 1.15 * lfilter([0.72], [1, -0.28], X) + 0.1 + 0.2 * TIME / TIME[-1]


# %%
# Each signal gets an instrument of its own. Scores are accuracies on 400 machines.

scores, spectrum = [], FunctionTransformer(lambda X: np.log(np.abs(np.fft.rfft(X[:, 0]))))
for seed in range(2):
    (X, y), (X_test, y_test) = (vibrations(n, np.random.default_rng([seed, n])) for n in (150, 400))
    logistic = make_pipeline(spectrum, LogisticRegression(C=0.1, max_iter=1000))
    other = {"attack": Instrument(**KNOWN, steps=0), "radius": 1.0, "random_state": seed}
    recorded = AdversarialTransformer(**other, when="fit").fit_transform(X, y)
    for name, model, rows in [
        ("logistic, nothing", logistic, [X]),
        ("logistic, plain copies", logistic, [X, X]),
        ("logistic, copies by random instruments", logistic, [X, recorded]),
        ("net, nothing", AdversarialClassifier(clean_weight=1, random_state=seed), [X]),
        ("net, random instruments", AdversarialClassifier(**other), [X]),
    ]:
        model.fit(np.concatenate(rows), np.tile(y, len(rows)))
        scores.append([name, *(model.score(Z, y_test) for Z in (X_test, drifted(X_test)))])
table = pd.DataFrame(scores, columns=["model", "same instrument", "drifted instrument"])
print((table := table.groupby("model", sort=False).mean()).round(3).to_string())
ax = table[::-1].plot.barh(xlim=(0.5, 1), xlabel="accuracy", ylabel="", figsize=(8, 4))
ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
plt.show()
