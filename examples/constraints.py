"""Loans whose columns depend on each other: rows that keep the rules, beside rows that do not.

python examples/constraints.py
"""

import numpy as np
import pandas as pd

from advaug import AdversarialOverSampler
from advaug.constraints import Constraints

ANNUITY = "installment == amount * rate / (1 - (1 + rate) ** -term)"
RULES = [
    "open_accounts <= total_accounts",
    "term in {36, 60}",
    ANNUITY,
    "debt == card_debt + other_debt",
    "if home == 'rent' then mortgage == 0",
]


def loans(n: int = 1500, seed: int = 0) -> tuple[pd.DataFrame, pd.Series]:
    """A loan-like table in which every row keeps every rule; one loan in eight defaults."""
    draw = np.random.default_rng(seed)
    X = pd.DataFrame(
        {
            "amount": draw.integers(1, 40, n) * 1000.0,
            "rate": draw.uniform(0.004, 0.02, n),
            "term": draw.choice([36, 60], n),
            "home": pd.Categorical(draw.choice(["rent", "own"], n)),
            "total_accounts": draw.integers(2, 40, n),
            "card_debt": draw.exponential(4000, n),
            "other_debt": draw.exponential(9000, n),
        }
    )
    X["installment"] = X["amount"] * X["rate"] / (1 - (1 + X["rate"]) ** -X["term"])
    X["open_accounts"] = draw.binomial(X["total_accounts"], 0.6)
    X["debt"] = X["card_debt"] + X["other_debt"]
    X["mortgage"] = np.where(X["home"] == "rent", 0.0, draw.exponential(90_000, n))
    risk = X["installment"] / 400 + X["debt"] / 9000 + draw.normal(0, 1, n)
    return X, pd.Series(np.where(risk > np.quantile(risk, 7 / 8), "default", "paid"))


if __name__ == "__main__":
    X, y = loans()
    print("rules that all rows keep, found in the data:")
    for finding in Constraints.infer(X, kinds=["sum", "monotone", "implication"]).findings:
        print(f"  {finding.rule:40} in {finding.support} rows")
    print("\nbroken by      without rules  with rules")
    made = {}
    for name, rules in (("without", None), ("with", RULES)):
        sampler = AdversarialOverSampler(constraints=rules, random_state=0)
        made[name] = sampler.fit_resample(X, y)[0].iloc[len(X) :]
    for rule in RULES:
        shares = [1 - Constraints(rule).check(rows)[rule].mean() for rows in made.values()]
        print(f"{shares[0]:27.1%} {shares[1]:11.1%}  {rule}")
    report = sampler.constraints_report_
    print({name: report[name] for name in ("rows", "repaired", "reverted", "replaced")})
