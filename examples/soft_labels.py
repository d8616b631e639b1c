"""Soft labels on the thyroid table: a tree and boosting, taught by a committee, and the committee.

python examples/soft_labels.py    prints average precision, and what the gate chose for a tree
"""

from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import average_precision_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier

from advaug import CommitteeClassifier
from advaug.datasets import load_thyroid_sick
from advaug.demo import encoder
from advaug.robust import AugmentedClassifier, DistilledClassifier


def main() -> None:
    X, y = load_thyroid_sick()
    X, X_test, y, y_test = train_test_split(X, y, train_size=600, stratify=y, random_state=0)
    tree = make_pipeline(encoder(), DecisionTreeClassifier(min_samples_leaf=2, random_state=0))
    boosting = HistGradientBoostingClassifier(random_state=0)
    gate = AugmentedClassifier(tree, sampler="auto", random_state=0)
    models = {
        "tree": tree,
        "tree, distilled": DistilledClassifier(tree, random_state=0),
        "tree, chosen by the gate": gate,
        "boosting": boosting,
        "boosting, distilled": DistilledClassifier(boosting, random_state=0),
        "the committee itself": CommitteeClassifier(random_state=0),
    }
    for name, model in models.items():
        model.fit(X, y)
        probability = model.predict_proba(X_test)[:, list(model.classes_).index("sick")]
        print(f"{name:26s} AP {average_precision_score(y_test == 'sick', probability):.3f}")
    print(gate.report_.round(3).to_string(index=False))


if __name__ == "__main__":
    main()
