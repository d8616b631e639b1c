"""From a method's name to the training rows it makes of a fold, with its class counts asserted.

Names: nothing, class_weights, committee, stack (of signals), a rival, advaug:<recipe>[:name=value
...] where the values go to the sampler (attack=noise is the control: random moves of equal length),
advaug_own:<learner>[:hardness=strength], advaug_under:<drop>[:name=value ...], or one of
distillation.py. A sampler's name may end in @<strategy>, which then holds instead of the table's.
"""

import ast
import hashlib
import math
import time
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.oversampling import own_model, samplers, thinners
from benchmarks.oversampling.distillation import TAUGHT
from benchmarks.oversampling.domains import DOMAINS
from benchmarks.oversampling.samplers import Fold, Sampler
from benchmarks.oversampling.thinners import KEEPS_COUNTS, THINNERS

HERE = Path(__file__).parent
# What the rows of a table pass through on their way through the samplers.
PASSED = (
    "attacks/ascent.py",
    "attacks/gradient.py",
    "attacks/noise.py",
    "containers/*.py",
    "core/*.py",
    "domains/tables/adapter.py",
    "estimators/attacked_model.py",
    "estimators/choices.py",
    "estimators/over_sampler.py",
    "estimators/resampling.py",
    "estimators/sampler_parts.py",
    "estimators/under_sampler.py",
    "estimators/validation.py",
    "models/committee.py",
    "models/cross_fitted.py",
    "models/optimizer.py",
    "models/out_of_fold.py",
    "models/stacking.py",
    "sampling/*.py",
    "sampling/judges/conformal.py",
)
# What signals and sequences pass through.
ROOMS = (
    "attacks/*.py",
    "containers/*.py",
    "core/*.py",
    "domains/**/*.py",
    "estimators/*.py",
    "models/*.py",
    "sampling/**/*.py",
)
# What students of a teacher pass through.
TEACHING = (*ROOMS, "robust/distilled.py", "robust/soft_labels.py")
CLASSIFIERS = ("committee", "teacher", "stack")  # no learner is fitted
KEEPS_ROWS = (
    "nothing",
    "class_weights",
    "committee",
    "stack",
    *TAUGHT,
)  # the same under every strategy
ALIASES = {"copies": "random@distilled"}
# Where no row is "in danger", or where rows are not of the kind it takes: SMOTE instead.
MAY_GIVE_UP = ("borderline", "svm_smote", "adasyn", "esmote")


@dataclass(frozen=True)
class Resampled:
    """Rows for the learners, and what growing them cost in CPU seconds."""

    matrix: np.ndarray
    y: np.ndarray
    seconds: float
    fell_back: bool = False


def totals_of(strategy: str, y: np.ndarray) -> dict[int, int]:
    """Rows that each class shall have: 'balance' as many as the largest, 'grow1.5' 1.5 times as
    many, 'under' as many as the smallest, 'distilled' its part of the rows of `distilled`."""
    counts = np.bincount(y)
    if strategy == "distilled":
        from advaug.sampling.defaults import ten_for_each

        total = math.ceil((len(y) + ten_for_each(len(y))) / len(np.unique(y)))
        return {int(label): max(total, int(counts.max())) for label in np.unique(y)}
    factor = float(strategy.removeprefix("grow")) if strategy.startswith("grow") else 1.0
    total = int(counts.min()) if strategy == "under" else math.ceil(factor * int(counts.max()))
    return {int(label): total for label in np.unique(y)}


def parts_of(method: str, strategy: str) -> tuple[str, str]:
    """A method's name without its strategy, and the strategy: its own, the table's, or 'any'."""
    name, _, own = ALIASES.get(method, method).partition("@")
    return name, own or ("any" if name in KEEPS_ROWS else strategy)


def resample(method: str, fold: Fold, domain: str = "tabular") -> Resampled:
    """Grow a fold; AssertionError if the class counts are not the ones asked for."""
    if method in KEEPS_ROWS:
        return Resampled(fold.matrix, fold.y, 0.0)
    method, own = parts_of(method, "")
    fold = replace(fold, totals=totals_of(own, fold.y)) if own else fold
    start = time.process_time()
    fell_back = False
    try:
        matrix, y = sampler_of(method, domain)(fold)
        assert_counts(method, fold, y)
    except (ValueError, RuntimeError, AssertionError):
        if method not in MAY_GIVE_UP:
            raise
        (matrix, y), fell_back = sampler_of("smote", domain)(fold), True
        assert_counts("smote", fold, y)
    return Resampled(matrix, y, time.process_time() - start, fell_back)


def assert_counts(method: str, fold: Fold, y: np.ndarray) -> None:
    """Exact, but for ADASYN, which rounds row by row: within a tenth. Of the under-samplers those
    that clean may keep any number that is no larger."""
    is_thinner = method in THINNERS or method.startswith("advaug_under:")
    is_exact = not is_thinner or method.split(":")[0] in KEEPS_COUNTS
    for label, total in fold.totals.items():
        count, before = int((y == label).sum()), int((fold.y == label).sum())
        slack = 0.1 * total if method == "adasyn" else 0
        if abs(count - total) > slack if is_exact else not 0 < count <= before:
            raise AssertionError(f"{method}: {count} rows of class {label}, {total} asked for")


def sampler_of(method: str, domain: str = "tabular") -> Sampler:
    """The sampler that a name stands for; ValueError if it stands for none."""
    rivals, (method, _) = DOMAINS[domain].rivals, parts_of(method, "")
    if method in rivals:
        return rivals[method]
    ours = {
        "advaug": samplers.by_advaug,
        "advaug_under": thinners.by_advaug,
        "advaug_own": own_model.by_advaug,
    }
    family, colon, _ = method.partition(":")
    if colon and family in ours:
        return partial(ours[family], method)
    names = ", ".join([*KEEPS_ROWS, *rivals])
    raise ValueError(
        f"--methods: {method!r} is neither advaug:<recipe>, advaug_own:<learner>, "
        f"advaug_under:<drop> nor one of {names}"
    )


def refuse_unknown(method: str, domain: str = "tabular") -> None:
    """ValueError if a name stands for nothing, or not for such rows."""
    from advaug.estimators.choices import choose_recipe

    if method in TAUGHT and domain == "instrument":
        raise ValueError(f"--methods: {method} is not asked through instruments")
    if method in KEEPS_ROWS:
        return
    sampler_of(method, domain)
    if method.startswith("advaug:"):
        recipe, _ = samplers.options_of(parts_of(method, "")[0])
        if recipe != "auto":
            choose_recipe(recipe)


def committee_probability(fold: Fold, X_test: pd.DataFrame) -> np.ndarray:
    """The committee and the voters as one classifier: what the learners could inherit at most."""
    import torch

    from advaug.adapters import TabularAdapter
    from advaug.models import Ensemble
    from advaug.sampling.jury import EqualVotes
    from advaug.sampling.voters import train_voters

    coding = TabularAdapter().fit(fold.X)
    x, y = coding.encode(fold.X).flatten(1), torch.from_numpy(fold.y)
    generator, n_classes = torch.Generator().manual_seed(fold.seed), int(y.max()) + 1
    committee = Ensemble().fit(x, y, n_classes, generator)
    voters = train_voters(x, y, n_classes, generator)
    rows = coding.encode(X_test)
    features = committee.features(rows)
    return EqualVotes(voters)(rows, features, committee.read(features)).numpy()


@cache
def code_of(method: str, domain: str = "tabular") -> str:
    """A digest of the code behind a method: cells made by other code are told apart.

    Comments and layout do not count, nor do docstrings of the library. What all share is in it too.
    """
    own, (method, _) = DOMAINS[domain].files, parts_of(method, "")
    files, library = [HERE / name for name in ("data.py", *(own or ["learners.py"]))], []
    if method in TAUGHT:
        files.append(HERE / "distillation.py")
        library = library_files(TEACHING)
    elif method.startswith("advaug") or method in ("committee", "stack"):
        library = library_files(ROOMS if own else PASSED)
    elif method in THINNERS:
        files.append(HERE / "thinners.py")
    elif method not in KEEPS_ROWS:
        files += [HERE / "rivals.py", HERE / "samplers.py"]
    digest = hashlib.sha1(usedforsecurity=False)
    for file in files:
        digest.update(ast.dump(ast.parse(file.read_text())).encode())
    for file in library:
        digest.update(bare(file.read_text()).encode())
    return digest.hexdigest()[:12]


def library_files(patterns: tuple[str, ...]) -> list[Path]:
    """Files of the library; a pattern without a file is an error."""
    found = {pattern: [*(HERE.parents[1] / "advaug").glob(pattern)] for pattern in patterns}
    if lost := [pattern for pattern, files in found.items() if not files]:
        raise FileNotFoundError(f"no file of advaug is called {', '.join(lost)}")
    return sorted(file for files in found.values() for file in files)


def bare(code: str) -> str:
    """The code's syntax tree without docstrings."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        first = body[0] if isinstance(body, list) and body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            first.value.value = ""
    return ast.dump(tree)
