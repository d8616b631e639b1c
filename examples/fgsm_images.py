"""
One gradient step and a net misreads nearly every digit
=======================================================

The fast gradient sign method (FGSM) beside noise of the same size, on scikit-learn's digits. See
Goodfellow, Shlens, Szegedy. Explaining and harnessing adversarial examples. ICLR 2015.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

from advaug import AdversarialTransformer

plt.style.use("advaug.data.pictures")
RADIUS = 0.25  # of the way from black to white

# %%
# A softmax regression, trained by hand. It is attacked as it is.

X, y = load_digits(return_X_y=True)
X = np.rint(X * 255 / 16).astype(np.uint8).reshape(-1, 1, 8, 8)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
torch.manual_seed(0)
net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
for _ in range(300):
    optimizer.zero_grad()
    logits = net(torch.tensor(X_train) / 255)
    nn.functional.cross_entropy(logits, torch.tensor(y_train)).backward()
    optimizer.step()

# %%
# Pixels stay whole numbers: a radius of 0.25 lets them move by 63 of 255.

images = {"clean": X_test}
for attack in ("noise", "fgsm"):
    mover = AdversarialTransformer(attack=attack, radius=RADIUS, surrogate=net, random_state=0)
    images[attack] = mover.fit(X_train, y_train).transform(X_test, y_test)
answers = {name: net(torch.tensor(X) / 255).argmax(1).numpy() for name, X in images.items()}
for name, answer in answers.items():
    print(f"{name:6s} error {np.mean(answer != y_test):.1%}")

# %%
# The first image of each digit, and what the net reads.

figure, axes = plt.subplots(3, 10, figsize=(9, 3.6), subplot_kw={"xticks": [], "yticks": []})
figure.suptitle(f"A softmax regression reads digits: no pixel moves by more than {RADIUS}")
for panels, (name, X) in zip(axes, images.items(), strict=True):
    panels[0].set_ylabel(name)
    for digit, panel in enumerate(panels):
        row = np.flatnonzero(y_test == digit)[0]
        panel.imshow(X[row, 0], cmap="gray_r", vmin=0, vmax=255)
        answer = answers[name][row]
        panel.set_xlabel(f"reads {answer}", color="black" if answer == digit else "C5")
plt.show()
