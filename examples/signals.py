"""Heart-beat-like signals of two leads: new rare beats, and smooth moves beside plain FGSM.

python examples/signals.py                 # writes signals.png
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import numpy as np

from advaug import AdversarialOverSampler, AdversarialTransformer
from advaug.adapters import SignalAdapter
from advaug.inspection import SignalDisplay

RATE, TIME = 125.0, 150  # samples a second, samples


def beats(n: int, is_late: bool, rng: np.random.Generator) -> np.ndarray:
    """(n, 2, time): P wave, QRS complex and T wave; rare beats have a late, flat T wave."""
    t = np.arange(TIME) / RATE
    at = rng.normal(0.45, 0.03, (n, 1))
    waves = [(-0.16, 0.025, 0.15), (-0.03, 0.01, -0.15), (0.0, 0.012, 1.0), (0.03, 0.01, -0.25)]
    waves += [(0.34, 0.07, 0.15)] if is_late else [(0.26, 0.05, 0.35)]
    x = np.zeros((n, TIME))
    for shift, width, height in waves:
        size = height * rng.normal(1, 0.15, (n, 1))
        x += size * np.exp(-(((t - at - shift) / width) ** 2) / 2)
    drift = 0.1 * np.sin(2 * np.pi * (0.3 * t + rng.uniform(size=(n, 1))))
    leads = np.stack([x + drift, 0.6 * np.roll(x, 1, axis=1) - drift], axis=1)
    return (leads + 0.02 * rng.normal(size=leads.shape)).astype(np.float32)


def roughness(move: np.ndarray) -> float:
    """Power of the steps over the power of the move: 2 for white noise, 0 for a constant."""
    return float(np.square(np.diff(move)).mean() / np.square(move).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("signals.png"))
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    X = np.concatenate([beats(270, False, rng), beats(30, True, rng)])
    y = np.repeat(["usual", "late T wave"], [270, 30])
    sampler = AdversarialOverSampler(adapter=SignalAdapter(sampling_rate=RATE), random_state=0)
    X_new, y_new = sampler.fit_resample(X, y)
    print({str(name): int((y_new == name).sum()) for name in np.unique(y_new)})
    for name, band in (("plain FGSM", None), ("FGSM in the band of the data", "data")):
        adapter = SignalAdapter(sampling_rate=RATE, band=band)
        transformer = AdversarialTransformer(radius=0.3, adapter=adapter, random_state=0)
        print(f"{name:30s} roughness {roughness(transformer.fit_transform(X, y) - X):.3f}")
    SignalDisplay.from_sampler(sampler, X_new, sampling_rate=RATE).plot()
    matplotlib.pyplot.savefig(args.out, dpi=80)


if __name__ == "__main__":
    main()
