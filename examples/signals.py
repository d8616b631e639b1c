"""New premature heart beats and the judge's verdicts; square waves of plain FGSM, smooth moves.

python examples/signals.py                 # writes signals.png and signals_fgsm.png
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from advaug import AdversarialOverSampler, AdversarialTransformer
from advaug.adapters import SignalAdapter
from advaug.datasets import ECG_GAIN, ECG_RATE, ECG_ZERO, load_ecg_beats
from advaug.report import SignalDisplay, VerdictDisplay

RADIUS = 0.3  # standard deviations of a lead
BANDS = {"plain FGSM": None, "FGSM in the band of the data": "data"}


def roughness(move: np.ndarray) -> float:
    """Power of the steps over the power of the move: 2 for white noise, 0 for a constant."""
    return float(np.square(np.diff(move)).mean() / np.square(move).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("signals.png"))
    args = parser.parse_args()
    X, y = load_ecg_beats()
    sampler = AdversarialOverSampler(random_state=0)
    X_new, y_new = sampler.fit_resample(X, y)
    print({str(name): int((y_new == name).sum()) for name in np.unique(y_new)})
    SignalDisplay.from_sampler(sampler, X_new, sampling_rate=ECG_RATE)
    plt.savefig(args.out, dpi=80)
    own = VerdictDisplay.from_sampler(sampler, X_new, y_new)
    inside, accepted = own.is_inside.mean(), own.accepts.mean()
    print(f"{'new beats':30s} in the band {inside:.0%}, accepted {accepted:.0%}")

    rare = np.flatnonzero(y == "premature")
    _, axes = plt.subplots(3, 2, figsize=(10, 6.4), layout="constrained")
    time, lead = np.arange(X.shape[2]) / ECG_RATE, 0
    for (over, added, strip), (name, band) in zip(axes.T, BANDS.items(), strict=True):
        adapter = SignalAdapter(sampling_rate=ECG_RATE, band=band)
        moved = AdversarialTransformer(
            radius=RADIUS, adapter=adapter, random_state=0
        ).fit_transform(X, y)
        move = (moved - X) / ECG_GAIN
        verdicts = VerdictDisplay.from_sampler(
            *(sampler, X_new, y_new),
            signals=moved[rare],
            label="premature",
            ax=strip,
            name=f"{len(rare)} moved beats",
        )
        share = verdicts.is_inside.mean()
        print(f"{name:30s} in the band {share:.0%}, roughness {roughness(move):.3f}")
        for beat, colour in ((X, "#9a9a9a"), (moved, "#d55e00")):
            over.plot(
                time, (beat[rare[0], lead] - ECG_ZERO) / ECG_GAIN, color=colour, linewidth=1.2
            )
        over.set(title=name, ylabel="lead MLII, mV")
        added.plot(time, move[rare[0], lead], color="#d55e00", linewidth=1)
        added.set(ylabel="added, mV", xlabel="seconds", ylim=(-0.1, 0.1))
    plt.savefig(args.out.with_stem(args.out.stem + "_fgsm"), dpi=80)


if __name__ == "__main__":
    main()
