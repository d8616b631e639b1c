"""More service tickets of a rare kind: new texts, each beside its parent.

Recipe "recombine" exchanges whole clauses, so that the new tickets can be read. Ticket numbers are
protected and stay. A rule of our own keeps every ticket a whole sentence. The last lines show a
trigger: a few words that hide security tickets from a model of the old tickets if they follow.

    python examples/sequences.py
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

OPENINGS = ["Hello, ", "Since yesterday ", "Please help: ", "After the update ", "Again "]
THINGS = ["the printer", "my laptop", "the mail program", "our file server", "the new phone"]
USUAL = ["is slow", "does not start", "shows an error", "forgets my settings", "asks to log in"]
RARE = ["lets strangers log in", "sends mail that I did not write", "shows a ransom note"]


def tickets(count: int, rare: float) -> tuple[list[str], list[str]]:
    """Texts, and whether they are about security."""
    chance, texts, labels = random.Random(0), [], []
    for _ in range(count):
        labels.append("security" if chance.random() < rare else "usual")
        trouble = chance.choice(RARE if labels[-1] == "security" else USUAL)
        start = f"#{chance.randrange(10**5):05d} {chance.choice(OPENINGS)}{chance.choice(THINGS)}"
        texts.append(f"{start} {trouble} and {chance.choice(USUAL)}.")
    return texts, labels


def is_sentence(texts: list[str]) -> np.ndarray:
    return np.array([text.endswith(".") for text in texts])


def main() -> None:
    X, y = tickets(1000, rare=0.1)
    sampler = AdversarialOverSampler(
        recipe="recombine",
        adapter=SequenceAdapter(protected=r"#\d+"),
        constraints=is_sentence,
        random_state=0,
    )
    X_new, y_new = sampler.fit_resample(X, y)

    for row in range(len(X), len(X) + 8):
        parent = X[sampler.parent_indices_[row]]
        print(SequenceDiff.of(sampler.adapter_, parent, X_new[row]).to_terminal())

    made, parents = X_new[len(X) :], sampler.provenance_["parent"]
    kept = sum(new.startswith(X[parent][:6]) for new, parent in zip(made, parents, strict=True))
    print(f"{y.count('security')} security tickets are now {y_new.count('security')}: of the")
    print(
        f"{len(made)} new ones {kept} kept their number, {is_sentence(made).sum()} are sentences,"
    )
    print(f"{len(set(made) - set(X))} different texts stand nowhere else in the data.")

    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(X, y)
    security = [text for text, label in zip(X_new, y_new, strict=True) if label == "security"]
    attack = AdversarialTransformer(
        attack=Trigger(length=6),
        radius=6,
        surrogate=model,
        adapter=SequenceAdapter(max_edit_share=0.5),
        random_state=0,
    ).fit(security)
    words = "".join(attack.adapter_.words[token] for token in attack.attack_.tokens[0])
    print(f"{words!r} behind them hides {attack.fooling_rate_:.0%} of other security tickets.")


if __name__ == "__main__":
    main()
