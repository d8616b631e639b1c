"""A digit that training never saw: what a classifier predicts, and which detector finds it.

A net learns 0 to 8. It predicts one of these digits for a 9 as well. An `UnknownDetector` learns
one more class from rows that were moved out of every class's region, and a `RejectingClassifier`
abstains there. The control is the net's own largest probability.

    python unknown_classes.py                 # draws unknown_classes.png; nothing downloads
"""

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.metrics import RocCurveDisplay
from sklearn.model_selection import train_test_split

from advaug.robust import AdversarialClassifier, RejectingClassifier, UnknownDetector


def main() -> None:
    X, y = load_digits(return_X_y=True)
    images = np.rint(X * 255 / 16).astype(np.uint8).reshape(-1, 1, 8, 8)
    X_train, X_test, y_train, y_test = train_test_split(
        images, y, test_size=0.5, stratify=y, random_state=0
    )
    is_known = y_train != 9
    model = RejectingClassifier(
        AdversarialClassifier(clean_weight=1, random_state=0),
        UnknownDetector(random_state=0),
        reject_label=-1,
    ).fit(X_train[is_known], y_train[is_known])
    is_new = y_test == 9
    predicted = model.predict(X_test)
    print(f"known digits rejected: {(predicted[~is_new] == -1).mean():.3f}")
    print(f"nines rejected: {(predicted[is_new] == -1).mean():.3f}")
    answered = ~is_new & (predicted != -1)
    print(f"right where it answers: {(predicted[answered] == y_test[answered]).mean():.3f}")

    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[1, 1.3])
    ax = left.subplots()
    suspects = {
        "unknown class": -model.detector_.score_samples(X_test),
        "1 - largest probability": -model.predict_proba(X_test).max(1),
    }
    for name, scores in suspects.items():
        RocCurveDisplay.from_predictions(is_new, scores, name=name, ax=ax)
    ax.set_xlabel("known digits rejected", fontsize=9)
    ax.set_ylabel("nines rejected", fontsize=9)
    ax.legend(fontsize=8, loc="lower right")
    panels = right.subplots(2, 5, subplot_kw={"xticks": [], "yticks": []})
    for row, refused in zip(panels, (True, False), strict=True):
        shown = np.flatnonzero(is_new & ((predicted == -1) == refused))[:5]
        for ax in row:
            ax.axis("off")
        for ax, k in zip(row, shown, strict=False):
            taken = model.estimator_.predict(X_test[k : k + 1])[0]
            ax.imshow(X_test[k, 0], cmap="gray_r", vmin=0, vmax=255)
            ax.set_title("refused" if refused else f"taken for {taken}", fontsize=9)
    figure.savefig("unknown_classes.png", dpi=150)


if __name__ == "__main__":
    main()
