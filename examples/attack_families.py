"""
Where each family of attacks takes a row
========================================

Two moons, one small net, six panels. Black dots are rows, the black line is the decision boundary,
arrows are moves. Controls move as far as attacks, and ignore the gradient.
"""

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import make_moons
from torch import nn

from advaug import attacks as A
from advaug.core.box import Box
from advaug.core.objectives import objective_of
from advaug.core.row_random import RowRandom

plt.style.use("advaug.data.pictures")

# %%
# The net learns the two moons.

torch.manual_seed(0)
x, y = (torch.tensor(values) for values in make_moons(400, noise=0.15, random_state=0))
x = x.float()
net = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 2))
optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
for _ in range(300):
    optimizer.zero_grad()
    nn.functional.cross_entropy(net(x), y).backward()
    optimizer.step()
net.requires_grad_(False)

# %%
# Each attack moves the same 14 rows: within a radius of 0.4, or as far as the nearest success.

families = {
    "one step": [A.FGSM(), A.RFGSM()],
    "many steps": [A.PGD(), A.APGD(steps=30)],
    "shortest move": [A.DeepFool(), A.CarliniWagner()],
    "one column": [A.JSMA(columns=1)],
    "no label": [A.VAT(steps=5)],
    "controls": [A.Noise(), A.Uniform(), A.Direction()],
}
seed, space = x[:14], Box(torch.tensor([-2.0, -1.5]), torch.tensor([3.0, 2.0]), norm=2.0)
ticks = torch.stack(torch.meshgrid(*[torch.linspace(-1.6, 2.6, 90)] * 2, indexing="xy"), -1)
height = (net(ticks) @ torch.tensor([-1.0, 1.0])).numpy()
arrows = {"angles": "xy", "scale_units": "xy", "scale": 1, "width": 0.006}
figure, panels = plt.subplots(2, 3, figsize=(9, 5))
for panel, (family, attacks) in zip(panels.flat, families.items(), strict=True):
    panel.contourf(*ticks.permute(2, 0, 1), height, levels=15, cmap="PuOr", alpha=0.3)
    panel.contour(*ticks.permute(2, 0, 1), height, levels=[0], colors="black")
    panel.scatter(*seed.T, s=9, color="black", zorder=3)
    for number, (attack, colour) in enumerate(zip(attacks, ["C5", "C0", "C1"], strict=False)):
        objective = objective_of(attack.loss, net, seed, net(seed).argmax(1))
        radius = torch.full((14,), 1.2 if attack.is_min_norm else 0.4)
        random = RowRandom.of(number, 0, torch.arange(14))
        move = attack(A.AttackProblem(objective, seed, space, radius, random)) - seed
        panel.quiver(*seed.T, *move.T, color=colour, label=type(attack).__name__, **arrows)
    panel.set(title=family, xticks=[], yticks=[], xlim=(-1.6, 2.6), ylim=(-1.1, 1.6))
    panel.legend(loc="lower left")
plt.show()
