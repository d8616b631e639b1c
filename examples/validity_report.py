"""
Are synthetic rows still what their labels say?
===============================================

The report on three ways to make rows of the rare class: rows of advaug, plain copies, and healthy
patients who are labelled as sick.
"""

import tempfile
from pathlib import Path

import numpy as np

from advaug import AdversarialOverSampler, validity_report
from advaug.datasets import load_thyroid_sick

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
report = validity_report(sampler)
print(report)
page = Path(tempfile.mkdtemp()) / "report.html"
report.to_html(page)  # A page to pass on, with pictures.

# %%
# Plain copies of sick patients.

copied = random.choice(np.flatnonzero(y == "sick"), 200)
print(validity_report(X, y, X.iloc[copied], y.iloc[copied], constraints=rule))

# %%
# Healthy patients labelled as sick.

pasted = random.choice(np.flatnonzero(y == "negative"), 200, replace=False)
print(validity_report(X, y, X.iloc[pasted], ["sick"] * 200, constraints=rule))
