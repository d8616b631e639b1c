"""Rules of real tables: who breaks them, and what keeping them costs.

For each set its expressions (numpy) are translated to the library's language; new rows are made by
advaug with the rules, advaug and PGD without, and SMOTE, and judged twice: by `Constraints.check`
and by the set's own expressions in numpy. Then the cost of ten linear rules, in CPU time.

    python -m benchmarks.constraints --data FOLDER [--sets NAME ...] [--out benchmarks/results]

What is not measured again is kept from the file that is there.
"""

import argparse
import ast
import importlib.util
import json
import os
import platform
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from imblearn.over_sampling import SMOTE, SMOTEN, SMOTENC

from advaug import AdversarialOverSampler
from advaug.constraints import Constraints
from benchmarks.tables import save

SEED, MOST_ROWS, NEW_ROWS, CLASSES = 0, 4000, 400, 3
SIGNS = {"Eq": "==", "NotEq": "!=", "Lt": "<", "LtE": "<=", "Gt": ">", "GtE": ">="}
SUMS = {"Add": "+", "Sub": "-", "Mult": "*", "Div": "/", "Pow": "**"}
CALLS = {"abs": "abs", "maximum": "max", "minimum": "min"}


# ---------------------------------------------------------------- translation


def translated(expression: str, X: pd.DataFrame) -> str:
    """A boolean numpy expression over columns in the library's language."""
    return spelt(ast.parse(expression, mode="eval").body, X)


def spelt(node: ast.expr, X: pd.DataFrame) -> str:
    match node:
        case ast.BinOp(ast.UnaryOp(ast.Invert(), guard), ast.BitOr(), then):
            return f"(if {spelt(guard, X)} then {spelt(then, X)})"
        case ast.BinOp(left, ast.BitAnd() | ast.BitOr() as operator, right):
            word = "and" if isinstance(operator, ast.BitAnd) else "or"
            return f"({spelt(left, X)} {word} {spelt(right, X)})"
        case ast.BinOp(left, operator, right):
            return f"({spelt(left, X)} {SUMS[type(operator).__name__]} {spelt(right, X)})"
        case ast.UnaryOp(ast.Invert(), of):
            return f"(not {spelt(of, X)})"
        case ast.UnaryOp(ast.USub(), of):
            return f"-{spelt(of, X)}"
        case ast.Compare(ast.Name(column), [ast.Eq()], [ast.Call(args=[ast.ListComp() as each])]):
            return looked_up(column, each, X)
        case ast.Compare(ast.Name(column), [sign], [ast.Constant(str(level))]):
            value = level if X[column].dtype == "category" else json.loads(level)
            return f"({column} {SIGNS[type(sign).__name__]} {value!r})"
        case ast.Compare(left, [sign], [right]):
            return f"({spelt(left, X)} {SIGNS[type(sign).__name__]} {spelt(right, X)})"
        case ast.Call(ast.Attribute(attr="isnan"), [ast.Name(column)]):
            return f"({column} is missing)"
        case ast.Call(ast.Attribute(attr=name), arguments):
            return f"{CALLS[name]}({', '.join(spelt(one, X) for one in arguments)})"
        case ast.Name(name):
            return name
        case ast.Constant(value):
            return repr(value)
    raise ValueError(f"not translated: {ast.unparse(node)}")


def looked_up(column: str, each: ast.ListComp, X: pd.DataFrame) -> str:
    """[f(s) for s in other]: an implication for each level of the other column."""
    other = each.generators[0].iter.id
    make = eval(f"lambda s: {ast.unparse(each.elt)}")  # of our own data folder
    levels = [str(level) for level in X[other].cat.categories]
    return " and ".join(
        f"(if {other} == {level!r} then {column} == {make(level)!r})" for level in levels
    )


# ---------------------------------------------------------------- rows made and judged


def part_of(X: pd.DataFrame, y: pd.Series) -> tuple[pd.DataFrame, pd.Series, dict[str, int]]:
    """At most MOST_ROWS rows, and which classes are to grow: the smallest of ten rows or more."""
    counts = y.value_counts()
    grow = counts[counts >= 10].index[::-1][:CLASSES].difference([counts.index[0]])
    rng = np.random.default_rng(SEED)
    order = rng.permutation(len(y))
    mine = np.isin(y.to_numpy()[order], grow)
    kept = np.sort(np.concatenate([order[mine][: MOST_ROWS // 2], order[~mine]])[:MOST_ROWS])
    X, y = X.iloc[kept].reset_index(drop=True), y.iloc[kept].reset_index(drop=True)
    return X, y, {label: int((y == label).sum()) + NEW_ROWS for label in grow}


def advaug_with(**settings: Any) -> Callable[..., Any]:
    def make(X: pd.DataFrame, y: pd.Series, totals: dict[str, int], rules: list[str]) -> Any:
        chosen = {k: rules if v is ... else v for k, v in settings.items()}
        s = AdversarialOverSampler(sampling_strategy=totals, random_state=SEED, **chosen)
        X_new, _ = s.fit_resample(X, y)
        return X_new.iloc[len(X) :], s

    return make


def smote(X: pd.DataFrame, y: pd.Series, totals: dict[str, int], rules: list[str]) -> Any:
    """SMOTE, SMOTENC or SMOTEN on a table whose gaps are filled (median, most frequent)."""
    filled = X.apply(lambda c: c.fillna(c.median() if c.dtype.kind in "fiub" else c.mode()[0]))
    levels = [k for k, t in enumerate(X.dtypes) if t == "category"]
    few = min(5, *(y.value_counts()[list(totals)] - 1))
    settings = {"sampling_strategy": totals, "k_neighbors": few, "random_state": SEED}
    if len(levels) == X.shape[1]:
        rival = SMOTEN(**settings)
    else:
        rival = SMOTENC(levels, **settings) if levels else SMOTE(**settings)
    X_new, _ = rival.fit_resample(filled, y)
    return X_new.iloc[len(X) :].astype(X.dtypes), None


METHODS = {
    "advaug": advaug_with(constraints=...),
    "advaug_pgd": advaug_with(constraints=..., recipe="harden", attack="pgd", judge=None),
    "unconstrained": advaug_with(constraints=None),
    "pgd": advaug_with(constraints=None, recipe="harden", attack="pgd", judge=None),
    "smote": smote,
}


def measure(name: str, read: Any) -> dict[str, Any]:
    X, y, _ = read.load(name)
    given = read.constraints(name)
    rules = [translated(one["expr"], X) for one in given]
    agree = float(np.mean([
        np.array_equal(ours, theirs)
        for ours, theirs in zip(
            Constraints(rules).check(X).values(), in_numpy(read, name, X), strict=True
        )
    ]))  # fmt: skip
    X, y, totals = part_of(X, y)
    exact = np.array([keeps.all() for keeps in Constraints(rules).check(X).values()])
    cells: dict[str, Any] = {}
    for method, make in METHODS.items():
        start = time.process_time()
        new, sampler = make(X, y, totals, rules)
        seconds = time.process_time() - start
        # filled cells are no breach of a rule on missing ones
        fair = [k for k, one in enumerate(given) if method != "smote" or "isnan" not in one["expr"]]
        ours = np.stack([*Constraints(rules).check(new).values()])
        theirs = np.stack(in_numpy(read, name, new))
        asked = [k for k in fair if exact[k]]
        cell = {
            "rows": len(new),
            "cpu_s": round(seconds, 2),
            "breaks": float((~ours[asked]).any(0).mean()),
            "breaks_numpy": float((~theirs[asked]).any(0).mean()),
        }
        if sampler is not None:
            parent = X.iloc[sampler.provenance_["parent"]]
            own = np.stack([*Constraints(rules).check(parent).values()])
            cell["breaks_of_parent"] = float((own & ~ours).any(0).mean())
            report = sampler.constraints_report_
            cell |= {k: report[k] / len(new) for k in ("repaired", "reverted", "replaced")}
        cells[method] = cell
    size = {"rows": len(X), "columns": X.shape[1], "rules": len(rules)}
    size |= {"exact_rules": int(exact.sum()), "translation_agrees": agree}
    return {"set": name, **size, "methods": cells}


def in_numpy(read: Any, name: str, X: pd.DataFrame) -> list[np.ndarray]:
    """What the set's own expressions say of each row; one with a missing cell counts as holding."""
    space, answers = read._ns(X), []
    for one in read.constraints(name):
        with np.errstate(all="ignore"):
            holds = np.asarray(eval(one["expr"], dict(space)), bool)
        names = {n.id for n in ast.walk(ast.parse(one["expr"])) if isinstance(n, ast.Name)}
        used = [c for c in X.columns if c in names and "isnan" not in one["expr"]]
        answers.append(holds | X[used].isna().any(axis=1).to_numpy())
    return answers


# ---------------------------------------------------------------- cost


def big_table(rows: int, columns: int, share: float) -> tuple[pd.DataFrame, np.ndarray, list[str]]:
    """Normal columns with ten linear rules that all rows keep, `share` of them equalities."""
    rng = np.random.default_rng(SEED)
    X = rng.normal(size=(rows, columns))
    y = np.zeros(rows, dtype=int)
    y[: rows // 21] = 1
    X[: rows // 21, :5] += 1
    rules = []
    for k in range(10):
        a, b, c = (k, 10 + k, 20 + k)
        if k < 10 * share:
            X[:, c] = X[:, a] + X[:, b]
            rules.append(f"c{c} == c{a} + c{b}")
        else:
            X[:, c] = X[:, a] + X[:, b] + rng.exponential(size=rows)
            rules.append(f"c{a} + c{b} <= c{c}")
    return pd.DataFrame(X, columns=[f"c{k}" for k in range(columns)]), y, rules


def cost(rounds: int, rows: int) -> list[dict[str, Any]]:
    table = []
    for what, share in (("inequalities", 0.0), ("half equalities", 0.5), ("equalities", 1.0)):
        X, y, rules = big_table(rows, 30, share)
        seconds: dict[str, list[float]] = {"without": [], "with": []}
        for _ in range(rounds):
            for name, given in (("without", None), ("with", rules)):
                start = time.process_time()
                s = AdversarialOverSampler(constraints=given, random_state=SEED)
                X_new, _ = s.fit_resample(X, y)
                seconds[name].append(time.process_time() - start)
        broken = np.stack([*Constraints(rules).check(X_new).values()])
        report = s.constraints_report_
        table.append({
            "rules": f"10 {what}", "rows": rows,
            "without_s": float(np.median(seconds["without"])),
            "with_s": float(np.median(seconds["with"])),
            "ratio": float(np.median(np.divide(seconds["with"], seconds["without"]))),
            "breaks": float((~broken).any(0).mean()),
            **{k: report[k] / report["rows"] for k in ("repaired", "reverted", "replaced")},
        })  # fmt: skip
        print(table[-1], flush=True)
    return table


# ---------------------------------------------------------------- report


def page(sets: list[dict[str, Any]], costs: list[dict[str, Any]]) -> str:
    lines = [
        "# Constraints",
        "",
        "Share of new rows (%) that break a rule which all real rows keep, by `Constraints.check` "
        "/ by the set's own numpy expressions. SMOTE: on filled tables, without rules on missing "
        "cells. PGD: recipe `harden`, no judge. Of advaug's rows: repaired / reverted to the "
        "parent's cells in the columns of a rule / replaced by a real row.",
        "",
        "| set | rules (exact) | translation agrees | advaug | PGD with rules | advaug without | "
        "PGD without | SMOTE(NC) | repaired / reverted / replaced | the same, PGD with rules |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for one in sets:
        m = one["methods"]
        shares = " | ".join(
            f"{100 * m[k]['breaks']:.1f} / {100 * m[k]['breaks_numpy']:.1f}"
            for k in ("advaug", "advaug_pgd", "unconstrained", "pgd", "smote")
        )
        work = " | ".join(
            " / ".join(f"{100 * m[k][w]:.1f}" for w in ("repaired", "reverted", "replaced"))
            for k in ("advaug", "advaug_pgd")
        )
        lines.append(
            f"| {one['set']} | {one['rules']} ({one['exact_rules']}) | "
            f"{one['translation_agrees']:.0%} | {shares} | {work} |"
        )
    if costs:
        lines += [
            "",
            "Ten linear rules, 30 columns, CPU seconds of `fit_resample`, median of rounds:",
            "",
            "| rules | rows | without | with | ratio | breaks | repaired | reverted | replaced |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        lines += [
            f"| {c['rules']} | {c['rows']} | {c['without_s']:.2f} | {c['with_s']:.2f} | "
            f"{c['ratio']:.2f} | {c['breaks']:.2%} | {c['repaired']:.1%} | {c['reverted']:.2%} | "
            f"{c['replaced']:.2%} |"
            for c in costs
        ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with read.py")
    parser.add_argument("--sets", nargs="*", help="default: all; no name: none")
    parser.add_argument("--rounds", type=int, default=3, help="of the cost table; 0: none")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    spec = importlib.util.spec_from_file_location("read", args.data / "read.py")
    read = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(read)
    names = (
        args.sets
        if args.sets is not None
        else sorted(path.stem for path in (args.data / "constraints").glob("*.json"))
    )
    sets = []
    for name in names:
        sets.append(measure(name, read))
        m = sets[-1]["methods"]
        print(name, sets[-1]["translation_agrees"], {
            k: [round(v, 4) for v in c.values()] for k, c in m.items()
        }, flush=True)  # fmt: skip
    kept = args.out / "constraints.json"
    before = json.loads(kept.read_text()) if kept.exists() else {"sets": [], "cost": []}
    again = {one["set"]: one for one in [*before["sets"], *sets]}
    sets = [again[name] for name in sorted(again)]
    costs = cost(args.rounds, args.rows) if args.rounds else before["cost"]
    machine = {"platform": f"{platform.system()} {platform.machine()}", "cores": os.cpu_count(),
               "threads": 1, "python": platform.python_version(),
               **{n: version(n) for n in ("imbalanced-learn", "numpy", "torch")}}  # fmt: skip
    result = {"machine": machine, "seed": SEED, "sets": sets, "cost": costs}
    args.out.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(result, indent=1) + "\n")
    save(page(sets, costs), args.out / "constraints.md")


if __name__ == "__main__":
    sys.exit(main())
