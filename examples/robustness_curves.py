"""What an attack leaves of a classifier's score: seven classifiers, one table.

Nets and formulas are attacked along their gradient, trees and neighbors by queries alone (Square).
Dashed: random noise of the same length. The radius is in robust standard deviations of each column.

    python robustness_curves.py               # draws robustness_curves.png; nothing downloads
"""

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from advaug.attacks import Square
from advaug.robust import AdversarialClassifier, AugmentedClassifier, RobustnessDisplay

RADII = [0, 0.1, 0.3, 0.5]


def main() -> None:
    X, y = load_breast_cancer(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
    own = AugmentedClassifier(make_pipeline(StandardScaler(), SVC()), random_state=0)
    models = {
        "logistic regression": make_pipeline(StandardScaler(), LogisticRegression()),
        "support vectors": make_pipeline(StandardScaler(), SVC()),
        "small net": AdversarialClassifier(clean_weight=1, random_state=0),
        "small net, robust": AdversarialClassifier(radius=0.3, random_state=0),
    }
    queried = {
        "forest": RandomForestClassifier(20, random_state=0),
        "5 neighbours": make_pipeline(StandardScaler(), KNeighborsClassifier()),
    }
    for model in (own, *models.values(), *queried.values()):
        model.fit(X_train, y_train)
    models["support vectors, own rows"] = own.estimator_

    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    settings = {"radii": RADII, "scoring": "balanced_accuracy"}
    for ax, some, attack in ((left, models, "auto"), (right, queried, Square(steps=25))):
        curve = RobustnessDisplay.from_estimators(some, X_test, y_test, attack=attack, **settings)
        curve.plot(ax)
        for name, scores in curve.attacked.items():
            print(f"{name:26s}", *np.round(scores, 3))
    left.set_title("Along the gradient", fontsize=10, loc="left")
    right.set_title("Queries alone", fontsize=10, loc="left")
    figure.savefig("robustness_curves.png", dpi=150)


if __name__ == "__main__":
    main()
