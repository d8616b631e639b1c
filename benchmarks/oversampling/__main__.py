"""python -m benchmarks.oversampling --data FOLDER [TABLE]: see the package's docstring.

FOLDER holds manifest.csv and read.py. Finished cells are kept under --cells and not run again.
"""

import argparse
import shlex
import sys
from pathlib import Path

from benchmarks.oversampling import (
    cells,
    curves,
    data,
    harder,
    methods,
    report,
    samplers,
    scores,
    shifts,
)
from benchmarks.oversampling.domains import DOMAINS

RIVALS = (
    "nothing,class_weights,random,jitter,smote,borderline,svm_smote,adasyn,polynom_star,prowsyn,"
    "geometric_smote,crossover,mixup"
)
OURS = "committee,advaug:auto,advaug:match,advaug:match:attack=noise,advaug:interpolate"
METHODS = {
    "balance": f"{RIVALS},{OURS}",
    "mixed": f"{RIVALS},{OURS}",
    "grow": f"nothing,random,jitter,smote,polynom_star,mixup,{OURS}",
    "multiclass": "nothing,class_weights,random,jitter,smote,polynom_star,committee,advaug:auto",
    "distill": "nothing,class_weights,copies,smote,advaug:auto,softened,distilled,distilled:copies,"
    "advaug:distill@grow12,gated,hard,committee,teacher",
    "curves": "nothing,copies,random,jitter,smote,mixup,advaug:auto,distilled,gated",
    "undersample": "nothing,random_under,tomek,enn,near_miss,instance_hardness,committee,"
    "advaug_under:noisy,advaug_under:redundant,advaug_under:both",
    "scale": "nothing,class_weights,random,jitter,smote,committee,advaug:auto",
}
SIGNAL_RIVALS = "nothing,class_weights,random,smote,jitter,time_warp,ohit,esmote"
SEQUENCE_RIVALS = "nothing,class_weights,random,edits,markov,smote"
OURS_ELSEWHERE = "advaug:auto,advaug:auto:attack=noise"
METHODS |= {
    "signals": f"{SIGNAL_RIVALS},{OURS_ELSEWHERE}",
    "signals_hard": f"{SIGNAL_RIVALS},random_guided_warp,guided_warp,advaug:auto,distilled,teacher,"
    "stack",
    "signals_multiclass": f"{SIGNAL_RIVALS},{OURS_ELSEWHERE}",
    "instruments": "nothing,random,smote,jitter,time_warp,instrument,advaug_instrument,"
    "advaug_instrument_searched",
    "sequences": f"{SEQUENCE_RIVALS},{OURS_ELSEWHERE}",
    "sequences_multiclass": f"{SEQUENCE_RIVALS},{OURS_ELSEWHERE}",
}
FOLDS = {"distill": 3}  # elsewhere 5
STRATEGIES = {"grow": "grow1.5", "curves": "grow3", "undersample": "under", "instruments": "grow2"}
SUBJECTS = {
    "balance": "binary tables under 6000 rows, minority rows only",
    "distill": "the same and two tuned learners, taught by a teacher's probabilities",
    "grow": "the same, all classes grown to 1.5 times the largest",
    "multiclass": "tables of several classes, macro scores",
    "mixed": "those of `balance` with categories or missing cells (the cells are shared)",
    "curves": "small training sets, n = 30 to 500, all classes grown to 3 times the largest",
    "undersample": "those of `balance`, the large class cut to the rare one's size",
    "scale": "tables of 6000 rows and more, training folds whole",
    "signals": "signals, rare rows thinned to a tenth of the training fold",
    "signals_hard": "noisier signals and sets of aeon, whose MultiRocket and Hydra learn too",
    "signals_multiclass": "signals of several classes as they are, macro scores",
    "instruments": "the same learners asked about signals of other instruments",
    "sequences": "texts and events, rare rows thinned to a twentieth of the training fold",
    "sequences_multiclass": "texts and events of several classes as they are, macro scores",
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.oversampling",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(f"{name:11} {subject}" for name, subject in SUBJECTS.items()),
    )
    add = parser.add_argument
    add("table", nargs="?", choices=METHODS, default="balance")
    add("--data", type=Path, required=True, help="has manifest.csv and read.py")
    add("--sets", type=samplers.split, help="names, instead of the table's own choice")
    add("--learners", type=samplers.split, default=[], help="names, instead of all of the table")
    add("--methods", type=samplers.split, help="see methods.py; default: all of the table")
    add("--strategy", help="balance, grow1.5 (any factor) or under")
    add("--split", default="dev", help="the manifest's split to choose sets from")
    add("--half", choices=("all", "tune", "confirm"), default="all", help="half of the base sets")
    add("--variants", type=int, default=1, help="tables of one base")
    add("--seeds", type=int, default=1, help="repeats of the folds: seeds 0, 1, ...")
    add("--folds", type=int, help="default: 5; distill 3")
    add(
        "--most-rows",
        type=int,
        help="of a training fold; 0: all (default: 3000; scale 0, signals 400, sequences 2000)",
    )
    add(
        "--sizes",
        type=samplers.split,
        help="of `curves`: training rows (default: 30,60,125,250,500)",
    )
    add("--jobs", type=int, default=2)
    add("--cells", type=Path, default=Path("build/oversampling"), help="where cells are kept")
    add("--out", type=Path, default=Path("benchmarks/results/oversampling"))
    add("--title", help="of the results' files; default: the table's name")
    add("--fresh", type=samplers.split, default=[], help="methods to run anew")
    add("--report-only", action="store_true", help="run nothing")
    add("--list", action="store_true", help="print the sets and stop")
    args = parser.parse_args()
    args.folds = args.folds or FOLDS.get(args.table, 5)
    return args


def domain_of(table: str) -> str:
    """What kind of rows a table of results is about."""
    known = {"signals": "signal", "sequences": "sequence", "instruments": "instrument"}
    if table == "signals_hard":
        return "hard signal"
    return known.get(table.split("_")[0], "tabular")


def task_of(table: str) -> str:
    if table == "instruments":
        return table
    return "multiclass" if table.endswith("multiclass") else "binary"


def sets_of(args: argparse.Namespace) -> list[str]:
    task, domain = task_of(args.table), DOMAINS[domain_of(args.table)].shelf
    is_big = args.table == "scale"
    if args.sets:
        names = args.sets
    elif args.table == "curves":
        names = curves.choose(args.data, args.split, args.folds)
    elif args.table == "signals_hard":
        names = [*harder.SETS]
    elif args.table == "instruments":
        names = shifts.choose(args.data, args.split, args.variants)
    else:
        names = data.choose(
            args.data,
            task,
            is_big=is_big,
            variants=args.variants,
            split=args.split,
            domain=domain,
        )
    if args.half != "all":
        names = data.halves(args.data, names, args.split, domain)[args.half == "confirm"]
    if args.table == "mixed":
        names = [name for name in names if data.load(args.data, name, task).is_mixed]
    return names


def learners_of(args: argparse.Namespace) -> tuple[str, ...]:
    """The learners that were asked for; ValueError if there is none of a name."""
    kind = DOMAINS[domain_of(args.table)]
    known = (*kind.learners, *kind.tuned)
    for name in args.learners:
        if name not in known:
            raise ValueError(f"--learners: {name!r} is not one of {', '.join(known)}")
    return tuple(dict.fromkeys(args.learners))


def plan_of(args: argparse.Namespace) -> cells.Plan:
    domain = domain_of(args.table)
    most = 0 if args.table == "scale" else DOMAINS[domain].most_rows
    most = args.most_rows if args.most_rows is not None else most
    names = args.methods or samplers.split(METHODS[args.table])
    for method in names:  # a misspelt one fails now, not after an hour
        methods.refuse_unknown(method, domain)
    return cells.Plan(
        folder=args.data,
        cells=args.cells,
        sets=tuple(sets_of(args)),
        methods=tuple(dict.fromkeys(names)),
        task=task_of(args.table),
        strategy=args.strategy or STRATEGIES.get(args.table, "balance"),
        most_rows=most or None,
        seeds=args.seeds,
        folds=args.folds,
        domain=domain,
        is_tuned=args.table == "distill",
        few_learners=learners_of(args),
    )


def command() -> str:
    """What was typed, without this machine's folders."""
    words = sys.argv[1:]
    for option, name in (("--data", "FOLDER"), ("--cells", "CELLS"), ("--out", "OUT")):
        if option in words:
            words[words.index(option) + 1] = name
    return shlex.join(["python", "-m", "benchmarks.oversampling", *words])


def tell(failures: list[str]) -> None:
    """Cells that failed, on stderr: their sets are left out of the comparison."""
    for line in failures:
        print(f"failed: {line}", file=sys.stderr)


def main() -> None:
    args = arguments()
    plan = plan_of(args)
    if args.list:
        print(report.facts_of(plan, [*plan.sets]).to_string())
        return
    for method in args.fresh:
        for key in plan.parts():
            plan.path(*key, method).unlink(missing_ok=True)
    title = args.title or args.table
    if args.table == "curves":
        sizes = tuple(int(size) for size in args.sizes or curves.SIZES)
        tables = curves.run(plan, sizes, args.jobs, report_only=args.report_only)
        print(curves.write(plan, tables, title, args.out, command()))
        return
    if not args.report_only:
        tell(cells.run(plan, args.jobs))
    if args.table == "instruments":
        print(shifts.write(plan, shifts.score(plan), title, args.out, command()))
        return
    table = scores.score(plan, args.jobs)
    print(report.write(plan, table, title, args.out, command()))


if __name__ == "__main__":
    main()
