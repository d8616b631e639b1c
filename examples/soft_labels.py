"""
Soft labels: a committee teaches your classifier
================================================

``DistilledClassifier`` fits a classifier on the probabilities of a committee of models, on real
rows and on new ones. ``AugmentedClassifier`` measures on held-out rows what helps a classifier.
"""

import matplotlib.pyplot as plt
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import average_precision_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier

from advaug import CommitteeClassifier
from advaug.datasets import load_thyroid_sick
from advaug.demo import encoder
from advaug.robust import AugmentedClassifier, DistilledClassifier

plt.style.use("advaug.data.pictures")

# %%
# 400 patients for training, 24 of them sick. The tree reads an encoded table.
# `encoder` knows the columns of this table; Getting started has one for any table.

X, y = load_thyroid_sick()
X, X_test, y, y_test = train_test_split(X, y, train_size=400, stratify=y, random_state=0)
tree = make_pipeline(encoder(), DecisionTreeClassifier(min_samples_leaf=2, random_state=0))
boosting = HistGradientBoostingClassifier(random_state=0)
models = {
    "tree": tree,
    "tree, distilled": DistilledClassifier(tree, random_state=0),
    "tree, chosen on held-out rows": AugmentedClassifier(tree, sampler="auto", random_state=0),
    "boosting": boosting,
    "boosting, distilled": DistilledClassifier(boosting, random_state=0),
    "the committee itself": CommitteeClassifier(random_state=0),
}
scores = {}
for name, model in models.items():
    model.fit(X, y)
    probability = model.predict_proba(X_test)[:, list(model.classes_).index("sick")]
    scores[name] = average_precision_score(y_test == "sick", probability)
    print(f"{name:30s} {scores[name]:.3f}")

# %%
# Average precision on the other patients.

plt.figure(figsize=(7, 3))
bars = plt.barh(list(scores)[::-1], list(scores.values())[::-1])
plt.bar_label(bars, fmt="%.3f", padding=3)
plt.xlim(0, 1)
plt.title("Average precision on held-out patients")
plt.show()

# %%
# What the choice on held-out rows was made by.

print(models["tree, chosen on held-out rows"].report_.round(3).to_string(index=False))
