"""Nets trained on their own adversarial rows."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.datasets import load_diabetes
from sklearn.metrics import average_precision_score, balanced_accuracy_score
from sklearn.model_selection import StratifiedShuffleSplit, train_test_split
from torch import nn
from tqdm import tqdm

from advaug.adapters import SignalAdapter
from advaug.attacks import PGD, Instrument
from advaug.models.training import Training
from advaug.robust import AdversarialClassifier, AdversarialRegressor
from benchmarks.defences.rows import IMAGES, TABLE_RADIUS, WAYS, Record, images, tables, under
from benchmarks.oversampling.data import load
from benchmarks.oversampling.instruments import SHIFTS

# ---------------------------------------------------------------- images


FARTHER = 1.3  # times the radius of the attack
IMAGE_WAYS = {
    **WAYS,
    "FGSM, alpha .8": {"attack": "fgsm", "clean_weight": 0.8},
    "PGD, farther": {"attack": PGD(steps=7), "clean_weight": 0.3},
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


def of_images(name: str, folder: Path, seeds: int) -> Iterator[Record]:
    radius = IMAGES[name]
    for seed in range(seeds):
        X, X_test, y, y_test = images(folder, name, seed)
        net = (convolutions if name == "MNIST" else deeper)(X.shape[-1], seed)
        training = Training(epochs=EPOCHS[name], learning_rate=2e-3)
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


TABLE_WAYS: dict[str, dict[str, Any]] = {
    **WAYS,
    "FGSM, alpha .8": {"attack": "fgsm", "clean_weight": 0.8},
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


# ---------------------------------------------------------------- regression


def of_regression(folder: Path, seeds: int) -> Iterator[Record]:
    for seed in range(max(seeds, 5)):
        X, X_test, y, y_test = train_test_split(*load_diabetes(return_X_y=True), random_state=seed)
        for way, settings in {**WAYS, "free": {"loss": "free"}}.items():
            model = AdversarialRegressor(radius=TABLE_RADIUS, random_state=seed, **settings)
            model.fit(X, y)
            record = {"seed": seed, "trained": way, "clean": model.score(X_test, y_test)}
            for attack in ("noise", PGD(steps=20)):
                moved = model.attack_rows(X_test, y_test, attack=attack, radius=TABLE_RADIUS)
                kind = attack if isinstance(attack, str) else "pgd"
                record[kind] = model.score(moved, y_test)
            yield record


def table_of_regression(found: pd.DataFrame) -> pd.DataFrame:
    """R2 on scikit-learn's diabetes, held out, on noise of .3 standard deviations and where PGD
    raises the squared error: means over five splits."""
    return found.drop(columns="seed").groupby("trained", sort=False).mean()


# ---------------------------------------------------------------- instruments


SIGNALS = ("ecg200", "gunpoint", "basic_motions", "libras_traj", "italy_power_demand", "cbf")
RECORDER = Instrument(has_all_faults=False)
LONGER = {"radius": 1.0, "clean_weight": 0.1, "training": Training(epochs=200)}
SIGNAL_WAYS: dict[str, dict[str, Any]] = {
    "plain": {"clean_weight": 1},
    "noise": {"attack": "noise", "radius": 0.3},
    "instruments at random": {"attack": replace(RECORDER, steps=0), **LONGER},
    "instruments that fool it": {"attack": replace(RECORDER, steps=2, step=0.5), **LONGER},
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
                model = AdversarialClassifier(adapter=adapter, random_state=seed, **settings).fit(
                    X, y
                )
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


# ---------------------------------------------------------------- rows without labels


def of_unlabelled(folder: Path, seeds: int) -> Iterator[Record]:
    for name, seed, (X, X_test, y, y_test) in tables(folder, 5, seeds):
        known, _ = next(StratifiedShuffleSplit(1, train_size=0.1, random_state=seed).split(X, y))
        few = np.full(len(y), -1)
        few[known] = y[known]
        X_few = X.iloc[known].reset_index(drop=True)
        ways = {
            "a tenth": (AdversarialClassifier(clean_weight=1, random_state=seed), X_few, y[known]),
            "a tenth, VAT": (AdversarialClassifier(loss="vat", random_state=seed), X, few),
            "a tenth, VAT with noise": (
                AdversarialClassifier(loss="vat", attack="noise", random_state=seed), X, few,
            ),
            "all labels": (AdversarialClassifier(clean_weight=1, random_state=seed), X, y),
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
    "fast (Wong et al.)": {"attack": PGD(steps=1, step=1.25), "clean_weight": 0},
    "free, 2 replays (Shafahi et al.)": {"loss": "free", "clean_weight": 0},
    "TRADES (PGD 5)": {"loss": "trades"},
    "VAT": {"loss": "vat"},
}


def of_cost(folder: Path, seeds: int) -> Iterator[Record]:
    X, _, y, _ = images(folder, "MNIST", 0)
    for width in (64, 512):
        training = Training(hidden_width=width, epochs=2)  # free: one pass, each batch twice
        for repeat in range(max(seeds, 3)):
            for way, settings in COSTS.items():
                replays = 2 if "free" in way else None
                model = AdversarialClassifier(
                    training=replace(training, replays=replays),
                    radius=0.25,
                    random_state=repeat,
                    **settings,
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
