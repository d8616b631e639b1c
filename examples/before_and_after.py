"""
Before and after: new rows that could be real
=============================================

SMOTE and advaug grow the same rare class. The table holds orders: items are whole numbers, the
amount is in steps of 5, and -20 means that it is unknown. Which new rows could be real orders?
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from imblearn.over_sampling import SMOTE

from advaug import AdversarialOverSampler

plt.style.use("advaug.data.pictures")
UNKNOWN = -20

# %%
# The table: one order in twelve is returned. Returned orders have more items.

random = np.random.default_rng(0)
y = np.arange(600) % 12 == 0
items = random.poisson(np.where(y, 5, 2)) + 1
amount = 5 * np.ceil(items * random.gamma(4, np.where(y, 0.6, 0.9)))
amount[random.random(600) < 0.12] = UNKNOWN
X = pd.DataFrame({"items": items, "amount": amount})

# %%
# Both samplers make as many returned orders as there are others. SMOTE gets floats, since it would
# cut off the fractions of whole numbers.

new = {
    "SMOTE": SMOTE(random_state=0).fit_resample(X.astype(float), y)[0].iloc[600:],
    "advaug": AdversarialOverSampler(random_state=0).fit_resample(X, y)[0].iloc[600:],
}

# %%
# An order could be real if it has whole items, and an amount that is unknown or in steps of 5.

figure, axes = plt.subplots(1, 3, figsize=(12, 3.8), sharex=True, sharey=True)
axes[0].set(title=f"{y.sum()} of {len(y)} orders were returned", ylabel="amount, euros")
axes[0].scatter(*X[~y].to_numpy().T, 12, "#bbbbbb", label="kept orders")
axes[0].scatter(*X[y].to_numpy().T, 16, "C0", label="returned orders")
for axis, (name, rows) in zip(axes[1:], new.items(), strict=True):
    known = (rows["amount"] > 0) & (rows["amount"] % 5 == 0)
    good = (rows["items"] % 1 == 0) & ((rows["amount"] == UNKNOWN) | known)
    print(f"{name}: {good.mean():.1%} of {len(rows)} new rows could be real")
    axis.set(title=f"{name}: {good.mean():.0%} of {len(rows)} could be real")
    axis.scatter(*X[~y].to_numpy().T, 12, "#bbbbbb")
    axis.scatter(*rows[good].to_numpy().T, 16, "C4", label="could be real")
    axis.scatter(*rows[~good].to_numpy().T, 16, "C5", marker="x", label="could not be real")
for axis in axes:
    axis.set_xlabel("items")
    axis.legend(loc="upper left")
plt.show()
