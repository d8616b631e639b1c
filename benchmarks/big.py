"""Tables larger than memory: peak memory, microseconds a row, and what engines cost.

It generates a table of 12 columns of float32 and a target in 8 Parquet files, scans it, fits, and
grows rows of its rare class with each engine, each in a process of its own. CPU seconds are of all
processes that were started, the dead included. Ray's daemon lets its workers end unwaited for, so
that the kernel forgets what they took: the last reading of each, five times a second, counts where
that is more. Memory is the largest sum over all processes, in which shared pages count once. Linux
only.

    python -m benchmarks.big [--rows 2000000] [--new 200000] [--engines local,processes]
                             [--folder FOLDER] [--out benchmarks/results]
"""

import argparse
import ctypes
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.tables import machine, markdown, save

COLUMNS, FILES, BLOCK, RARE = 12, 8, 250_000, 0.02
PR_SET_CHILD_SUBREAPER = (
    36  # Orphans become children of this process, so that it can wait for them.
)
MB = 2**20


def generate(folder: Path, n_rows: int) -> dict[str, int]:
    """Write the table, and count its classes."""
    counts = np.zeros(2, dtype=int)
    folder.mkdir(parents=True, exist_ok=True)
    for file in range(FILES):
        random = np.random.default_rng(file)
        left, writer = n_rows // FILES, None
        while left:
            n = min(left, BLOCK)
            y = (random.random(n) < RARE).astype(np.int8)
            X = random.standard_normal((n, COLUMNS), dtype=np.float32)
            X[:, :4] += 1.2 * y[:, None]
            table = pa.table({**{f"x{k}": X[:, k] for k in range(COLUMNS)}, "y": y})
            writer = writer or pq.ParquetWriter(folder / f"rows{file}.parquet", table.schema)
            writer.write_table(table)
            counts += np.bincount(y, minlength=2)
            left -= n
        writer.close()
    return {str(label): int(count) for label, count in enumerate(counts)}


# ---------------------------------------------------------------- one run, in its own process


def work(folder: str, out: str, engine: str, n_new: int) -> None:
    """Scan, fit and grow, and print what each step took."""
    import advaug.big.growing
    import advaug.big.oversampling

    figures = {"imports_mb": peak_mb()}
    workers = None if engine == "local" else 2
    begun = cpu_seconds()
    found = advaug.big.scan(folder, "y")
    figures |= {"scan_s": cpu_seconds() - begun, "scan_mb": peak_mb()}
    figures["counts"] = {str(label): n for label, n in found.summary.counts.items()}
    begun = cpu_seconds()
    generator = advaug.big.fit(found)
    figures |= {"fit_s": cpu_seconds() - begun, "fit_mb": peak_mb()}
    begun = cpu_seconds()
    manifest = advaug.big.grow_rows(generator, out, {1: n_new}, engine=engine, workers=workers)
    figures |= {"grow_s": cpu_seconds() - begun, "peak_mb": peak_mb()}
    figures["parts"] = [part["sha256"] for part in manifest["parts"]]
    print(json.dumps(figures))


def cpu_seconds() -> float:
    return time.process_time()


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MB


# ---------------------------------------------------------------- and what it took in all


def measured(folder: Path, out: Path, engine: str, n_new: int) -> dict[str, Any]:
    """What a run has printed, with the CPU seconds and the memory of all its processes."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    begun, watch = time.monotonic(), Watch(os.getpid())
    command = [sys.executable, "-m", "benchmarks.big", "--work", str(folder), str(out), engine]
    with tempfile.TemporaryFile() as told:
        run = subprocess.Popen([*command, str(n_new)], stdout=told)
        watch.start()
        total, status = 0.0, 0
        while True:
            try:
                pid, ended, usage = os.wait4(-1, 0)
            except ChildProcessError:
                break
            total += usage.ru_utime + usage.ru_stime
            status = ended if pid == run.pid else status
        watch.stop()
        run.returncode = status
        told.seek(0)
        if status:
            raise RuntimeError(f"the run on {engine} ended with {status}")
        figures = json.loads(told.read())
    cpu, wall = max(total, sum(watch.cpu_s.values())), time.monotonic() - begun
    return figures | {"cpu_s": cpu, "tree_mb": watch.peak_mb, "wall_s": wall}


class Watch(Thread):
    """Reads five times a second what all descendants of a process take."""

    def __init__(self, root: int) -> None:
        super().__init__()
        self.root, self.done = root, Event()
        self.peak_mb = 0.0
        self.cpu_s: dict[int, float] = {}

    def run(self) -> None:
        while not self.done.wait(0.2):
            pids = descendants(self.root)
            self.peak_mb = max(self.peak_mb, sum(map(memory_of, pids)) / MB)
            self.cpu_s |= {pid: cpu for pid in pids if (cpu := cpu_of(pid)) is not None}

    def stop(self) -> None:
        self.done.set()
        self.join()


def descendants(root: int) -> list[int]:
    found, waiting = [], [root]
    while waiting:
        for task in Path(f"/proc/{waiting.pop()}/task").glob("*/children"):
            try:
                children = [int(pid) for pid in task.read_text().split()]
            except OSError:
                continue
            found += children
            waiting += children
    return found


def memory_of(pid: int) -> int:
    """Bytes of a process; what several share counts for each by its share."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def cpu_of(pid: int) -> float | None:
    """CPU seconds of a process, None if it has ended."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return None
    return sum(map(int, told[11:13])) / os.sysconf("SC_CLK_TCK")


def engine_table(runs: dict[str, dict[str, Any]], n_new: int) -> pd.DataFrame:
    first = next(iter(runs.values()))
    table = {
        engine: {
            "new rows": str(n_new),
            "CPU s": f"{run['cpu_s']:.1f}",
            "of one process": f"{run['cpu_s'] / first['cpu_s']:.2f}",
            "memory, all processes, MB": f"{run['tree_mb']:.0f}",
            "same bytes": "yes" if run["parts"] == first["parts"] else "NO",
        }
        for engine, run in runs.items()
    }
    return pd.DataFrame(table).T.rename_axis("engine")


def scan_table(run: dict[str, Any], counts: dict[str, int], n_rows: int, size: int) -> pd.DataFrame:
    table = {
        "rows": f"{n_rows}",
        "Parquet, MB": f"{size / MB:.0f}",
        "scan, CPU us a row": f"{run['scan_s'] / n_rows * 1e6:.2f}",
        "fit, CPU s": f"{run['fit_s']:.1f}",
        "memory after imports, MB": f"{run['imports_mb']:.0f}",
        "scan, MB over imports": f"{run['scan_mb'] - run['imports_mb']:.0f}",
        "fit, MB over imports": f"{run['fit_mb'] - run['imports_mb']:.0f}",
        "peak, MB over imports": f"{run['peak_mb'] - run['imports_mb']:.0f}",
        "counts exact": "yes" if run["counts"] == counts else "NO",
    }
    return pd.DataFrame({"one process": table}).rename_axis("")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--new", type=int, default=200_000)
    parser.add_argument("--engines", default="local,processes")
    parser.add_argument("--folder", type=Path, help="where the table is written; else temporary")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--work", nargs=4, metavar="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        return work(*options.work[:3], int(options.work[3]))
    if options.folder:
        options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.folder) as place:
        folder, runs = Path(place) / "table", {}
        counts = generate(folder, options.rows)
        size = sum(path.stat().st_size for path in folder.iterdir())
        for engine in options.engines.split(","):
            runs[engine] = measured(folder, Path(place) / engine, engine, options.new)
            one = next(iter(runs.values()))
            table = scan_table(one, counts, options.rows, size)
            page = page_of(table, engine_table(runs, options.new))
            save(page, options.out / "big.md")
    print(page)


def page_of(scanned: pd.DataFrame, engines: pd.DataFrame) -> str:
    about = (
        f"{COLUMNS} columns of float32 and a target, {FILES} files; new rows of a class with a "
        f"share of {RARE:.0%}. {machine()}."
    )
    how = (
        "One process scans the table and fits, then each engine grows rows with two workers. CPU "
        "of all processes, imports included:"
    )
    parts = ["# Tables larger than memory", about, markdown(scanned), how, markdown(engines)]
    return "\n\n".join(parts)


if __name__ == "__main__":
    main()
