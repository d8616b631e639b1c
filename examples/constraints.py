"""
Rules over columns that new rows keep
=====================================

Loans whose columns depend on each other. New rows that keep the rules stand beside rows that are
made without rules.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from advaug import AdversarialOverSampler
from advaug.constraints import Constraints

plt.style.use("advaug.data.pictures")

# %%
# A table in which every row keeps every rule. One loan in eight defaults.

draw, n = np.random.default_rng(0), 1500
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
y = pd.Series(np.where(risk > np.quantile(risk, 7 / 8), "default", "paid"))

# %%
# Some of the rules are found in the data.

for finding in Constraints.infer(X, kinds=["sum", "monotone", "implication"]).findings:
    print(f"{finding.rule:40} in {finding.support} rows")

# %%
# The annuity is no relation that is searched for: we write it down. How many new rows break a rule?

rules = [
    "open_accounts <= total_accounts",
    "term in {36, 60}",
    "installment == amount * rate / (1 - (1 + rate) ** -term)",
    "debt == card_debt + other_debt",
    "if home == 'rent' then mortgage == 0",
]
broken = pd.DataFrame(index=rules)
for name, constraints in {"without rules": None, "with rules": rules}.items():
    sampler = AdversarialOverSampler(constraints=constraints, random_state=0)
    new = sampler.fit_resample(X, y)[0].iloc[n:]
    broken[name] = [1 - Constraints(rule).check(new)[rule].mean() for rule in rules]
print(broken.to_string(float_format="{:.1%}".format))
print({key: sampler.constraints_report_[key] for key in ("rows", "repaired", "reverted")})
bars = (100 * broken[::-1]).plot.barh(color=["C5", "C0"], figsize=(9, 3), xlim=(0, 100))
bars.set(title="New rows that break a rule", xlabel="% of new rows")
plt.show()
