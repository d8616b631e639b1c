"""What the defences buy and what they cost, each beside its control: noise of the same radius.

    python -m benchmarks.defences --data FOLDER [--parts digits tables distillation ...]

FOLDER holds manifest.csv, read.py and image/mnist_t10k.npz. Parts:

mnist, digits errors on clean, noisy and attacked images: a convolutional net trained plainly, with
              noise, on FGSM, on PGD, on PGD of 1.3 times the radius
tables        clean AP and balanced accuracy under PGD at .3 standard deviations, ten tables
augmented     other houses' classifiers refitted on their own adversarial rows, five tables
students      students of a committee under attacks, with and without attacked rows, ten tables of
              numbers
trees         forests and boosting under the leaf search, and what is proven, ten tables of numbers
regression    R2 under an attack on the squared error
instruments   signals of one simulated instrument learnt, those of others asked
distillation  an attack on the cross-entropy's gradient, and one on the log-odds, against a net and
              its student
compression   a student of a committee: the share kept of the AP that it gains over one net
detector      AUC on held-out images of the attack it saw, of others, of one that knows it
unknown       AUC on a class of images that training did not see
unlabelled    VAT with a tenth of the labels, five tables
cost          CPU of training beside plain training

Tables are the first of benchmarks.judge that are no other's variant, at most 1000 rows of the
majority, a third held out. Nets are the default small ones unless the part says otherwise.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.defences import models, robust_trees, students, suspects, trained
from benchmarks.defences.rows import Record
from benchmarks.tables import commit_of, machine, markdown, save

PARTS: dict[str, tuple[Callable[[Path, int], Iterator[Record]], Callable[..., pd.DataFrame]]] = {
    "mnist": (partial(trained.of_images, "MNIST"), trained.table_of_images),
    "digits": (partial(trained.of_images, "digits"), trained.table_of_images),
    "tables": (trained.of_tables, trained.table_of_tables),
    "augmented": (models.of_augmented, models.table_of_augmented),
    "students": (students.of_students, students.table_of_students),
    "trees": (robust_trees.of_trees, robust_trees.table_of_trees),
    "regression": (trained.of_regression, trained.table_of_regression),
    "instruments": (trained.of_instruments, trained.table_of_instruments),
    "distillation": (models.of_distillation, models.table_of_distillation),
    "compression": (models.of_compression, models.table_of_compression),
    "detector": (suspects.of_detector, suspects.table_of_detector),
    "unknown": (suspects.of_unknown, suspects.table_of_unknown),
    "unlabelled": (trained.of_unlabelled, trained.table_of_unlabelled),
    "cost": (trained.of_cost, trained.table_of_cost),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="has manifest.csv and read.py")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seeds", type=int, default=1, help="splits of each set")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/defences.json"))
    args = parser.parse_args()
    known = json.loads(args.out.read_text()) if args.out.exists() else {}
    for part in args.parts:
        run, _ = PARTS[part]
        records = [
            {key: round(v, 4) if isinstance(v, float) else v for key, v in record.items()}
            for record in run(args.data, args.seeds)
        ]
        about = {"machine": machine(), "commit": commit_of(), "seeds": args.seeds}
        known[part] = about | {"records": records}
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(known, indent=1) + "\n")
        save(report(known), args.out.with_suffix(".md"))
    print(args.out.with_suffix(".md").read_text())


def report(known: dict[str, Any]) -> str:
    """A table for each part that has been run."""
    pages = []
    for part, (_, table_of) in PARTS.items():
        if part in known:
            means = table_of(pd.DataFrame(known[part]["records"]))
            says = " ".join((table_of.__doc__ or "").split())
            about = f"{known[part]['seeds']} split(s); {known[part]['machine']}"
            about += f"; commit {known[part]['commit']}"
            for k, axis in enumerate(means.axes):
                means = means.set_axis([" ".join(map(str, np.atleast_1d(n))) for n in axis], axis=k)
            pages.append(f"## {part}\n\n{says}\n\n{markdown(means, 3)}\n\n{about}\n")
    return "# Defences\n\n" + "\n".join(pages)


if __name__ == "__main__":
    main()
