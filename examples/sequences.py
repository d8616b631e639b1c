"""
New service tickets beside their parents
========================================

Tickets of a rare kind are made by exchanging whole clauses, so that they can be read. Ticket
numbers are protected. A rule of our own keeps every ticket a whole sentence.
"""

import random

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from advaug import AdversarialOverSampler, AdversarialTransformer
from advaug.adapters import SequenceAdapter
from advaug.attacks import Trigger
from advaug.report import SequenceDiff

# %%
# 1000 tickets, of which about 100 are about security.

chance = random.Random(0)
openings = ["Hello, ", "Since yesterday ", "Please help: ", "After the update ", "Again "]
things = ["the printer", "my laptop", "the mail program", "our file server", "the new phone"]
usual = ["is slow", "does not start", "shows an error", "forgets my settings", "asks to log in"]
rare = ["lets strangers log in", "sends mail that I did not write", "shows a ransom note"]
y = ["security" if chance.random() < 0.1 else "usual" for _ in range(1000)]
X = [
    f"#{chance.randrange(10**5):05d} {chance.choice(openings)}{chance.choice(things)} "
    f"{chance.choice(rare if kind == 'security' else usual)} and {chance.choice(usual)}."
    for kind in y
]

# %%
# New tickets, each below its parent. Notebooks show the last one in colour.


def is_sentence(texts):
    return np.array([text.endswith(".") for text in texts])


adapter = SequenceAdapter(protected=r"#\d+")
sampler = AdversarialOverSampler(
    recipe="recombine", adapter=adapter, constraints=is_sentence, random_state=0
)
X_new, y_new = sampler.fit_resample(X, y)
new = X_new[len(X) :]
print(f"{len(new)} new tickets, {len(set(new) - set(X))} of them stand nowhere else in the data")
for parent, text in zip(sampler.provenance_["parent"][:5], new, strict=False):
    print(f"\nparent {X[parent]}\nnew    {text}")
SequenceDiff.of(sampler.adapter_, X[parent], text)

# %%
# A trigger: a few words that hide security tickets from a model if they follow.

model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(X, y)
security = [text for text, kind in zip(X_new, y_new, strict=True) if kind == "security"]
attack = AdversarialTransformer(
    attack=Trigger(length=6),
    radius=6,
    surrogate=model,
    adapter=SequenceAdapter(max_edit_share=0.5),
    random_state=0,
).fit(security)
words = "".join(attack.adapter_.words[token] for token in attack.attack_.tokens[0])
print(f"{words!r} behind them hides {attack.fooling_rate_:.0%} of other security tickets")
