"""One gradient step makes a net misread nearly every digit; noise of the same size far fewer.

Goodfellow, Shlens, Szegedy (Explaining and harnessing adversarial examples, ICLR 2015) report for
MNIST at radius .25: 99.9 % error of a softmax regression, 1.6 % -> 99 % for 3 against 7.

    python -m benchmarks.fgsm_images                        # scikit-learn's digits: no download
    python -m benchmarks.fgsm_images --mnist mnist.npz      # X uint8 (n, 28, 28) and y

Pixels stay whole numbers: radius .25 lets them move by 63 of 255. "FGSM, floats" may use all 63.75
and so shows what the rounding costs.
"""

import argparse
import json
import os
import platform
from pathlib import Path

import numpy as np
import pandas as pd
import sklearn
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn.functional import cross_entropy, pad

import advaug

RADIUS = 0.25  # of the way from black to white
UPDATES, BATCH = 1600, 100  # of Adam as it comes, for every net and data set


def load(mnist, seed):
    """X_train, X_test, y_train, y_test: 8k and 2k images of MNIST, or two halves of the digits."""
    if mnist:
        with np.load(mnist) as data:
            X, y, sizes = data["X"], data["y"], {"train_size": 8000, "test_size": 2000}
    else:
        X, y = load_digits(return_X_y=True)
        X, sizes = np.rint(X * 255 / 16).astype(np.uint8).reshape(-1, 8, 8), {"test_size": 0.5}
    return train_test_split(X, y, **sizes, stratify=y, random_state=seed)


def problems(X_train, X_test, y_train, y_test):
    """(name, net, data) of the three nets; for the last one 3 is class 0 and 7 is class 1."""
    pixels, train, test = X_train[0].size, np.isin(y_train, [3, 7]), np.isin(y_test, [3, 7])
    hidden = nn.Linear(pixels, 100), nn.ReLU(), nn.Linear(100, 10)
    every = X_train, X_test, y_train, y_test
    pair = X_train[train], X_test[test], y_train[train] // 7, y_test[test] // 7
    yield "softmax regression", nn.Sequential(nn.Flatten(), nn.Linear(pixels, 10)), every
    yield "MLP, 100 hidden units", nn.Sequential(nn.Flatten(), *hidden), every
    yield "3 vs 7, one logit", nn.Sequential(nn.Flatten(), nn.Linear(pixels, 1)), pair


def logits(net, X):
    out = net(torch.as_tensor(X, dtype=torch.float32) / 255)
    return out if out.shape[1] > 1 else pad(out, (1, 0))  # one logit z is the pair (0, z)


def train(net, X, y):
    X, y = torch.tensor(X), torch.tensor(y)
    optimizer = torch.optim.Adam(net.parameters())
    for _ in range(UPDATES):
        rows = torch.randint(len(X), (BATCH,))
        optimizer.zero_grad()
        cross_entropy(logits(net, X[rows]), y[rows]).backward()
        optimizer.step()


def run(mnist=None, seed=0):
    """For each net: a record of its errors in percent, the images of each kind, its answers."""
    torch.manual_seed(seed)
    for name, net, (X_train, X_test, y_train, y_test) in problems(*load(mnist, seed)):
        train(net, X_train, y_train)
        images = {"clean": X_test}
        for kind, attack, dtype in [
            ("noise", "noise", np.uint8),
            ("FGSM", "fgsm", np.uint8),
            ("FGSM, floats", "fgsm", np.float32),
        ]:
            attacker = advaug.AdversarialTransformer(
                attack=attack, radius=RADIUS, surrogate=net, random_state=seed
            ).fit(X_train[:, None].astype(dtype), y_train)
            images[kind] = attacker.transform(X_test[:, None].astype(dtype), y_test)[:, 0]
        answers = {kind: logits(net, X).argmax(1).numpy() for kind, X in images.items()}
        errors = {kind: round(100 * np.mean(answers[kind] != y_test), 3) for kind in images}
        sizes = {"train rows": len(y_train), "test rows": len(y_test)}
        yield {"net": name, "seed": seed} | sizes | errors, images, answers | {"truth": y_test}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--mnist", type=Path, help="npz file: X uint8 (n, 28, 28) and y")
    parser.add_argument("--seeds", type=int, default=1, help="how many: 0, 1, ...")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    args = parser.parse_args()
    results = [result for seed in range(args.seeds) for result in run(args.mnist, seed)]
    records = [record for record, _, _ in results]
    table = pd.DataFrame(records).drop(columns="seed").groupby("net", sort=False).mean()
    print(f"Errors in % at radius {RADIUS}, mean of {args.seeds} run(s)")
    print(table.to_string(float_format="%.4g"))
    if args.json:
        versions = {m.__name__: m.__version__ for m in (advaug, np, sklearn, torch)}
        about = {"data": "MNIST" if args.mnist else "digits", "radius": RADIUS}
        about |= {"updates": UPDATES, "batch": BATCH, "versions": versions}
        about |= {"platform": platform.platform(), "cpus": os.cpu_count(), "errors in %": records}
        args.json.write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    main()
