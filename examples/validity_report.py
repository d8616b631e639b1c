"""Are synthetic rows still what their labels say? The report on three ways to make them.

The rows belong to the thyroid table that ships: rows of advaug, plain copies, and healthy patients
labelled as sick. The verdicts are printed; the page on advaug's rows is validity_report.html.
"""

import numpy as np

from advaug import AdversarialOverSampler, validity_report
from advaug.datasets import load_thyroid_sick

RULE = "if sex == 'M' then pregnant == 'f'"
CHANCE = np.random.RandomState(0)


def main() -> None:
    X, y = load_thyroid_sick()
    few = np.sort(CHANCE.permutation(len(X))[:1500])
    X, y = X.iloc[few].reset_index(drop=True), y.iloc[few].reset_index(drop=True)

    sampler = AdversarialOverSampler(sampling_strategy=0.3, constraints=RULE, random_state=0)
    made = sampler.fit_resample(X, y)  # the report finds these rows while they are held
    report = validity_report(sampler)
    print(f"advaug, {len(made[1])} rows:", report, sep="\n", end="\n\n")
    report.to_html("validity_report.html")

    sick, healthy = (np.flatnonzero(y == label) for label in ("sick", "negative"))
    copied = CHANCE.choice(sick, 300)
    report = validity_report(X, y, X.iloc[copied], y.iloc[copied], constraints=RULE)
    print("copies:", report, sep="\n", end="\n\n")

    pasted = CHANCE.choice(healthy, 300, replace=False)
    report = validity_report(X, y, X.iloc[pasted], ["sick"] * 300, constraints=RULE)
    print("the healthy pasted as sick:", report, sep="\n")


if __name__ == "__main__":
    main()
