"""Learners of sequences: linear ones, naive Bayes and near rows on TF-IDF, boosting on hashed
n-grams, a small net.

Words, characters or tokens as fits the set. Blends of two rows are mixed in the features; the net,
which has none before it has learnt, takes the nearer of the two rows.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_matrix, diags
from scipy.special import expit
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC

from benchmarks.oversampling.learners import smallest_leaf
from benchmarks.oversampling.samplers import Fold
from benchmarks.oversampling.sequences import GRAMS, Blend, texts_of, tfidf, tokens_of, unit_of

HASHED = 512  # columns of the boosting
WORDS = 5000  # most frequent tokens that the net knows
LONGEST = 128  # tokens that the net reads
HIDDEN = 0.1  # share of a batch's tokens that it is not shown: so it learns what unknown ones mean
UPDATES, BATCH = 250, 64  # of the net: the same for all, or growing would win by more steps


def mixed(rows: np.ndarray, transform: Callable[[list[str]], Any]) -> csr_matrix:
    """The rows' features, a blend's between those of its two rows."""
    blends = [row if isinstance(row, Blend) else Blend(row, row, 0.0) for row in rows]
    made = transform(texts_of(blend.first for blend in blends))
    steps = np.array([blend.step for blend in blends])
    if not steps.any():
        return made
    far = transform(texts_of(blend.second for blend in blends))
    return csr_matrix(diags(1 - steps) @ made + diags(steps) @ far)


class NeighborsOfText(KNeighborsClassifier):
    """The 15 nearest rows by the cosine, weighed by it; sample weights are dropped."""

    def __init__(self) -> None:
        super().__init__(15, weights=lambda distance: 1.001 - distance, metric="cosine")

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "NeighborsOfText":
        return super().fit(X, y)


def linear(make: Callable[[int], Any]) -> Callable[..., np.ndarray]:
    """A model on TF-IDF; a margin is passed through a sigmoid."""

    def probabilities(
        fold: Fold, X: np.ndarray, y: np.ndarray, X_test: np.ndarray, weights: np.ndarray | None
    ) -> np.ndarray:
        real = [row for row in X if not isinstance(row, Blend)]
        space = tfidf(unit_of(X)).fit(texts_of(real))
        model = make(fold.seed).fit(mixed(X, space.transform), y, sample_weight=weights)
        asked = mixed(X_test, space.transform)
        if hasattr(model, "predict_proba"):
            return model.predict_proba(asked)
        margin = model.decision_function(asked)
        margin = np.stack([-margin, margin], axis=1) if margin.ndim == 1 else margin
        chance = expit(2 * margin)
        return chance / chance.sum(1, keepdims=True)

    return probabilities


def boosting(
    fold: Fold, X: np.ndarray, y: np.ndarray, X_test: np.ndarray, weights: np.ndarray | None
) -> np.ndarray:
    """Gradient boosting on hashed counts of n-grams, each row of length 1."""
    hashed = HashingVectorizer(
        **GRAMS[unit_of(X)], n_features=HASHED, alternate_sign=False, dtype=np.float32
    )
    model = HistGradientBoostingClassifier(
        max_iter=60,
        early_stopping=False,
        min_samples_leaf=smallest_leaf(min(len(X), len(fold.y))),
        random_state=fold.seed,
    )
    model.fit(mixed(X, hashed.transform).toarray(), y, sample_weight=weights)
    return model.predict_proba(mixed(X_test, hashed.transform).toarray())


class Net(torch.nn.Module):
    """Embedding, convolutions three and five tokens wide, the highest value of each."""

    def __init__(self, tokens: int, classes: int, width: int = 32) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(tokens, width, padding_idx=0)
        self.layers = torch.nn.ModuleList(
            torch.nn.Conv1d(width, width, size, padding=size // 2) for size in (3, 5)
        )
        self.head = torch.nn.Sequential(torch.nn.Dropout(0.3), torch.nn.Linear(2 * width, classes))

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        x = self.embedding(codes).transpose(1, 2)
        return self.head(torch.cat([layer(x).relu().amax(2) for layer in self.layers], dim=1))


def coded(rows: list[list[str]], known: dict[str, int]) -> torch.Tensor:
    """Tokens' numbers: 0 where a row has ended, 1 where a token is unknown."""
    made = torch.zeros(len(rows), LONGEST, dtype=torch.long)
    for place, row in zip(made, rows, strict=True):
        codes = [known.get(token, 1) for token in row[:LONGEST]]
        place[: len(codes)] = torch.tensor(codes, dtype=torch.long)
    return made


def net(
    fold: Fold, X: np.ndarray, y: np.ndarray, X_test: np.ndarray, weights: np.ndarray | None
) -> np.ndarray:
    """A small convolutional net on embedded tokens."""
    unit = unit_of(X)
    nearer = [(x.first if x.step < 0.5 else x.second) if isinstance(x, Blend) else x for x in X]
    rows = [tokens_of(row, unit)[:LONGEST] for row in nearer]
    common = Counter(token for row in rows for token in row).most_common(WORDS)
    known = {token: code for code, (token, _) in enumerate(common, 2)}
    codes, labels = coded(rows, known), torch.from_numpy(np.asarray(y))
    weight = torch.ones(len(y)) if weights is None else torch.from_numpy(weights).float()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(fold.seed)
        model = Net(len(known) + 2, int(y.max()) + 1)
        train(model, codes, labels, weight)
    asked = coded([tokens_of(row, unit) for row in X_test], known)
    with torch.inference_mode():
        return torch.cat([model(part).softmax(1) for part in asked.split(256)]).numpy()


def train(model: Net, codes: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor) -> None:
    """A fixed number of updates on random batches, a tenth of the tokens hidden."""
    steps = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-2)
    for _ in range(UPDATES):
        batch = torch.randint(len(codes), (BATCH,))
        seen, hidden = codes[batch], torch.rand(BATCH, LONGEST) < HIDDEN
        seen = torch.where(hidden & (seen > 0), 1, seen)
        loss = torch.nn.functional.cross_entropy(model(seen), labels[batch], reduction="none")
        steps.zero_grad()
        (loss * weight[batch]).mean().backward()
        steps.step()
    model.eval()


LEARNERS = {
    "tfidf logistic": linear(lambda seed: LogisticRegression(max_iter=300, random_state=seed)),
    "tfidf svm": linear(lambda seed: LinearSVC(random_state=seed)),
    "naive bayes": linear(lambda seed: MultinomialNB(alpha=0.1)),
    "tfidf knn": linear(lambda seed: NeighborsOfText()),
    "convolutional net": net,
    "hashed boosting": boosting,
}
TAKES_NO_WEIGHTS = ("tfidf knn",)


def probabilities(
    learner: str,
    fold: Fold,
    X: np.ndarray,
    y: np.ndarray,
    X_test: np.ndarray,
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """Train and ask: (test rows, classes). `TAKES_NO_WEIGHTS` pays no heed to weights."""
    return LEARNERS[learner](fold, X, y, X_test, weights)
