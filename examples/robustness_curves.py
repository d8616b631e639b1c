"""
What an attack leaves of a classifier's score
=============================================

Seven classifiers on one table. Nets and formulas are attacked along their gradient, trees and
neighbors by queries alone. The radius is in robust standard deviations of each column.
"""

import matplotlib.pyplot as plt
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

plt.style.use("advaug.data.pictures")

# %%
# Two models learn from their own adversarial rows: a small net, and a support vector machine.

X, y = load_breast_cancer(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
machine = make_pipeline(StandardScaler(), SVC())
models = {
    "logistic regression": make_pipeline(StandardScaler(), LogisticRegression()),
    "support vectors": machine,
    "small net": AdversarialClassifier(clean_weight=1, random_state=0),
    "small net, robust": AdversarialClassifier(radius=0.3, random_state=0),
}
queried = {
    "forest": RandomForestClassifier(20, random_state=0),
    "5 neighbors": make_pipeline(StandardScaler(), KNeighborsClassifier()),
}
for model in (*models.values(), *queried.values()):
    model.fit(X_train, y_train)
own = AugmentedClassifier(machine, random_state=0).fit(X_train, y_train)
models["support vectors, own rows"] = own.estimator_

# %%
# Dashed: random noise of the same length, the control.

figure, axes = plt.subplots(1, 2, figsize=(10, 4))
settings = {"radii": [0, 0.1, 0.3, 0.5], "scoring": "balanced_accuracy"}
for ax, title, some, attack in (
    (axes[0], "Along the gradient", models, "auto"),
    (axes[1], "Queries alone", queried, Square(steps=25)),
):
    curve = RobustnessDisplay.from_estimators(
        some, X_test, y_test, attack=attack, ax=ax, **settings
    )
    ax.set_title(title, loc="left")
    for name, scores in curve.attacked.items():
        print(f"{name:26s}", *(f"{score:.3f}" for score in scores))
plt.show()
