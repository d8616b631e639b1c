"""
Heart beats in a pipeline, beside rivals
========================================

33 of 433 beats are premature. Every sampler sees training folds only. Time warping is a simple and
strong rival on signals.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from imblearn import FunctionSampler
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import make_pipeline
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_validate
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from advaug import AdversarialOverSampler
from advaug.datasets import load_ecg_beats

plt.style.use("advaug.data.pictures")

# %%
# SMOTE sees a signal as 504 columns. Time warping copies signals of the rare class on a clock that
# runs smoothly faster and slower; it needs a boolean y, true for the rare class, and one length.


def flattened(X):
    return X.reshape(len(X), -1)


def smote(X, y):
    flat, y = SMOTE(random_state=0).fit_resample(flattened(X), y)
    return flat.reshape(-1, *X.shape[1:]), y


def time_warp(X, y):
    random, place = np.random.default_rng(0), np.linspace(0, 1, X.shape[2])
    parents = random.choice(np.flatnonzero(y), len(y) - 2 * np.sum(y))
    bends = random.normal(0, 0.2, (len(parents), 3)) / (np.pi * np.arange(1, 4))
    clock = place + bends @ np.sin(np.pi * np.arange(1, 4)[:, None] * place)
    pairs = zip(parents, clock, strict=True)
    new = np.array([[np.interp(time, place, lead) for lead in X[k]] for k, time in pairs])
    new = np.rint(new) if X.dtype.kind in "iu" else new  # Whole numbers stay whole.
    return np.concatenate([X, new.astype(X.dtype)]), np.concatenate([y, y[parents]])


# %%
# Two learners on the samples of the signal: average precision and macro F1. Five folds of 33 beats
# tell little.

samplers = {
    "nothing": "passthrough",
    "SMOTE, flattened": FunctionSampler(func=smote, validate=False),
    "time warp": FunctionSampler(func=time_warp, validate=False),
    "advaug": AdversarialOverSampler(random_state=0),
}
logistic = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000))
learners = {"logistic": logistic, "forest": RandomForestClassifier(100, random_state=0)}
X, y = load_ecg_beats()
folds = StratifiedKFold(5, shuffle=True, random_state=0)
scores = {"AP": "average_precision", "macro F1": "f1_macro"}
table = pd.DataFrame(index=samplers)
for name, sampler in samplers.items():
    for learner, model in learners.items():
        pipeline = make_pipeline(sampler, FunctionTransformer(flattened), model)
        found = cross_validate(pipeline, X, y == "premature", cv=folds, scoring=scores)
        for score in scores:
            table.loc[name, f"{learner}, {score}"] = found[f"test_{score}"].mean().round(3)
print(table.to_string())
bars = table.T[::-1].plot.barh(figsize=(8, 4), xlim=(0.5, 1))
bars.set(title="Five folds, 33 premature beats of 433", xlabel="mean score")
plt.show()
