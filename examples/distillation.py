"""
Defensive distillation, shown and broken
========================================

A student that was trained at a temperature seems to resist the textbook's FGSM: where the net is
sure, the gradient of its cross-entropy is 0 in single precision. The log-odds have the same
direction and do not vanish. The same step along their gradient fools the student as it fooled the
net. See Papernot et al., S&P 2016, and Carlini, Wagner, S&P 2017.
"""

import warnings
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split
from torch.nn.functional import cross_entropy

from advaug.attacks import FGSM, Attack, ascend
from advaug.robust import AdversarialClassifier, DistilledClassifier, RobustnessDisplay

plt.style.use("advaug.data.pictures")
warnings.filterwarnings("ignore", message=".* rows were not moved")  # That is the point.

# %%
# A net, and its students at two temperatures.

X, y = load_digits(return_X_y=True)
X = np.rint(X * 255 / 16).astype(np.uint8).reshape(-1, 1, 8, 8)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
net = AdversarialClassifier(clean_weight=1, random_state=0).fit(X_train, y_train)
alone = {"n_new_rows": 0, "softening": 1, "balance": 0, "random_state": 0}
models = {"a net": net}
for heat in (20, 100):
    student = DistilledClassifier("net", FrozenEstimator(net), temperature=heat, **alone)
    models[f"its student at {heat}"] = student.fit(X_train, y_train)

# %%
# The textbook's attack, as an attack of our own.


class Textbook(Attack):
    """The sign of the cross-entropy's own gradient."""

    def __call__(self, problem):
        logits, label = problem.objective.logits, problem.objective.label

        def loss(x):
            return cross_entropy(logits(x), label, reduction="none")

        return ascend(replace(problem, objective=loss), steps=1, step=1.0)


figure, axes = plt.subplots(1, 2, figsize=(9, 3.6))
attacks = {"FGSM along the cross-entropy": Textbook(), "FGSM along the log-odds": FGSM()}
for ax, (name, attack) in zip(axes, attacks.items(), strict=True):
    RobustnessDisplay.from_estimators(
        models, X_test, y_test, attack=attack, radii=[0, 0.05, 0.1, 0.15, 0.2], ax=ax
    )
    ax.set_title(name, loc="left")
plt.show()
