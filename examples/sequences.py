"""More service tickets of a rare kind: new texts between real ones, shown against their parents.

Ticket numbers are protected and stay; a rule of our own keeps every ticket a sentence.

    python examples/sequences.py
"""

import random

import numpy as np
from imblearn.pipeline import make_pipeline
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.model_selection import cross_val_predict

from advaug import AdversarialOverSampler
from advaug.adapters import SequenceAdapter
from advaug.inspection import SequenceDiff

OPENINGS = ["Hello, ", "Since yesterday ", "Please help: ", "After the update ", "Again "]
THINGS = ["the printer", "my laptop", "the mail program", "our file server", "the new phone"]
USUAL = ["is slow", "does not start", "shows an error", "forgets my settings", "asks to log in"]
URGENT = ["lets strangers log in", "sends mail that I did not write", "shows a ransom note"]


def tickets(count: int, rare: float, seed: int = 0) -> tuple[list[str], list[int]]:
    """Texts and whether they are about security; the words overlap."""
    chance = random.Random(seed)
    texts, labels = [], []
    for _ in range(count):
        is_rare = chance.random() < rare
        trouble = chance.choice(URGENT if is_rare ^ (chance.random() < 0.03) else USUAL)
        where = f"{chance.choice(OPENINGS)}{chance.choice(THINGS)} {trouble}"
        texts.append(f"#{chance.randrange(10**5):05d} {where} and {chance.choice(USUAL)}.")
        labels.append(int(is_rare))
    return texts, labels


def ends_well(texts: list[str]) -> np.ndarray:
    return np.array([text.endswith(".") for text in texts])


def main() -> None:
    X, y = tickets(600, rare=0.06)
    adapter = SequenceAdapter(protected=r"#\d+")
    sampler = AdversarialOverSampler(adapter=adapter, constraints=ends_well, random_state=0)
    X_new, _ = sampler.fit_resample(X, y)
    for row in range(len(X), len(X) + 5):
        parent = X[sampler.parent_indices_[row]]
        print(SequenceDiff.of(sampler.adapter_, parent, X_new[row]).to_terminal())

    for name, steps in {"as it is": [], "over-sampled": [sampler]}.items():
        model = make_pipeline(*steps, TfidfVectorizer(), LogisticRegression())
        score = cross_val_predict(model, X, y, method="predict_proba")[:, 1]
        print(f"{name:<13} average precision {average_precision_score(y, score):.3f}")


if __name__ == "__main__":
    main()
