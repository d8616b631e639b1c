"""What the defences buy and what they cost, each beside its control: noise of the same radius.

    python -m benchmarks.defences --data FOLDER [--parts images tables distillation ...]

FOLDER holds manifest.csv, read.py and image/mnist_t10k.npz. Parts:

images        errors on clean, noisy and attacked images: a convolutional net trained plainly, with
              noise, on FGSM, on PGD
tables        clean AP and balanced accuracy under PGD at .3 standard deviations, ten tables
distillation  an attack on the cross-entropy's gradient, and one on the log-odds, against a net and
              its student
compression   a student of a committee: the share kept of the AP that it gains over one net
detector      AUC on held-out images of the attack it saw, of others, of one that knows it
unlabelled    VAT with a tenth of the labels, five tables
cost          CPU of training beside plain training

Tables are the first of benchmarks.judge that are no other's variant, at most 1000 rows of the
majority, a third held out. Nets are the default small ones unless the part says otherwise.
"""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import json
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_digits
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import average_precision_score, balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import StratifiedShuffleSplit, train_test_split
from torch import nn
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from advaug import AdversarialTransformer
from advaug.adapters import SignalAdapter
from advaug.attacks import FGSM, PGD, Instrument, climb
from advaug.defences import AdversarialClassifier, AdversarialDetector, DistilledClassifier
from advaug.surrogates import Training
from benchmarks.judge import binary_sets, thinned
from benchmarks.oversampling.data import encoder_of, load
from benchmarks.oversampling.instruments import SHIFTS
from benchmarks.oversampling.report import machine, markdown

Rows = tuple[Any, Any, np.ndarray, np.ndarray]  # X_train, X_test, y_train, y_test
Record = dict[str, Any]


def under(model: Any, X: Any, y: Any, attack: Any, radius: float, norm: float = np.inf) -> Any:
    """Rows moved against their labels and the model."""
    mover = AdversarialTransformer(
        attack=attack, radius=radius, norm=norm, surrogate=model, random_state=0
    )
    return mover.fit(X, y).transform(X, y)


# ---------------------------------------------------------------- images


def images(folder: Path, name: str, seed: int) -> Rows:
    """8000 and 2000 images of MNIST, or two halves of scikit-learn's digits: (n, 1, h, w)."""
    if name == "MNIST":
        with np.load(folder / "image" / "mnist_t10k.npz") as data:
            X, y, sizes = data["X"], data["y"], {"train_size": 8000, "test_size": 2000}
    else:
        X, y = load_digits(return_X_y=True)
        X, sizes = np.rint(X * 255 / 16).astype(np.uint8).reshape(-1, 8, 8), {"test_size": 0.5}
    return tuple(train_test_split(X[:, None], y, **sizes, stratify=y, random_state=seed))


IMAGES = {"MNIST": 0.25, "digits": 0.1}  # radius, black to white
WAYS: dict[str, dict[str, Any]] = {
    "plain": {"alpha": 1},
    "noise": {"attack": "noise"},
    "FGSM": {"attack": "fgsm"},
    "PGD": {"attack": PGD(steps=7)},
}
FARTHER = 1.3  # times the radius of the attack
IMAGE_WAYS = {
    **WAYS,
    "FGSM, alpha .8": {"attack": "fgsm", "alpha": 0.8},
    "PGD, farther": {"attack": PGD(steps=7), "alpha": 0.3},
}
EPOCHS = {"MNIST": 15, "digits": 60}


def convolutions(pixels: int, seed: int) -> nn.Module:
    """Two strided convolutions and a hidden layer, from images of so many pixels a side."""
    torch.manual_seed(seed)
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 5, 2, 2), nn.ReLU(), nn.Conv2d(16, 32, 5, 2, 2), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(32 * (pixels // 4) ** 2, 128), nn.ReLU(), nn.Linear(128, 10)),
    )


def deeper(pixels: int, seed: int, width: int = 48) -> nn.Module:
    """Four convolutions of three pixels, two of them strided, and a hidden layer."""
    torch.manual_seed(seed)
    shapes = [(1, width, 1), (width, width, 2), (width, 2 * width, 1), (2 * width, 2 * width, 2)]
    layers = [(nn.Conv2d(into, out, 3, step, 1), nn.ReLU()) for into, out, step in shapes]
    flat = 2 * width * (pixels // 4) ** 2
    return nn.Sequential(
        *(part for layer in layers for part in layer),
        *(nn.Flatten(), nn.Linear(flat, 128), nn.ReLU(), nn.Linear(128, 10)),
    )


def of_images(folder: Path, seeds: int) -> Iterator[Record]:
    for seed in range(seeds):
        for name, radius in IMAGES.items():
            X, X_test, y, y_test = images(folder, name, seed)
            net = (convolutions if name == "MNIST" else deeper)(X.shape[-1], seed)
            training = Training(epochs=EPOCHS[name], rate=2e-3)
            for way, settings in IMAGE_WAYS.items():
                model = AdversarialClassifier(
                    radius=radius * (FARTHER if "farther" in way else 1),
                    module=net,
                    training=training,
                    random_state=seed,
                    **settings,
                ).fit(X, y)
                record = {"data": name, "radius": radius, "trained": way, "seed": seed}
                record["clean"] = 100 * (1 - model.score(X_test, y_test))
                for attack in ("noise", "fgsm", "pgd"):
                    moved = under(model, X_test, y_test, attack, radius)
                    record[attack] = 100 * (1 - model.score(moved, y_test))
                yield record


def table_of_images(found: pd.DataFrame) -> pd.DataFrame:
    """Errors in percent, mean over seeds."""
    keys = ["data", "radius", "trained"]
    return found.groupby(keys, sort=False)[["clean", "noise", "fgsm", "pgd"]].mean()


# ---------------------------------------------------------------- tables


def tables(folder: Path, most: int, seeds: int) -> Iterator[tuple[str, int, Rows]]:
    for name in tqdm(binary_sets(folder, core=True)[:most]):
        table = load(folder, name)
        for seed in range(seeds):
            chance = np.random.RandomState(seed)
            rows = thinned(np.arange(len(table.y)), table.y, chance)
            X, y = table.X.iloc[rows].reset_index(drop=True), table.y[rows]
            split = StratifiedShuffleSplit(1, test_size=1 / 3, random_state=seed)
            train, test = next(split.split(X, y))
            X_train, X_test = (X.iloc[part].reset_index(drop=True) for part in (train, test))
            yield name, seed, (X_train, X_test, y[train], y[test])


TABLE_RADIUS = 0.3
TABLE_WAYS: dict[str, dict[str, Any]] = {
    **WAYS,
    "FGSM, alpha .8": {"attack": "fgsm", "alpha": 0.8},
    "TRADES, beta 1": {"loss": "trades"},
}


def of_tables(folder: Path, seeds: int) -> Iterator[Record]:
    for name, seed, (X, X_test, y, y_test) in tables(folder, 10, seeds):
        for way, settings in TABLE_WAYS.items():
            model = AdversarialClassifier(
                radius=TABLE_RADIUS, class_weight="balanced", random_state=seed, **settings
            ).fit(X, y)
            moved = under(model, X_test, y_test, PGD(steps=20), TABLE_RADIUS)
            noisy = under(model, X_test, y_test, "noise", TABLE_RADIUS)
            said = {"clean": X_test, "noise": noisy, "robust": moved}
            record = {"set": name, "seed": seed, "trained": way}
            record["clean AP"] = average_precision_score(y_test, model.predict_proba(X_test)[:, 1])
            for kind, rows in said.items():
                predicted = model.predict(rows)
                record[f"{kind} accuracy"] = float((predicted == y_test).mean())
                record[f"{kind} balanced"] = balanced_accuracy_score(y_test, predicted)
                for label in (0, 1):
                    record[f"{kind} recall {label}"] = float(
                        (predicted[y_test == label] == label).mean()
                    )
            yield record


def table_of_tables(found: pd.DataFrame) -> pd.DataFrame:
    """Medians over sets of each way, and of its difference to plain training on the same rows
    (the median of differences is not the difference of medians: read the gains)."""
    shown = [
        "clean AP",
        *(f"{kind} {score}" for kind in ("clean", "robust") for score in ("accuracy", "balanced")),
        "robust recall 0",
        "robust recall 1",
    ]
    means = found.groupby(["trained", "set"], sort=False)[shown].mean()
    gains = means - means.xs("plain", level="trained")
    median = means.groupby(level="trained", sort=False).median()
    gain = gains.groupby(level="trained", sort=False).median()
    return median.join(
        gain[["clean AP", "clean balanced", "robust accuracy", "robust balanced"]].add_prefix(
            "gain: "
        )
    )


# ---------------------------------------------------------------- instruments

SIGNALS = ("ecg200", "gunpoint", "basic_motions", "libras_traj", "italy_power_demand", "cbf")
RECORDER = Instrument(gain=0.5, offset=0.5, drift=0.5, clock=0.1, noise=0.3, cutoff=0.1)
SIGNAL_WAYS: dict[str, dict[str, Any]] = {
    "plain": {"alpha": 1},
    "noise": {"attack": "noise", "radius": 0.3},
    "instruments at random": {"attack": replace(RECORDER, steps=0), "radius": 1.0},
    "instruments that fool it": {"attack": replace(RECORDER, steps=2, step=0.5), "radius": 1.0},
}


def of_instruments(folder: Path, seeds: int) -> Iterator[Record]:
    for name in tqdm(SIGNALS):
        table = load(folder, name, "multiclass", "signal")
        for seed in range(seeds):
            half = len(table.y) // 2
            X, X_test, y, y_test = train_test_split(
                table.X,
                table.y,
                train_size=min(half, 300),
                test_size=min(half, 300),
                stratify=table.y,
                random_state=seed,
            )
            scale = X.std(axis=(0, 2), keepdims=True)
            asked = {
                kind: (scale * shift(X_test / scale, np.random.default_rng(seed))).astype(X.dtype)
                for kind, shift in SHIFTS.items()
            }
            for way, settings in SIGNAL_WAYS.items():
                adapter = SignalAdapter(bounds=(-2 * np.abs(X).max(), 2 * np.abs(X).max()))
                model = AdversarialClassifier(
                    adapter=adapter, random_state=seed, **settings
                ).fit(X, y)
                record = {"set": name, "seed": seed, "trained": way}
                for kind, rows in asked.items():
                    record[kind] = balanced_accuracy_score(y_test, model.predict(rows))
                yield record


def table_of_instruments(found: pd.DataFrame) -> pd.DataFrame:
    """Balanced accuracy on each test instrument, mean over sets; the mean loss on the others from
    what plain training reaches on its own instrument, and its share of plain training's loss."""
    means = found.drop(columns="seed").groupby(["trained", "set"], sort=False).mean()
    table = means.groupby(level="trained", sort=False).mean()
    table["loss"] = table.loc["plain", "as it is"] - table.drop(columns="as it is").mean(axis=1)
    table["of plain's"] = table["loss"] / table.loc["plain", "loss"]
    return table


# ---------------------------------------------------------------- distillation


@dataclass
class CrossEntropyFGSM:
    """The textbook step: the sign of the cross-entropy's own float32 gradient, which vanishes."""

    def __call__(
        self, objective: Any, seed: Any, space: Any, radius: Any, generator: Any
    ) -> torch.Tensor:
        def loss(x: torch.Tensor) -> torch.Tensor:
            return cross_entropy(objective.logits(x), objective.label, reduction="none")

        return climb(loss, seed, space, radius, steps=1, step=1.0)  # type: ignore[arg-type]


def of_distillation(folder: Path, seeds: int) -> Iterator[Record]:
    for seed in range(seeds):
        for name, radius in IMAGES.items():
            X, X_test, y, y_test = images(folder, name, seed)
            net = AdversarialClassifier(alpha=1, random_state=seed).fit(X, y)
            models = {"a net": net}
            for warmth in (1, 20, 100):
                models[f"its student, T = {warmth}"] = DistilledClassifier(
                    FrozenEstimator(net), temperature=warmth, random_state=seed
                ).fit(X, y)
            for who, model in models.items():
                record = {"data": name, "radius": radius, "model": who, "seed": seed}
                record["clean"] = 100 * (1 - model.score(X_test, y_test))
                for kind, attack in (
                    ("noise", "noise"),
                    ("FGSM on cross-entropy", CrossEntropyFGSM()),
                    ("FGSM on log-odds", FGSM()),
                    ("PGD on the margin", PGD(stop_at=0.0)),
                ):
                    moved = quietly(under, model, X_test, y_test, attack, radius)
                    record[kind] = 100 * (1 - model.score(moved, y_test))
                yield record


def quietly(function: Callable[..., Any], *given: Any) -> Any:
    """Without the warning of rows that an attack could not move: they are the point here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".* rows were not moved by")
        return function(*given)


def table_of_distillation(found: pd.DataFrame) -> pd.DataFrame:
    """Errors in percent, mean over seeds."""
    return found.drop(columns="seed").groupby(["data", "radius", "model"], sort=False).mean()


# ---------------------------------------------------------------- compression


class Voices(ClassifierMixin, BaseEstimator):
    """A committee: five small nets, extra trees and boosting, each family with one vote."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def fit(self, X: pd.DataFrame, y: np.ndarray) -> "Voices":
        self.classes_, self.encode_ = np.unique(y), encoder_of(X)
        self.nets_ = [AdversarialClassifier(alpha=1, random_state=k).fit(X, y) for k in range(5)]
        rows = self.encode_(X)
        self.trees_ = [
            ExtraTreesClassifier(200, min_samples_leaf=3, random_state=0).fit(rows, y),
            HistGradientBoostingClassifier(
                max_iter=60, learning_rate=0.07, max_leaf_nodes=15, random_state=0
            ).fit(rows, y),
        ]
        return self

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        nets = np.mean([net.predict_proba(X) for net in self.nets_], axis=0)
        rows = self.encode_(X)
        return np.mean([nets, *(tree.predict_proba(rows) for tree in self.trees_)], axis=0)


def of_compression(folder: Path, seeds: int) -> Iterator[Record]:
    for name, seed, (X, X_test, y, y_test) in tables(folder, 10, seeds):
        committee = Voices().fit(X, y)
        alone = AdversarialClassifier(alpha=1, random_state=seed).fit(X, y)
        students = {
            f"student, {copies} copies": DistilledClassifier(
                FrozenEstimator(committee), temperature=1, copies=copies, random_state=seed
            ).fit(X, y)
            for copies in (0, 5)
        }
        record: Record = {"set": name, "seed": seed}
        for who, model in {"committee": committee, "net alone": alone, **students}.items():
            record[who] = average_precision_score(y_test, model.predict_proba(X_test)[:, 1])
        yield record


def table_of_compression(found: pd.DataFrame) -> pd.DataFrame:
    """AP by set, its mean, and the share of the committee's mean gain that each model keeps."""
    means = found.drop(columns="seed").groupby("set", sort=False).mean()
    means.loc["mean"] = means.mean()
    gain = means.loc["mean"] - means.loc["mean", "net alone"]
    means.loc["share of the gain"] = gain / gain["committee"]
    return means


# ---------------------------------------------------------------- detector


@dataclass
class Knowing:
    """PGD that turns the net and keeps the detector calm: it raises both log-odds at once.

    In long steps, then in short ones: a pixel that the detector watches must not tremble.
    """

    detector: AdversarialDetector
    weight: float = 1.0

    def __call__(
        self, objective: Any, seed: Any, space: Any, radius: Any, generator: Any
    ) -> torch.Tensor:
        def both(x: torch.Tensor) -> torch.Tensor:
            says = self.detector.net_.module(x)
            return objective(x).clamp_max(1) + self.weight * (says[:, 0] - says[:, 1]).clamp_max(1)

        near = climb(both, seed, space, radius, steps=60, step=0.1)  # type: ignore[arg-type]
        return climb(both, seed, space, radius, steps=100, step=0.01, start=near)  # type: ignore[arg-type]


def of_detector(folder: Path, seeds: int) -> Iterator[Record]:
    for seed in range(seeds):
        for name, radius in IMAGES.items():
            X, X_test, y, y_test = images(folder, name, seed)
            net = AdversarialClassifier(alpha=1, random_state=seed).fit(X, y)
            for on in ("rows", "activations"):
                detector = AdversarialDetector(
                    surrogate=net, attack="fgsm", radius=radius, on=on, random_state=seed
                ).fit(X, y)
                tried: dict[str, tuple[Any, float, float]] = {
                    "fgsm (seen)": ("fgsm", radius, np.inf),
                    "pgd": ("pgd", radius, np.inf),
                    "deepfool": ("deepfool", np.inf, 2),
                    "pgd, half the radius": ("pgd", radius / 2, np.inf),
                    "noise": ("noise", radius, np.inf),
                }
                if on == "rows":
                    tried["pgd that knows it"] = (Knowing(detector), radius, np.inf)
                clean = -detector.score_samples(X_test)
                record = {"data": name, "on": on, "seed": seed}
                record["false alarms"] = float((detector.predict(X_test) == -1).mean())
                for kind, (attack, size, norm) in tried.items():
                    moved = quietly(under, net, X_test, y_test, attack, size, norm)
                    scores = np.concatenate([clean, -detector.score_samples(moved)])
                    truth = np.arange(len(scores)) >= len(clean)
                    record[kind] = roc_auc_score(truth, scores)
                    record[f"fooled: {kind}"] = float((net.predict(moved) != y_test).mean())
                yield record


def table_of_detector(found: pd.DataFrame) -> pd.DataFrame:
    """AUC by attack and the share of images on which the attack fools the net."""
    return found.drop(columns="seed").groupby(["data", "on"], sort=False).mean().T


# ---------------------------------------------------------------- rows without labels


def of_unlabelled(folder: Path, seeds: int) -> Iterator[Record]:
    for name, seed, (X, X_test, y, y_test) in tables(folder, 5, seeds):
        known, _ = next(StratifiedShuffleSplit(1, train_size=0.1, random_state=seed).split(X, y))
        few = np.full(len(y), -1)
        few[known] = y[known]
        X_few = X.iloc[known].reset_index(drop=True)
        ways = {
            "a tenth": (AdversarialClassifier(alpha=1, random_state=seed), X_few, y[known]),
            "a tenth, VAT": (AdversarialClassifier(loss="vat", random_state=seed), X, few),
            "a tenth, VAT with noise": (
                AdversarialClassifier(loss="vat", attack="noise", random_state=seed), X, few,
            ),
            "all labels": (AdversarialClassifier(alpha=1, random_state=seed), X, y),
        }  # fmt: skip
        record: Record = {"set": name, "seed": seed}
        for way, (model, rows, labels) in ways.items():
            said = model.fit(rows, labels).predict_proba(X_test)[:, 1]
            record[way] = average_precision_score(y_test, said)
        yield record


def table_of_unlabelled(found: pd.DataFrame) -> pd.DataFrame:
    """AP by set and its mean."""
    means = found.drop(columns="seed").groupby("set", sort=False).mean()
    means.loc["mean"] = means.mean()
    return means


# ---------------------------------------------------------------- cost

COSTS: dict[str, dict[str, Any]] = {
    **WAYS,
    "fast (Wong et al.)": {"attack": PGD(steps=1, step=1.25), "alpha": 0},
    "free (Shafahi et al.)": {"loss": "free", "alpha": 0},
    "TRADES (PGD 5)": {"loss": "trades"},
    "VAT": {"loss": "vat"},
}


def of_cost(folder: Path, seeds: int) -> Iterator[Record]:
    X, _, y, _ = images(folder, "MNIST", 0)
    for width in (64, 512):
        training = Training(hidden=width, epochs=2)
        for repeat in range(max(seeds, 3)):
            for way, settings in COSTS.items():
                model = AdversarialClassifier(
                    training=training, radius=0.25, random_state=repeat, **settings
                )
                start = time.process_time()
                model.fit(X, y)
                yield {
                    "hidden": width,
                    "trained": way,
                    "repeat": repeat,
                    "CPU s": time.process_time() - start,
                }


def table_of_cost(found: pd.DataFrame) -> pd.DataFrame:
    """Median CPU of two epochs on 8000 images, and its ratio to plain training."""
    medians = found.groupby(["trained", "hidden"], sort=False)["CPU s"].median().unstack()
    ratio = (medians / medians.loc["plain"]).add_prefix("ratio, hidden ")
    return medians.add_prefix("CPU s, hidden ").join(ratio)


# ---------------------------------------------------------------- all of it

PARTS: dict[str, tuple[Callable[[Path, int], Iterator[Record]], Callable[..., pd.DataFrame]]] = {
    "images": (of_images, table_of_images),
    "tables": (of_tables, table_of_tables),
    "instruments": (of_instruments, table_of_instruments),
    "distillation": (of_distillation, table_of_distillation),
    "compression": (of_compression, table_of_compression),
    "detector": (of_detector, table_of_detector),
    "unlabelled": (of_unlabelled, table_of_unlabelled),
    "cost": (of_cost, table_of_cost),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="has manifest.csv and read.py")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seeds", type=int, default=1, help="splits of each set")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/defences.json"))
    args = parser.parse_args()
    known = json.loads(args.out.read_text()) if args.out.exists() else {}
    for part in args.parts:
        run, _ = PARTS[part]
        records = [
            {key: round(v, 4) if isinstance(v, float) else v for key, v in record.items()}
            for record in run(args.data, args.seeds)
        ]
        known[part] = {"machine": machine(), "seeds": args.seeds, "records": records}
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(known, indent=1) + "\n")
        args.out.with_suffix(".md").write_text(report(known))
    print(args.out.with_suffix(".md").read_text())


def report(known: dict[str, Any]) -> str:
    """A table for each part that has been run."""
    pages = []
    for part, (_, table_of) in PARTS.items():
        if part in known:
            means = table_of(pd.DataFrame(known[part]["records"]))
            says = " ".join((table_of.__doc__ or "").split())
            about = f"{known[part]['seeds']} split(s); {known[part]['machine']}"
            for k, axis in enumerate(means.axes):
                means = means.set_axis([" ".join(map(str, np.atleast_1d(n))) for n in axis], axis=k)
            pages.append(f"## {part}\n\n{says}\n\n{markdown(means, 3)}\n\n{about}\n")
    return "# Defences\n\n" + "\n".join(pages)


if __name__ == "__main__":
    main()
