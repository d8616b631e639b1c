"""One move and one patch for all digits, tested on digits that neither of them has seen.

python examples/shared_attacks.py          # writes shared_attacks.png
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

from advaug import AdversarialTransformer
from advaug.attacks import UAP, Noise, Patch

ROWS = {  # attack, radius: black to white is 1
    "universal move": (UAP(), 0.25),
    "noise, as long": (Noise(), 0.25),
    "patch": (Patch(sizes=(0.35, 0.45), rotation_max=10.0), 1.0),
}


def trained(x: np.ndarray, y: np.ndarray) -> nn.Module:
    torch.manual_seed(0)
    rows, labels = torch.tensor(x, dtype=torch.float32), torch.tensor(y)
    layers = [nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)]
    net = nn.Sequential(*layers)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(150):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(rows), labels).backward()
        optimizer.step()
    return net


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("shared_attacks.png"))
    args = parser.parse_args()
    x, y = load_digits(return_X_y=True)
    x = (x / 16).reshape(-1, 8, 8)
    x, fresh, y, truth = x[:1200], x[1200:], y[:1200], y[1200:]
    net = trained(x, y)
    figure, grid = plt.subplots(len(ROWS) + 1, 10, figsize=(8, 4), layout="constrained")
    for (name, (attack, radius)), panels in zip(ROWS.items(), grid[1:], strict=True):
        transformer = AdversarialTransformer(
            attack=attack, radius=radius, surrogate=net, adapter="image", random_state=0
        ).fit(x)
        moved = transformer.transform(fresh)
        with torch.no_grad():
            said = net(torch.tensor(moved, dtype=torch.float32)).argmax(1).numpy()
        print(f"{name:15s} error on {len(fresh)} fresh digits: {np.mean(said != truth):.3f}")
        for panel, image, label in zip(panels, moved, said, strict=False):
            panel.imshow(image, cmap="gray_r", vmin=0, vmax=1)
            panel.set_title(label, fontsize=8)
        panels[0].set_ylabel(name, fontsize=7)
    for panel, image, label in zip(grid[0], fresh, truth, strict=False):
        panel.imshow(image, cmap="gray_r", vmin=0, vmax=1)
        panel.set_title(label, fontsize=8)
    grid[0, 0].set_ylabel("as it is", fontsize=7)
    for panel in grid.flat:
        panel.set(xticks=[], yticks=[])
    figure.savefig(args.out, dpi=75)


if __name__ == "__main__":
    main()
