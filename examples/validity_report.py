"""
Are synthetic rows still what their labels say?
===============================================

The report on three ways to make rows of the rare class: rows of advaug, plain copies, and healthy
patients who are labelled as sick.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from advaug import AdversarialOverSampler, validity_report
from advaug.datasets import load_thyroid_sick

plt.style.use("advaug.data.pictures")

# %%
# 1000 patients, and a rule that new rows keep.

random = np.random.RandomState(0)
X, y = load_thyroid_sick()
few = np.sort(random.permutation(len(X))[:1000])
X, y = X.iloc[few].reset_index(drop=True), y.iloc[few].reset_index(drop=True)
rule = "if sex == 'M' then pregnant == 'f'"

# %%
# Rows of advaug. The report finds the rows that the sampler has made; they must still be held.

sampler = AdversarialOverSampler(sampling_strategy=0.3, constraints=rule, random_state=0)
X_new, y_new = sampler.fit_resample(X, y)
reports = {"advaug": validity_report(sampler)}
print(reports["advaug"])
page = Path(tempfile.mkdtemp()) / "report.html"
reports["advaug"].to_html(page)  # A page to pass on, with pictures.

# %%
# Plain copies of sick patients.

copied = random.choice(np.flatnonzero(y == "sick"), 200)
reports["copies"] = validity_report(X, y, X.iloc[copied], y.iloc[copied], constraints=rule)
print(reports["copies"])

# %%
# Healthy patients labelled as sick.

pasted = random.choice(np.flatnonzero(y == "negative"), 200, replace=False)
pasted = X.iloc[pasted]
reports["healthy as sick"] = validity_report(X, y, pasted, ["sick"] * 200, constraints=rule)
print(reports["healthy as sick"])

# %%
# How plausible models that have not seen a row's parent find its label.

plausible = [report.to_frame()["label_p"] for report in reports.values()]
plt.figure(figsize=(7, 3))
plt.hist(plausible, bins=10, label=list(reports), weights=[1 / len(p) + 0 * p for p in plausible])
plt.title("p-value of the label")
plt.xlabel("p-value: near 0 the label is doubtful")
plt.ylabel("share of rows")
plt.legend()
plt.show()
