"""
What adversarial training gains on digits
=========================================

Three small nets on scikit-learn's digits: trained as usual, on noisy copies, and on their own FGSM
copies (Goodfellow, Shlens, Szegedy. ICLR 2015).
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from advaug import AdversarialTransformer
from advaug.robust import AdversarialClassifier, RobustnessDisplay, robustness_table

plt.style.use("advaug.data.pictures")
RADIUS = 0.2  # of the way from black to white

# %%
# The nets differ in the rows that they are trained on.

X, y = load_digits(return_X_y=True)
X = np.rint(X * 255 / 16).astype(np.uint8).reshape(-1, 1, 8, 8)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)
ways = {"as usual": {"clean_weight": 1}, "on noise": {"attack": "noise"}, "on FGSM": {}}
nets = {
    name: AdversarialClassifier(radius=RADIUS, random_state=0, **way).fit(X_train, y_train)
    for name, way in ways.items()
}

# %%
# Their accuracy under attack, and under random noise of the same radius (dashed).

table = robustness_table(nets, X_test, y_test, radius=RADIUS / 2, attacks=["fgsm", "pgd"])
print(table.to_string(index=False, float_format="%.3f"))
RobustnessDisplay.from_estimators(nets, X_test, y_test, radii=[0, 0.05, 0.1, 0.15, 0.2, 0.3])
plt.show()

# %%
# A held-out digit, and the nearest image that each net takes for another digit.

row = np.flatnonzero(y_test == 3)[:1]
figure, panels = plt.subplots(1, 4, figsize=(8, 2.6), subplot_kw={"xticks": [], "yticks": []})
panels[0].imshow(X_test[row][0, 0], cmap="gray_r", vmin=0, vmax=255)
panels[0].set_title("as it is")
for panel, (name, net) in zip(panels[1:], nets.items(), strict=True):
    attack = AdversarialTransformer(
        attack="hopskipjump", radius=np.inf, norm=2, surrogate=net, random_state=0
    )
    moved = attack.fit(X_train, y_train).transform(X_test[row], y_test[row])
    way = np.linalg.norm((moved - X_test[row].astype(float)) / 255)
    panel.imshow(moved[0, 0], cmap="gray_r", vmin=0, vmax=255)
    panel.set(title=f"{name}: {net.predict(moved)[0]}", xlabel=f"moved by {way:.2f}")
plt.show()
