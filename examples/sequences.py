"""
New service tickets beside their parents
========================================

Tickets of a rare kind are made by exchanging whole sentences, so that they can be read. Ticket
numbers are protected. A rule of our own keeps every ticket a text that ends in a full stop.
"""

import random

import matplotlib.pyplot as plt
import numpy as np

from advaug import AdversarialOverSampler
from advaug.adapters import SequenceAdapter
from advaug.report import SequenceDiff

plt.style.use("advaug.data.pictures")

# %%
# 1000 tickets, of which about 100 are about security.

chance = random.Random(0)
openings = ["Hello, ", "Since yesterday ", "Please help: ", "After the update ", "Again "]
things = ["printer", "laptop", "scanner", "server", "phone"]
usual = ["is slow", "does not start", "shows an error", "forgets my settings", "asks to log in"]
rare = ["lets strangers log in", "sends mail that I did not write", "shows a ransom note"]
tried = ["I restarted the {} twice", "I cleaned the {} before", "We rented the {} in spring"]
closings = ["Thank you for your help.", "Please call me today.", "I can wait until Friday."]


def ticket(kind):
    """A ticket of two or three sentences about one thing."""
    thing, flaw = chance.choice(things), chance.choice(rare if kind == "security" else usual)
    parts = [
        f"{chance.choice(openings)}the {thing} {flaw}.",
        f"{chance.choice(tried).format(thing)} and it {chance.choice(usual)}.",
        chance.choice([*closings, ""]),
    ]
    return f"#{chance.randrange(10**5):05d} {' '.join(parts).strip()}"


y = ["security" if chance.random() < 0.1 else "usual" for _ in range(1000)]
X = [ticket(kind) for kind in y]

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
plt.figure(figsize=(6, 2.8))
plt.hist(sampler.provenance_["distance"], bins=range(20), rwidth=0.9)
plt.title("How far new tickets are from their parents")
plt.xlabel("edits of tokens")
plt.ylabel("new tickets")
plt.show()
SequenceDiff.of(sampler.adapter_, X[parent], text)
