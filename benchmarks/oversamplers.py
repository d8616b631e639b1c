"""What an over-sampler costs: CPU seconds and extra memory of one `fit_resample`.

Each cell runs in a process of its own, warmed up on a small table, one thread. Extra memory is the
peak resident size during the call less the size before it, so the output itself is in it.

    python -m benchmarks.oversamplers [--sizes 10000 100000 500000] [--device cpu] [--out FILE]
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

COLUMNS, RATIO, CATEGORIES, SEED = 30, 20, 5, 0
METHODS = ("advaug", "smote", "smotenc", "borderline", "adasyn")
LIBRARIES = ("imbalanced-learn", "numpy", "scikit-learn", "torch")


def make(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """A table of normal columns; the minority (1 in 21) is shifted by one sd in five of them."""
    rng = np.random.default_rng(SEED)
    X = rng.normal(size=(rows, COLUMNS))
    y = np.zeros(rows, dtype=int)
    y[: rows // (RATIO + 1)] = 1
    X[: rows // (RATIO + 1), :5] += 1
    X[:, -CATEGORIES:] = np.digitize(X[:, -CATEGORIES:], [-1, 0, 1])
    return X, y


def sampler_of(method: str, device: str) -> object:
    if method == "advaug":
        from advaug import AdversarialOverSampler

        return AdversarialOverSampler(device=device, random_state=SEED)
    from imblearn import over_sampling as rivals

    if method == "smotenc":
        last = range(COLUMNS - CATEGORIES, COLUMNS)
        return rivals.SMOTENC(categorical_features=[*last], random_state=SEED)
    name = {"smote": "SMOTE", "borderline": "BorderlineSMOTE", "adasyn": "ADASYN"}[method]
    return getattr(rivals, name)(random_state=SEED)


def status(field: str) -> float:
    """A field of this process's memory status in MiB (Linux)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise LookupError(field)


def measure(method: str, rows: int, device: str) -> dict[str, float]:
    """One cell, in this very process."""
    import torch

    torch.set_num_threads(1)
    sampler_of(method, device).fit_resample(*make(3000))
    X, y = make(rows)
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before, start, clock = status("VmRSS"), time.process_time(), time.perf_counter()
    X_out, y_out = sampler_of(method, device).fit_resample(X, y)
    cell = {
        "cpu_s": time.process_time() - start,
        "wall_s": time.perf_counter() - clock,
        "extra_mib": status("VmHWM") - before,
        "output_mib": (X_out.nbytes + y_out.nbytes) / 2**20,
    }
    counts = np.bincount(y_out)
    assert abs(counts[0] - counts[1]) <= 0.1 * counts[0], f"{method} left {counts}"
    return cell | {"extra_over_output": cell["extra_mib"] / cell["output_mib"]}


def cell(method: str, rows: int, device: str, limit: float) -> dict[str, float | str]:
    """The same in a fresh process; 'stopped' past the limit."""
    module = [sys.executable, "-m", "benchmarks.oversamplers"]
    command = [*module, "--cell", method, str(rows), "--device", device]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=True)
    except subprocess.TimeoutExpired:
        return {"stopped_after_s": limit}
    return json.loads(done.stdout.splitlines()[-1])


def line(row: dict) -> str:
    if "cpu_s" not in row:
        return f"| {row['method']} | {row['rows']} | > {row['stopped_after_s']:.0f}, stopped | | |"
    return (
        f"| {row['method']} | {row['rows']} | {row['cpu_s']:.2f} | {row['extra_mib']:.0f} "
        f"| {row['extra_over_output']:.2f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 500_000])
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--limit", type=float, default=240, help="wall seconds a cell")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/oversamplers.json"))
    parser.add_argument("--cell", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.cell:
        print(json.dumps(measure(args.cell[0], int(args.cell[1]), args.device)))
        return
    print("| method | rows | CPU s | extra MiB | extra / output |\n|---|---|---|---|---|")
    rows = []
    for size in args.sizes:
        for method in args.methods:
            row = {"method": method, "rows": size} | cell(method, size, args.device, args.limit)
            print(line(row), flush=True)
            rows.append(row)
    machine = {"platform": f"{platform.system()} {platform.machine()}", "cores": os.cpu_count()}
    machine |= {"threads": 1, "python": platform.python_version()}
    machine |= {name: version(name) for name in LIBRARIES}
    table = {"columns": COLUMNS, "imbalance_ratio": RATIO, "seed": SEED, "device": args.device}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps({"machine": machine, **table, "cells": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
