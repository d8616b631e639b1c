"""Do new signals keep the spectrum of their class, and what do ten thousand signals cost?

Shares. Half of each set is trained on, its rare rows thinned to a tenth (5 at least), all of it cut
to 400 signals. The band is that of all of the rare class's real signals: their log power in twelve
bands of frequency, finer than the eight that the sampler's own judge looks at. A signal is as
strange as its strangest band, |power - mean| / sd; the edge is what 2 % of real signals, each left
out of mean and sd, lie beyond. Beside advaug's rows: white noise of the same length on the same
parents, and FGSM at .3 standard deviations of a channel on the rare training signals, free in every
cell or in the band of the data.

Cost. One `fit_resample` of 10 000 x 3 x 256 float32 at imbalance 20, one thread; extra memory is
the peak resident size less the size before, so the output is in it.

    python -m benchmarks.signals --data FOLDER
"""

import argparse
import json
import time
from pathlib import Path

from benchmarks.oversamplers import status  # says that one thread is enough

import numpy as np  # isort: skip
import torch
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from advaug import AdversarialOverSampler, AdversarialTransformer
from advaug.adapters import SignalAdapter
from advaug.domains.signals.features import edges_of, parted, powers
from advaug.sampling.judges.descriptor_band import LEAST, left_out
from benchmarks.oversampling.data import choose, load, take
from benchmarks.tables import machine, save

SEED, RADIUS, BEYOND, BANDS, MOST = 0, 0.3, 0.02, 12, 400
METHODS = ("real", "advaug", "noise of the same length", "FGSM", "FGSM in the band")


class ClassBand:
    """The band of all real signals of the rare class."""

    def __init__(self, X: object, y: np.ndarray) -> None:
        self.coding = SignalAdapter(band=None).fit(X)
        seen = self.signs(X)
        self.edge = torch.cat([left_out(seen[y == one]) for one in (0, 1)]).quantile(1 - BEYOND)
        own = seen[y == 1]
        self.center, self.spread = own.mean(0), own.std(0, correction=0).clamp_min(LEAST)
        self.real = float((left_out(own) <= self.edge).double().mean())

    def signs(self, X: object) -> torch.Tensor:
        x = self.coding.encode(X)
        values, there = parted(x, len(self.coding.scale))
        return powers(values, there, edges_of(self.coding.time, BANDS))

    def holds(self, X: object) -> float:
        """Share of signals inside."""
        strange = ((self.signs(X) - self.center).abs() / self.spread).amax(1)
        return float((strange <= self.edge).double().mean())


def training_rows(y: np.ndarray, groups: np.ndarray | None) -> np.ndarray:
    """Half of the set, rare rows a tenth of it, at most so many in all."""
    rng = np.random.default_rng(SEED)
    cut = StratifiedKFold if groups is None else StratifiedGroupKFold
    rows = next(cut(2, shuffle=True, random_state=SEED).split(y, y, groups))[0]
    rows = rng.permutation(rows)
    usual, rare = rows[y[rows] == 0][: int(0.9 * MOST)], rows[y[rows] == 1]
    return np.sort(np.concatenate([usual, rare[: max(5, len(usual) // 9)]]))


def noisy(parents: list, made: list, scale: np.ndarray) -> list:
    """The parents with white noise as long as what was added to them, in channel deviations."""
    rng, found = np.random.default_rng(SEED), []
    for parent, new in zip(parents, made, strict=True):
        way = np.nan_to_num(new - parent) / scale[:, None]
        noise = rng.normal(size=way.shape)
        noise *= np.linalg.norm(way) / np.linalg.norm(noise)
        found.append(parent + (noise * scale[:, None]).astype(parent.dtype))
    return found


def shares(folder: Path, name: str) -> dict:
    """One set: how many signals of each method lie inside the rare class's band."""
    table = load(folder, name, domain="signal")
    y, band = table.y, ClassBand(table.X, table.y)
    rows = training_rows(y, table.groups)
    X, y = take(table.X, rows), y[rows]
    sampler = AdversarialOverSampler(random_state=SEED)
    X_new, y_new = sampler.fit_resample(X, y)
    places = np.flatnonzero(sampler.synthetic_mask_ & (y_new == 1))
    made, parents = take(X_new, places), take(X, sampler.parent_indices_[places])
    found = {"real": band.real, "advaug": band.holds(made)}
    found["noise of the same length"] = band.holds(
        like(X, noisy(list(parents), list(made), band.coding.scale))
    )
    rare = np.flatnonzero(y == 1)
    for method, kept in (("FGSM", None), ("FGSM in the band", "data")):
        adapter = SignalAdapter(band=kept)
        moved = AdversarialTransformer(radius=RADIUS, adapter=adapter, random_state=SEED)
        found[method] = band.holds(take(moved.fit_transform(X, y), rare))
    return {"set": name, "rare": len(rare), "made": len(places)} | found


def like(X: object, rows: list) -> object:
    return np.stack(rows) if isinstance(X, np.ndarray) else rows


def costly(n: int = 10_000, time_: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """Noisy sines on three channels; those of the minority (1 in 21) are a half faster."""
    rng = np.random.default_rng(SEED)
    y = (np.arange(n) < n // 21).astype(int)
    speed = 2 * np.arange(1, 4)[None, :, None] * (1 + 0.5 * y)[:, None, None]
    phase = rng.uniform(0, 2 * np.pi, (n, 3, 1))
    X = np.sin(2 * np.pi * speed * np.arange(time_) / time_ + phase)
    return (X + 0.5 * rng.normal(size=X.shape)).astype(np.float32), y


def cost() -> dict:
    """CPU seconds and extra memory of one call, warmed up."""
    AdversarialOverSampler(random_state=SEED).fit_resample(*costly(300))
    X, y = costly()
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before, start = status("VmRSS"), time.process_time()
    X_new, y_new = AdversarialOverSampler(random_state=SEED).fit_resample(X, y)
    cpu = time.process_time() - start
    assert np.ptp(np.bincount(y_new)) == 0
    extra = status("VmHWM") - before
    return {
        "shape": list(X.shape),
        "imbalance": 20,
        "cpu_s": cpu,
        "extra_mib": extra,
        "output_mib": X_new.nbytes / 2**20,
    }


def report(system: str, paid: dict, rows: list[dict]) -> str:
    lines = [
        "# Signals: spectrum and cost",
        "",
        "`python -m benchmarks.signals --data FOLDER`; what each figure means stands at the head "
        "of that file.",
        "",
        f"{system}.",
        "",
        f"`fit_resample` of {paid['shape']} float32, imbalance 20: **{paid['cpu_s']:.1f} CPU s**, "
        f"extra memory {paid['extra_mib']:.0f} MiB, of which the output is "
        f"{paid['output_mib']:.0f} MiB.",
        "",
        f"Share of signals inside their class's spectral band ({BEYOND:.0%} of all real "
        "signals lie beyond their own's):",
        "",
        "| set | rare in training | made | " + " | ".join(METHODS) + " |",
        "|---|---|---|" + "---|" * len(METHODS),
    ]
    for row in rows:
        cells = " | ".join(f"{row[method]:.1%}" for method in METHODS)
        lines.append(f"| {row['set']} | {row['rare']} | {row['made']} | {cells} |")
    means = " | ".join(f"{np.mean([row[method] for row in rows]):.1%}" for method in METHODS)
    lines.append(f"| **mean over sets** | | | {means} |")
    made = sum(row["made"] for row in rows)
    ours = sum(row["made"] * row["advaug"] for row in rows) / made
    lines += ["", f"Of all {made} signals that advaug made, {ours:.1%} lie inside."]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    start = time.process_time()
    paid = cost()
    rows = [shares(args.data, name) for name in choose(args.data, domain="signal")]
    system = f"{machine()}; one thread; {round(time.process_time() - start)} CPU seconds in all"
    text = report(system, paid, rows)
    print(text)
    save(text, args.out / "signals.md")
    held = {"machine": system, "seed": SEED, "radius": RADIUS, "cost": paid, "sets": rows}
    (args.out / "signals.json").write_text(json.dumps(held, indent=1) + "\n")


if __name__ == "__main__":
    main()
