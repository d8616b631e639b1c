"""Where each family of attacks takes a row: two moons, one net, six panels.

python examples/attack_families.py          # writes attack_families.png
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from sklearn.datasets import make_moons
from torch import nn

from advaug import attacks as A
from advaug.core.box import Box
from advaug.core.objectives import objective_of
from advaug.core.row_random import RowRandom

FAMILIES = {
    "one step": [A.FGSM(), A.RFGSM()],
    "many steps": [A.PGD(), A.APGD(steps=30)],
    "shortest move": [A.DeepFool(), A.CarliniWagner()],
    "one column": [A.JSMA(columns=1)],
    "no label": [A.VAT(steps=5)],
    "controls": [A.Noise(), A.Uniform(), A.Direction()],
}
COLOURS = ["tab:red", "tab:purple", "tab:green"]


def trained() -> tuple[nn.Module, torch.Tensor]:
    """A small net on two moons, and the rows."""
    torch.manual_seed(0)
    x, y = make_moons(400, noise=0.15, random_state=0)
    x, y = torch.tensor(x, dtype=torch.float32), torch.tensor(y)
    net = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 2))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    for _ in range(300):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        optimizer.step()
    return net.requires_grad_(False), x


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("attack_families.png"))
    args = parser.parse_args()
    net, x = trained()
    seed, space = x[:14], Box(torch.tensor([-2.0, -1.5]), torch.tensor([3.0, 2.0]), norm=2.0)
    ticks = torch.stack(torch.meshgrid(*[torch.linspace(-1.6, 2.6, 90)] * 2, indexing="xy"), -1)
    height = (net(ticks) @ torch.tensor([-1.0, 1.0])).numpy()
    figure, panels = plt.subplots(2, 3, figsize=(9, 5), layout="constrained")
    for panel, (family, attacks) in zip(panels.flat, FAMILIES.items(), strict=True):
        panel.contourf(ticks[..., 0], ticks[..., 1], height, levels=15, cmap="coolwarm", alpha=0.3)
        panel.contour(ticks[..., 0], ticks[..., 1], height, levels=[0], colors="black")
        panel.scatter(*seed.T, s=9, color="black", zorder=3)
        for number, (attack, colour) in enumerate(zip(attacks, COLOURS, strict=False)):
            objective = objective_of(attack.loss, net, seed, net(seed).argmax(1))
            radius = torch.full((len(seed),), 1.2 if attack.is_min_norm else 0.4)
            random = RowRandom.of(number, 0, torch.arange(len(seed)))
            moved = attack(A.AttackProblem(objective, seed, space, radius, random))
            name = type(attack).__name__
            way = (moved - seed).T
            arrows = {"angles": "xy", "scale_units": "xy", "scale": 1, "width": 0.006}
            panel.quiver(*seed.T, *way, color=colour, label=name, alpha=0.8, **arrows)
        panel.set(title=family, xticks=[], yticks=[], xlim=(-1.6, 2.6), ylim=(-1.1, 1.6))
        panel.legend(loc="lower left", fontsize=7)
    figure.savefig(args.out, dpi=75)
    print(f"{args.out}: black dots are rows, the line is the border, arrows are moves")


if __name__ == "__main__":
    main()
