"""33 premature heart beats among 433, two leads: over-sampling inside a pipeline.

Every sampler sees training folds only. Time warping is a simple and strong rival on signals.

python examples/ecg_pipeline.py            # a table on the screen, about two minutes
"""

import numpy as np
from imblearn import FunctionSampler
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import make_pipeline
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_validate
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from advaug import AdversarialOverSampler
from advaug.datasets import load_ecg_beats


def flattened(X: np.ndarray) -> np.ndarray:
    return X.reshape(len(X), -1)


def smote(X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """SMOTE sees a signal as 504 columns."""
    flat, y = SMOTE(random_state=0).fit_resample(flattened(X), y)
    return flat.reshape(-1, *X.shape[1:]), y


def time_warp(X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Copies of rare signals read at a clock that runs smoothly faster and slower (sd .2)."""
    rng, place = np.random.default_rng(0), np.linspace(0, 1, X.shape[2])
    rare = np.flatnonzero(y)
    parents = rng.choice(rare, len(y) - 2 * len(rare))
    bends = rng.normal(0, 0.2, (len(parents), 3)) / (np.pi * np.arange(1, 4))
    clock = place + bends @ np.sin(np.pi * np.arange(1, 4)[:, None] * place)
    new = [
        [np.interp(t, place, lead) for lead in X[k]] for k, t in zip(parents, clock, strict=True)
    ]
    return np.concatenate([X, np.rint(new).astype(X.dtype)]), np.concatenate([y, y[parents]])


SAMPLERS = {
    "nothing": "passthrough",
    "SMOTE, flattened": FunctionSampler(func=smote, validate=False),
    "time warp": FunctionSampler(func=time_warp, validate=False),
    "advaug": AdversarialOverSampler(random_state=0),
}
LEARNERS = {
    "logistic": make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000)),
    "forest": RandomForestClassifier(100, random_state=0),
}


def main() -> None:
    X, y = load_ecg_beats()
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    print(f"{'5 folds of ' + str(X.shape):28s}{'learner':10s} AP    macro F1   (sd over folds)")
    for learner, model in LEARNERS.items():
        for name, sampler in SAMPLERS.items():
            pipeline = make_pipeline(sampler, FunctionTransformer(flattened), model)
            scores = {"AP": "average_precision", "F1": "f1_macro"}
            found = cross_validate(pipeline, X, y == "premature", cv=folds, scoring=scores)
            ap, f1 = found["test_AP"], found["test_F1"]
            print(f"{name:28s}{learner:10s} {ap.mean():.3f} {f1.mean():.3f}"
                  f"      ({ap.std():.3f} {f1.std():.3f})")  # fmt: skip


if __name__ == "__main__":
    main()
