"""What adversarial training gains on digits, and what training on noise does not.

Three small nets on scikit-learn's digits: trained as usual, on noisy copies, and on their own
FGSM copies (Goodfellow, Shlens, Szegedy. ICLR 2015). Left: their accuracy under PGD, dashed under
noise. Right: a held-out digit, and the nearest image that each net takes for another digit.

    python defences.py                        # draws defences.png; nothing downloads
"""

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from advaug import AdversarialTransformer
from advaug.robust import AdversarialClassifier, RobustnessDisplay, robustness_table

RADIUS = 0.2  # of the way from black to white


def main() -> None:
    X, y = load_digits(return_X_y=True)
    images = np.rint(X * 255 / 16).astype(np.uint8).reshape(-1, 1, 8, 8)
    X_train, X_test, y_train, y_test = train_test_split(
        images, y, test_size=0.3, stratify=y, random_state=0
    )
    ways = {"as usual": {"clean_weight": 1}, "on noise": {"attack": "noise"}, "on FGSM": {}}
    nets = {
        name: AdversarialClassifier(radius=RADIUS, random_state=0, **way).fit(X_train, y_train)
        for name, way in ways.items()
    }
    print(f"Accuracy on held-out digits, radius {RADIUS / 2}")
    table = robustness_table(nets, X_test, y_test, radius=RADIUS / 2, attacks=["fgsm", "pgd"])
    print(table.to_string(index=False, float_format="%.3f"))

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    curves, pictures = figure.subfigures(1, 2, width_ratios=[1.1, 1])
    RobustnessDisplay.from_estimators(
        nets, X_test, y_test, radii=[0, 0.05, 0.1, 0.15, 0.2, 0.3]
    ).plot(curves.subplots())

    row = np.flatnonzero(y_test == 3)[:1]
    panels = pictures.subplots(1, 4, subplot_kw={"xticks": [], "yticks": []})
    panels[0].imshow(X_test[row][0, 0], cmap="gray_r", vmin=0, vmax=255)
    panels[0].set_title("as it is", fontsize=9)
    for ax, (name, net) in zip(panels[1:], nets.items(), strict=True):
        attack = AdversarialTransformer(
            attack="hopskipjump", radius=np.inf, norm=2, surrogate=net, random_state=0
        ).fit(X_train, y_train)
        moved = attack.transform(X_test[row], y_test[row])
        way = np.linalg.norm((moved - X_test[row].astype(float)) / 255)
        ax.imshow(moved[0, 0], cmap="gray_r", vmin=0, vmax=255)
        ax.set_title(f"{name}: {net.predict(moved)[0]}", fontsize=9)
        ax.set_xlabel(f"moved by {way:.2f}", fontsize=9)
    figure.savefig("defences.png", dpi=150)


if __name__ == "__main__":
    main()
