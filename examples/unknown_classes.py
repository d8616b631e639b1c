"""
A digit that training never saw
===============================

A net learns the digits 0 to 8. It predicts one of these digits for a 9 as well. ``UnknownDetector``
learns one more class from rows that were moved out of every class's region, and
``RejectingClassifier`` abstains there. The control is the net's own largest probability.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import RocCurveDisplay
from sklearn.model_selection import train_test_split

from advaug.robust import AdversarialClassifier, RejectingClassifier, UnknownDetector

plt.style.use("advaug.data.pictures")

# %%
# Train on the digits 0 to 8, test on all.

X, y = load_digits(return_X_y=True)
X = np.rint(X * 255 / 16).astype(np.uint8).reshape(-1, 1, 8, 8)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.5, stratify=y, random_state=0)
model = RejectingClassifier(
    AdversarialClassifier(clean_weight=1, random_state=0),
    UnknownDetector(random_state=0),
    reject_label=-1,
).fit(X_train[y_train != 9], y_train[y_train != 9])
is_new, predicted = y_test == 9, model.predict(X_test)
answered = ~is_new & (predicted != -1)
print(f"known digits rejected: {(predicted[~is_new] == -1).mean():.3f}")
print(f"nines rejected: {(predicted[is_new] == -1).mean():.3f}")
print(f"right where it answers: {(predicted[answered] == y_test[answered]).mean():.3f}")

# %%
# How well each score tells nines from known digits.

suspects = {
    "unknown class": -model.detector_.score_samples(X_test),
    "1 - largest probability": -model.predict_proba(X_test).max(1),
}
figure, ax = plt.subplots(figsize=(5, 4))
for name, scores in suspects.items():
    RocCurveDisplay.from_predictions(is_new, scores, name=name, ax=ax)
ax.set(xlabel="share of known digits rejected", ylabel="share of nines rejected")
plt.show()

# %%
# Nines that are rejected, and nines that are taken for another digit.

figure, panels = plt.subplots(2, 5, figsize=(6, 2.8), subplot_kw={"xticks": [], "yticks": []})
for row, rejected in zip(panels, (True, False), strict=True):
    shown = np.flatnonzero(is_new & ((predicted == -1) == rejected))[:5]
    for ax, k in zip(row, shown, strict=False):
        ax.imshow(X_test[k, 0], cmap="gray_r", vmin=0, vmax=255)
        ax.set_title("rejected" if rejected else f"taken for {predicted[k]}", fontsize=9)
plt.show()
