"""How robust are six models on ten tables, five sets of signals and five of texts?

    python -m benchmarks.board --data FOLDER [--jobs 2] [--cells build/board]

A run may be stopped at any time: a cell (set, model) that is there is not run again.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
from joblib import Parallel, delayed
from tqdm import tqdm

from benchmarks.board import page
from benchmarks.board.cell import run_cell
from benchmarks.board.models import MODELS
from benchmarks.oversampling import cells
from benchmarks.tables import save

SETS = {
    "tabular": (
        *("pima", "new_thyroid1", "glass1", "phoneme", "segment0", "page_blocks0", "mammography"),
        *("optical_digits_8", "german_credit", "thyroid_sick"),
    ),
    "signal": ("ecg200", "gunpoint", "italy_power_demand", "cbf", "basic_motions"),
    "sequence": (
        "sms_spam",
        "trec_coarse",
        "splice_dna",
        "url_phishing_strings",
        "adfa_ld_syscalls",
    ),
}
Key = tuple[str, str, str]  # domain, set, model


def path_of(folder: Path, key: Key) -> Path:
    """The file of a cell."""
    domain, name, model = key
    return folder / domain / name / f"{model}.parquet"


def write_cell(args: argparse.Namespace, key: Key) -> str:
    """Run a cell and write it; a line about what went wrong, or nothing."""
    try:
        cells.write(run_cell(args.data, *key), path_of(args.cells, key))
    except Exception as error:  # one cell's fault must not stop the run
        return f"{key[2]} on {key[1]}: {error!r}"
    return ""


def run(args: argparse.Namespace, keys: list[Key]) -> list[str]:
    """Run what is missing, with a progress bar; failures are returned."""
    missing = [key for key in keys if not path_of(args.cells, key).is_file()]
    workers = Parallel(args.jobs, return_as="generator_unordered")
    done = workers(delayed(write_cell)(args, key) for key in missing)
    return [said for said in tqdm(done, total=len(missing), disable=not missing) if said]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add: Any = parser.add_argument
    add("--data", type=Path, required=True)
    add("--domains", nargs="+", choices=SETS, default=[*SETS])
    add("--jobs", type=int, default=2)
    add("--cells", type=Path, default=Path("build/board"))
    add("--out", type=Path, default=Path("benchmarks/results"))
    return parser.parse_args()


def main() -> None:
    args = arguments()
    keys = [(d, name, model) for d in args.domains for name in SETS[d] for model in MODELS]
    start = time.perf_counter()
    for line in run(args, keys):
        print(f"failed: {line}", file=sys.stderr)
    paths = [path_of(args.cells, key) for key in keys]
    board = pd.concat([pd.read_parquet(path) for path in paths if path.is_file()])
    print(f"{time.perf_counter() - start:.0f} seconds")
    save(page.page_of(board), args.out / "board.md")


if __name__ == "__main__":
    main()
