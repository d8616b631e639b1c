"""What an over-sampler costs: CPU seconds and extra memory of one `fit_resample`.

Each cell runs in a process of its own, warmed up on a small set of the same kind, one thread. Extra
memory is the peak resident size during the call less the size before it, so the output itself is
in it. `--before FOLDER` runs advaug from a checkout of another commit too, in turns with this one.

Cases that are not run keep their rows of the page.

On another device than the CPU the seconds are wall seconds, since the CPU only waits there.

    python -m benchmarks.oversamplers [--cases NAME ...] [--before FOLDER] [--device cpu] [--alone]
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

RATIO, SEED, WARM = 20, 0, 600
RIVALS = {
    "smote": "SMOTE",
    "smotenc": "SMOTENC",
    "borderline": "BorderlineSMOTE",
    "adasyn": "ADASYN",
    "random": "RandomOverSampler",
}
Data = tuple[Any, np.ndarray]


def labels(rows: int) -> np.ndarray:
    """The minority, one row in 21, comes first."""
    return (np.arange(rows) < rows // (RATIO + 1)).astype(int)


def numbers(rows: int, columns: int) -> Data:
    """Normal columns; the minority is shifted by one standard deviation in five of them."""
    y = labels(rows)
    X = np.random.default_rng(SEED).normal(size=(rows, columns))
    X[y == 1, :5] += 1
    return X, y


def mixed(rows: int, columns: int) -> Data:
    """Half numbers, of which five have gaps, half categories of 4 to 20 levels."""
    X, y = numbers(rows, columns)
    rng = np.random.default_rng(SEED + 1)
    frame = pd.DataFrame(X[:, : columns // 2]).rename(columns="n{}".format)
    for name in frame.columns[-5:]:
        frame.loc[rng.random(rows) < 0.1, name] = np.nan
    for at in range(columns // 2, columns):
        n_levels = int(rng.integers(4, 21))
        edges = np.quantile(X[:, at], np.linspace(0, 1, n_levels + 1)[1:-1])
        levels = np.array([f"level {k}" for k in range(n_levels)])
        frame[f"c{at}"] = pd.Categorical(levels[np.digitize(X[:, at], edges)])
    return frame, y


def words(rows: int, columns: int) -> Data:
    """A sparse matrix of `columns` words, 80 of them in a row, as TF-IDF makes it."""
    y, rng = labels(rows), np.random.default_rng(SEED)
    X = sparse.random(rows, columns, density=80 / columns, format="csr", random_state=rng)
    X[y == 1, :20] = rng.random((int(y.sum()), 20))
    return sparse.csr_matrix(X), y


def classes(rows: int, columns: int) -> Data:
    """Ten classes of falling size, each shifted in its own two columns."""
    share = 0.75 ** np.arange(10)
    y = np.repeat(np.arange(10), np.round(share / share.sum() * rows).astype(int))
    X = np.random.default_rng(SEED).normal(size=(len(y), columns))
    for label in range(10):
        X[y == label, 2 * label : 2 * label + 2] += 1.5
    return X, y


def alternating(n_classes: int, rows: int, columns: int) -> Data:
    """Every second class is rare, so that new rows are as many whatever the number of classes."""
    large = 2 * rows / n_classes / (1 + 1 / RATIO)
    counts = np.where(np.arange(n_classes) % 2, large / RATIO, large).round().astype(int)
    y = np.repeat(np.arange(n_classes), counts)
    rng = np.random.default_rng(SEED)
    X = rng.normal(size=(len(y), columns)) + rng.normal(size=(n_classes, columns))[y] / 2
    return X, y


def signals(rows: int, length: int) -> Data:
    """Three channels of smooth noise; the minority has a bump."""
    y, rng = labels(rows), np.random.default_rng(SEED)
    X = rng.normal(size=(rows, 3, length)).cumsum(2) / 8 + rng.normal(size=(rows, 3, length)) / 4
    X[y == 1, 0, length // 3 : length // 2] += 2
    return X.astype(np.float32), y


def texts(rows: int, words: int) -> Data:
    """Texts of a vocabulary of 2000 words; the minority prefers fifty of them."""
    y, rng = labels(rows), np.random.default_rng(SEED)
    places = (rng.random((rows, words)) ** 3 * 2000).astype(int)
    prefers = (rng.random((rows, words)) < 0.2) & (y[:, None] == 1)
    places[prefers] = rng.integers(1000, 1050, prefers.sum())
    return [" ".join(f"w{place}" for place in row) for row in places], y


@dataclass(frozen=True)
class Case:
    """A data set of some size, and who is measured on it."""

    make: Callable[[int, int], Data]
    rows: int
    width: int
    rivals: tuple[str, ...] = ()


CASES = {
    "200 x 8": Case(numbers, 200, 8, ("smote",)),
    "1 000 x 20": Case(numbers, 1000, 20, ("smote",)),
    "10 000 x 30": Case(numbers, 10_000, 30, ("smote", "borderline", "adasyn")),
    "100 000 x 30": Case(numbers, 100_000, 30, ("smote", "borderline", "adasyn")),
    "500 000 x 30": Case(numbers, 500_000, 30, ("smote", "borderline", "adasyn")),
    "mixed 100 000 x 30": Case(mixed, 100_000, 30, ("smotenc",)),
    "2 000 x 500": Case(numbers, 2000, 500, ("smote",)),
    "2 000 x 50": Case(numbers, 2000, 50),
    "2 classes, 6 000 x 30": Case(partial(alternating, 2), 6000, 30),
    "20 classes, 6 000 x 30": Case(partial(alternating, 20), 6000, 30),
    "sparse 300 x 6 000": Case(words, 300, 6000, ("smote",)),
    "sparse 400 x 20 000": Case(words, 400, 20_000, ("smote",)),
    "10 classes, 20 000 x 30": Case(classes, 20_000, 30, ("smote",)),
    "signals 2 000 x 3 x 128": Case(signals, 2000, 128),
    "signals 10 000 x 3 x 256": Case(signals, 10_000, 256),
    "texts 30 000 x 12 words": Case(texts, 30_000, 12),
}

# What is ten times as much in the second case: the exponent of the cost is the logarithm of its
# ratio.
DECADES = {
    "rows": ("10 000 x 30", "100 000 x 30"),
    "columns": ("2 000 x 50", "2 000 x 500"),
    "classes": ("2 classes, 6 000 x 30", "20 classes, 6 000 x 30"),
}


def sampler_of(method: str, X: Any, device: str) -> Any:
    if method == "advaug":
        from advaug import AdversarialOverSampler

        return AdversarialOverSampler(device=device, random_state=SEED)
    from imblearn import over_sampling

    if method == "smotenc":
        categories = [at for at, dtype in enumerate(X.dtypes) if dtype == "category"]
        return over_sampling.SMOTENC(categorical_features=categories, random_state=SEED)
    return getattr(over_sampling, RIVALS[method])(random_state=SEED)


def as_read(method: str, data: Data) -> Data:
    """SMOTENC takes no gaps: they are filled with the column's median beforehand."""
    X, y = data
    if method == "smotenc":
        X = X.fillna(X.median(numeric_only=True))
    return X, y


def status(field: str) -> float:
    """A field of this process's memory status in MiB (Linux)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise LookupError(field)


def mib_of(X: Any) -> float:
    """The size of rows in memory."""
    if sparse.issparse(X):
        parts = (X.data, X.indices, X.indptr)
        return sum(part.nbytes for part in parts) / 2**20
    if isinstance(X, pd.DataFrame):
        return float(X.memory_usage(deep=True).sum()) / 2**20
    if isinstance(X, list):
        return sum(map(sys.getsizeof, X)) / 2**20
    return float(X.nbytes) / 2**20


def measure(method: str, name: str, device: str) -> dict[str, float]:
    """One cell, in this very process."""
    import torch

    torch.set_num_threads(1)
    case = CASES[name]
    small = as_read(method, case.make(min(case.rows, WARM), case.width))
    sampler_of(method, small[0], device).fit_resample(*small)
    X, y = as_read(method, case.make(case.rows, case.width))
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before, start, clock = status("VmRSS"), time.process_time(), time.perf_counter()
    X_out, y_out = sampler_of(method, X, device).fit_resample(X, y)
    cell = {
        "cpu_s": time.process_time() - start,
        "wall_s": time.perf_counter() - clock,
        "extra_mib": status("VmHWM") - before,
        "output_mib": mib_of(X_out) + y_out.nbytes / 2**20,
    }
    counts = np.bincount(y_out)
    assert counts.min() >= 0.8 * counts.max(), f"{method} left {counts}"
    return cell


def cell(method: str, name: str, device: str, folder: Path, limit: float) -> dict[str, float]:
    """The same in a fresh process with advaug from a folder; nothing past the limit."""
    command = [sys.executable, __file__, "--cell", method, name, "--device", device]
    environment = os.environ | {"PYTHONPATH": str(folder.resolve())}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=limit, check=True, env=environment
        )
    except subprocess.TimeoutExpired:
        return {}
    return json.loads(done.stdout.splitlines()[-1])


def best(cells: list[dict[str, float]], clock: str) -> dict[str, float]:
    """The cell of least time: what else the machine does only adds to it."""
    return min((one for one in cells if one), key=lambda one: one[clock], default={})


def clock_of(device: str) -> str:
    """The seconds that count on a device."""
    return "cpu_s" if device == "cpu" else "wall_s"


def rows_of(args: argparse.Namespace) -> list[dict[str, Any]]:
    """A line for each case and method, with the commit of the code."""
    from benchmarks.tables import commit_of

    rows = []
    for name in args.cases:
        folders = {"advaug": Path()} | ({"before": args.before} if args.before else {})
        cells: dict[str, list[dict[str, float]]] = {}
        for _ in range(args.rounds):
            for method, folder in folders.items():
                found = cell("advaug", name, args.device, folder, args.limit)
                cells.setdefault(method, []).append(found)
            for method in () if args.alone else CASES[name].rivals:
                cells.setdefault(method, []).append(
                    cell(method, name, args.device, Path(), args.limit)
                )
        clock = clock_of(args.device)
        fastest = {method: best(some, clock) for method, some in cells.items()}
        own = fastest["advaug"].get(clock, np.nan)
        for method, found in fastest.items():
            row = {
                "case": name,
                "method": method,
                "CPU s" if clock == "cpu_s" else "wall s": found.get(clock, np.nan),
                "advaug / it": own / found[clock] if found else np.nan,
                "extra MiB": found.get("extra_mib", np.nan),
                "extra / output": found["extra_mib"] / found["output_mib"] if found else np.nan,
                "commit": commit_of(args.before if method == "before" else None),
                "runs": str(args.rounds),
            }
            print(
                {
                    key: value if isinstance(value, str) else round(value, 3)
                    for key, value in row.items()
                },
                flush=True,
            )
            rows.append(row)
    return rows


def rows_in(page: Path, columns: Iterable[str]) -> pd.DataFrame:
    """The rows of a page that was printed before: cases that are not run again stay in it."""
    lines = page.read_text().splitlines() if page.exists() else []
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "|" in line]
    return pd.DataFrame([row for row in rows if row[0] in CASES], columns=[*columns])


def exponents(table: pd.DataFrame) -> pd.DataFrame:
    """With which power of rows, columns and classes the CPU seconds grow over a decade."""
    seconds = "CPU s" if "CPU s" in table else "wall s"
    cells = table.set_index("method", append=True)[seconds]
    cost = pd.to_numeric(cells, errors="coerce")
    rows = {}
    for name, (small, large) in DECADES.items():
        both = {method: cost.get((small, method), np.nan) for method in ("advaug", "before")}
        found = {m: np.log10(cost.get((large, m), np.nan) / both[m]) for m in both}
        rows[f"{name}: {small} to {large}"] = found
    return pd.DataFrame(rows).T.rename_axis("exponent")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", nargs="+", default=[*CASES], choices=CASES)
    parser.add_argument("--before", type=Path, help="a checkout of another commit")
    parser.add_argument("--rounds", type=int, default=2, help="the fastest of so many counts")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--alone", action="store_true", help="without the rivals")
    parser.add_argument("--limit", type=float, default=400, help="wall seconds a cell")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/oversamplers.md"))
    parser.add_argument("--cell", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.cell:
        print(json.dumps(measure(*args.cell, args.device)))
        return
    from benchmarks.tables import machine, markdown, save

    new = pd.DataFrame(rows_of(args))
    table = pd.concat([rows_in(args.out, new.columns).query("case not in @args.cases"), new])
    table = table.sort_values("case", key=lambda case: case.map([*CASES].index), kind="stable")
    table = table.set_index("case")
    head = f"One row in {RATIO + 1} is rare; the fastest of some runs; device {args.device}."
    growth = markdown(exponents(table), 2)
    print(growth)
    page = f"# Cost of over-sampling\n\n{head} {machine()}.\n\n{markdown(table, 3)}\n\n{growth}"
    save(page, args.out)


if __name__ == "__main__":
    main()
