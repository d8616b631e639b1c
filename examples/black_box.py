"""Which columns does a fitted pipeline depend on? Attack it with cells of other real rows.

The pipeline is a forest behind imputation and one-hot encoding, on a mixed table of patients: it
has no gradient. `Crossover` queries its predictions alone and undoes every move that is not needed.

    python examples/black_box.py
"""

from collections import Counter

from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from advaug import AdversarialTransformer
from advaug.adapters import TabularAdapter
from advaug.datasets import load_thyroid_sick


def main() -> None:
    X, y = load_thyroid_sick()
    train, test = X[:3000], X[3000:3080]
    numbers = make_column_selector(dtype_include="number")
    levels = make_column_selector(dtype_include="category")
    model = make_pipeline(
        make_column_transformer(
            (SimpleImputer(), numbers), (OneHotEncoder(handle_unknown="ignore"), levels)
        ),
        RandomForestClassifier(30, random_state=0),
    ).fit(train, y[:3000])

    attack = AdversarialTransformer(
        attack="crossover",
        radius=float("inf"),
        surrogate=model,  # queried, never copied or fitted
        adapter=TabularAdapter(frozen=["age", "sex"]),
        random_state=0,
    ).fit(train)
    moved = attack.transform(test)

    turned = model.predict(moved) != model.predict(test)
    changes = attack.adapter_.changes(test, moved)
    columns = Counter(name for row in changes for name in row)
    print(f"{turned.sum()} of {len(test)} predictions turned", end=", ")
    print(f"{attack.surrogate_.queries / len(test):.0f} queries a row; columns that moved:")
    for name, count in columns.most_common(8):
        print(f"  {name:<28} in {count} rows")


if __name__ == "__main__":
    main()
