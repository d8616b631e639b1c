"""
One move and one patch for all digits
=====================================

A universal move and a patch are learnt on some digits and tested on digits that neither of them has
seen. Noise as long as the universal move is the control.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

from advaug import AdversarialTransformer
from advaug.attacks import UAP, Noise, Patch

plt.style.use("advaug.data.pictures")

# %%
# A small net reads digits.

x, y = load_digits(return_X_y=True)
x = (x / 16).reshape(-1, 8, 8).astype(np.float32)
x, fresh, y, truth = x[:1200], x[1200:], y[:1200], y[1200:]
torch.manual_seed(0)
net = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
for _ in range(150):
    optimizer.zero_grad()
    nn.functional.cross_entropy(net(torch.tensor(x)), torch.tensor(y)).backward()
    optimizer.step()

# %%
# The radius is in units of black to white. A patch may change its pixels as it likes.

attacks = {
    "universal move": (UAP(), 0.25),
    "noise, as long": (Noise(), 0.25),
    "patch": (Patch(sizes=(0.35, 0.45), rotation_max=10.0), 1.0),
}
images = {"as it is": fresh}
for name, (attack, radius) in attacks.items():
    mover = AdversarialTransformer(
        attack=attack, radius=radius, surrogate=net, adapter="image", random_state=0
    )
    images[name] = mover.fit(x).transform(fresh)

# %%
# Above each digit: what the net reads.

figure, grid = plt.subplots(4, 10, figsize=(9, 4), subplot_kw={"xticks": [], "yticks": []})
for panels, (name, moved) in zip(grid, images.items(), strict=True):
    answers = net(torch.tensor(moved, dtype=torch.float32)).argmax(1).numpy()
    print(f"{name:15s} error on {len(fresh)} fresh digits: {np.mean(answers != truth):.3f}")
    panels[0].set_ylabel(name, rotation=0, ha="right", va="center")
    for panel, image, answer in zip(panels, moved, answers, strict=False):
        panel.imshow(image, cmap="gray_r", vmin=0, vmax=1)
        panel.set_title(answer, fontsize=8)
plt.show()
