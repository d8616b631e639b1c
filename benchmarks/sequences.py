"""What over-sampling sequences costs: CPU seconds and extra memory of one `fit_resample`.

Generated rows, one in 21 of the rare class: texts of 12 words (Zipf's law, 20 000 words), the same
spelt with letters as two sentences (those of "words" hold digits, which "paraphrase" and
"recombine" leave alone), texts of 60 letters without a blank, and lists of 5 to 40 events. Each
cell runs in a process of its own, one thread, warmed up on 200 rows. Extra memory is the peak
resident size during the call less the size before it, so the new rows themselves are in it.

    python -m benchmarks.sequences [--sizes 30000] [--out FILE]
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from advaug import AdversarialOverSampler
from advaug.attacks import Greedy
from advaug.models import NGramRidge
from benchmarks.tables import machine, markdown, save

RATIO, WORDS, SEED = 20, 20_000, 0
DIGITS_TO_LETTERS = str.maketrans("0123456789", "abcdefghij")
METHODS: dict[str, dict[str, Any]] = {
    "auto": {},
    "paraphrase": {"recipe": "paraphrase"},
    "recombine": {"recipe": "recombine"},
    "translate, NGramRidge": {"recipe": "translate", "surrogate": NGramRidge()},
    "explore, Greedy": {"recipe": "explore", "attack": Greedy()},
}


def texts(count: int, is_rare: bool, rng: np.random.Generator) -> list[str]:
    """Words by Zipf's law; of a rare text's every third is one of 30."""
    words = rng.zipf(1.3, (count, 12)) % WORDS
    telling = rng.random(words.shape) < (0.3 if is_rare else 0.02)
    words = np.where(telling, WORDS + rng.integers(30, size=words.shape), words)
    return [" ".join(f"w{word}" for word in row) for row in words]


def sentences(count: int, is_rare: bool, rng: np.random.Generator) -> list[str]:
    """The same words in letters, as two sentences of six words."""
    rows = [text.translate(DIGITS_TO_LETTERS).split() for text in texts(count, is_rare, rng)]
    return [". ".join(" ".join(row[k : k + 6]).capitalize() for k in (0, 6)) + "." for row in rows]


def letters(count: int, is_rare: bool, rng: np.random.Generator) -> list[str]:
    """Letters by chance; four in five rare texts hold a motif."""
    made = []
    for row in rng.choice([*"acgt"], (count, 60)):
        at = rng.integers(54)
        if rng.random() < (0.8 if is_rare else 0.02):
            row[at : at + 6] = [*"gattac"]
        made.append("".join(row))
    return made


def events(count: int, is_rare: bool, rng: np.random.Generator) -> list[list[int]]:
    """Whole numbers; rare rows go up by one more often."""
    made = []
    for size in rng.integers(5, 41, count):
        row = rng.integers(100, size=size)
        follows = rng.random(size) < (0.3 if is_rare else 0.05)
        for k in range(1, size):
            row[k] = (row[k - 1] + 1) % 100 if follows[k] else row[k]
        made.append(row.tolist())
    return made


KINDS = {"words": texts, "sentences": sentences, "letters": letters, "events": events}


def rows_of(kind: str, rows: int) -> tuple[list[Any], np.ndarray]:
    rng, rare = np.random.default_rng(SEED), rows // (RATIO + 1)
    X = KINDS[kind](rare, True, rng) + KINDS[kind](rows - rare, False, rng)
    return X, np.repeat([1, 0], [rare, rows - rare])


def peak() -> float:
    """Largest resident size so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(kind: str, rows: int, method: str) -> dict[str, Any]:
    """One cell, in this process."""
    AdversarialOverSampler(random_state=0, **METHODS[method]).fit_resample(*rows_of(kind, 200))
    X, y = rows_of(kind, rows)
    before, start = peak(), time.process_time()
    sampler = AdversarialOverSampler(random_state=0, **METHODS[method])
    _, y_new = sampler.fit_resample(X, y)
    return {
        "rows": rows,
        "kind": kind,
        "method": method,
        "CPU s": time.process_time() - start,
        "MB": peak() - before,
        "new rows": len(y_new) - len(y),
        "held-out AUC": sampler.surrogate_auc_[1],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[30_000])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=["auto"])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/sequences.json"))
    parser.add_argument("--cell", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.cell:
        kind, rows, method = args.cell
        print(json.dumps(measure(kind, int(rows), method)))
        return
    cells = [(k, str(n), m) for n in args.sizes for k in KINDS for m in args.methods]
    found = []
    for cell in cells:
        ask = [sys.executable, "-m", "benchmarks.sequences", "--cell", *cell]
        done = subprocess.run(ask, check=True, capture_output=True, text=True)
        found.append(json.loads(done.stdout))
        print(*found[-1].values(), flush=True)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps({"machine": machine(), "cells": found}, indent=1) + "\n")
    command = f"python -m benchmarks.sequences {' '.join(sys.argv[1:])}".strip()
    table = markdown(pd.DataFrame(found).set_index("rows"), 2)
    save(f"`{command}`\n\n{table}\n\n{machine()}", args.out.with_suffix(".md"))


if __name__ == "__main__":
    main()
