"""
Which columns does a fitted pipeline depend on?
===============================================

The pipeline is a forest behind imputation and one-hot encoding, on a mixed table of patients. It
has no gradient. ``Crossover`` copies cells of other real rows until the prediction turns. It
queries predictions alone, and undoes every move that is not needed.
"""

import warnings
from collections import Counter

import matplotlib.pyplot as plt
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from advaug import AdversarialTransformer
from advaug.adapters import TabularAdapter
from advaug.datasets import load_thyroid_sick

plt.style.use("advaug.data.pictures")
warnings.filterwarnings("ignore", message=".* rows were not moved")  # Their prediction stays.

# %%
# The pipeline of a user.

X, y = load_thyroid_sick()
train, test = X[:3000], X[3000:3080]
numbers = make_column_selector(dtype_include="number")
levels = make_column_selector(dtype_include="category")
encode = OneHotEncoder(handle_unknown="ignore")
model = make_pipeline(
    make_column_transformer((SimpleImputer(), numbers), (encode, levels)),
    RandomForestClassifier(30, random_state=0),
).fit(train, y[:3000])

# %%
# It is queried, never copied or fitted. Age and sex are frozen.

attack = AdversarialTransformer(
    attack="crossover",
    radius=float("inf"),
    surrogate=model,
    adapter=TabularAdapter(frozen=["age", "sex"]),
    random_state=0,
)
moved = attack.fit(train).transform(test)
turned = model.predict(moved) != model.predict(test)
print(f"{turned.sum()} of {len(test)} predictions turned", end=", ")
print(f"{attack.surrogate_.queries / len(test):.0f} queries a row")

# %%
# The columns that moved, and in how many rows.

columns = Counter(name for row in attack.adapter_.changes(test, moved) for name in row)
names, counts = zip(*reversed(columns.most_common(8)), strict=True)
plt.figure(figsize=(7, 3))
plt.barh(names, counts)
plt.title("Columns that had to move")
plt.xlabel("rows")
plt.show()
