"""Defensive distillation shown, and broken (Papernot et al. 2016; Carlini, Wagner 2017).

A student trained at a temperature seems to resist the textbook's FGSM: where the net is sure, the
gradient of its cross-entropy is 0 in single precision. The log-odds have the same direction and do
not vanish: the same step along their gradient fools it as it fooled the net before.

    python distillation.py                    # draws distillation.png; nothing downloads
"""

import warnings
from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split
from torch.nn.functional import cross_entropy

from advaug.attacks import FGSM, Attack, ascend
from advaug.robust import AdversarialClassifier, DistilledClassifier, RobustnessDisplay

RADII = [0, 0.05, 0.1, 0.15, 0.2]


class Textbook(Attack):
    """The sign of the cross-entropy's own gradient."""

    def __call__(self, problem):
        logits, label = problem.objective.logits, problem.objective.label

        def loss(x):
            return cross_entropy(logits(x), label, reduction="none")

        return ascend(replace(problem, objective=loss), steps=1, step=1.0)


def main() -> None:
    X, y = load_digits(return_X_y=True)
    images = np.rint(X * 255 / 16).astype(np.uint8).reshape(-1, 1, 8, 8)
    X_train, X_test, y_train, y_test = train_test_split(images, y, stratify=y, random_state=0)
    net = AdversarialClassifier(clean_weight=1, random_state=0).fit(X_train, y_train)
    models = {"a net": net}
    for heat in (20, 100):
        student = DistilledClassifier(
            "net",
            FrozenEstimator(net),
            temperature=heat,
            n_new_rows=0,
            softening=1,
            balance=0,
            random_state=0,
        )
        models[f"its student at {heat}"] = student.fit(X_train, y_train)

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    attacks = {"FGSM along the cross-entropy": Textbook(), "FGSM along the log-odds": FGSM()}
    for ax, (name, attack) in zip(figure.subplots(1, 2), attacks.items(), strict=True):
        with warnings.catch_warnings():  # that rows do not move is the point
            warnings.filterwarnings("ignore", message=".* rows were not moved by")
            curve = RobustnessDisplay.from_estimators(
                models, X_test, y_test, attack=attack, radii=RADII
            )
        curve.plot(ax)
        ax.set_title(name, fontsize=10, loc="left")
        for model, scores in curve.attacked.items():
            print(f"{name:30s} {model:20s}", *np.round(scores, 3))
    figure.savefig("distillation.png", dpi=150)


if __name__ == "__main__":
    main()
