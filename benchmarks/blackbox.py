"""What do attacks cost that only ask, how far do they move, and what do their peers do?

Each task is one fitted model, rows that it has not seen, and a norm. Every rival gets the same
rows with the model's own predictions as labels, bounds [0, 1], and the same way to ask: a function
from rows to probabilities that counts them. One process, one thread; CPU seconds of the whole call.

    python -m benchmarks.blackbox --rows 40

success: share of rows whose prediction changed. distance: median over those, in the task's norm.
Square and SPSA work in a ball: their distance is its radius and says nothing; their rows are means
over five seeds.
"""

import argparse
import json
import math
import platform
import random
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits, make_classification
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier
from torch import Tensor, nn

from advaug.attacks import SPSA, Crossover, HopSkipJump, LeafSearch, Square
from advaug.core.box import Box
from advaug.core.objectives import Margin, RowLogits
from advaug.core.problem import AttackProblem
from advaug.core.row_random import RowRandom
from advaug.models.read_trees import read_trees
from benchmarks.tables import save

SEED = 0
BALL_SEEDS = 5
PACKAGES = [
    *("adversarial-robustness-toolbox", "advaug", "foolbox", "numpy", "scikit-learn", "torch"),
    "torchattacks",
]


@dataclass
class Task:
    """Rows x, the model's predictions y of them, and how the model is asked."""

    name: str
    ask: Callable[[np.ndarray], np.ndarray]  # rows -> probabilities
    x: np.ndarray
    seen: np.ndarray  # the model's training rows: a start, or cells to copy
    norm: float
    radius: float = math.inf
    net: nn.Module | None = None
    estimator: Any = None
    n_classes: int = 2
    queries: int = 0
    seed: int = SEED  # of the attacks' random numbers

    def probability(self, x: np.ndarray) -> np.ndarray:
        """The model's answer; counted."""
        self.queries += len(x)
        return self.ask(np.asarray(x, np.float32).reshape(-1, *self.x.shape[1:]))

    @property
    def y(self) -> np.ndarray:
        return self.ask(self.x).argmax(1)


Attack = Callable[[], np.ndarray]


@dataclass(frozen=True)
class QueriedLogits(RowLogits):
    """The task's model as logits of tensors, for us; with the boxes of its leaves."""

    task: Task
    leaf_boxes: Any = None

    def __call__(self, x: Tensor) -> Tensor:
        answer = self.task.probability(x.detach().numpy())
        return torch.from_numpy(np.log(answer.clip(1e-7))).to(x)


# ---------------------------------------------------------------- the rivals


def ours(attack: Any, *, starts_at_random: bool = False) -> Callable[[Task], Attack]:
    def make(task: Task) -> Attack:
        space = Box(torch.tensor(0.0), torch.tensor(1.0), norm=task.norm)
        trees = None if task.estimator is None else read_trees(task.estimator)
        boxes = None if trees is None else trees.leaf_boxes()
        seed, label = torch.from_numpy(task.x), torch.from_numpy(task.y)

        def run() -> np.ndarray:
            problem = AttackProblem(
                objective=Margin(QueriedLogits(task, boxes), label),
                seed=seed,
                space=space,
                radius=torch.full((len(seed),), task.radius),
                random=RowRandom.of(task.seed, 0, torch.arange(len(seed))),
                reference_rows=None if starts_at_random else torch.from_numpy(task.seen),
            )
            return attack(problem).numpy()

        return run

    return make


def art_model(task: Task) -> Any:
    from art.estimators.classification import BlackBoxClassifier

    return BlackBoxClassifier(
        task.probability, task.x.shape[1:], task.n_classes, clip_values=(0.0, 1.0)
    )


def art_hopskipjump(steps: int) -> Callable[[Task], Attack]:
    def make(task: Task) -> Attack:
        from art.attacks.evasion import HopSkipJump as Rival

        attack = Rival(
            art_model(task), norm=task.norm, max_iter=steps, max_eval=1000, verbose=False
        )
        return lambda: attack.generate(task.x, np.eye(task.n_classes)[task.y])

    return make


def art_tree(task: Task) -> Attack:
    from art.attacks.evasion import DecisionTreeAttack
    from art.estimators.classification.scikitlearn import ScikitlearnDecisionTreeClassifier

    attack = DecisionTreeAttack(
        ScikitlearnDecisionTreeClassifier(task.estimator), offset=1e-5, verbose=False
    )
    return lambda: attack.generate(task.x)


def art_square(steps: int) -> Callable[[Task], Attack]:
    def make(task: Task) -> Attack:
        from art.attacks.evasion import SquareAttack
        from art.estimators.classification import PyTorchClassifier

        model = PyTorchClassifier(
            torch_net(task),
            nn.CrossEntropyLoss(),
            task.x.shape[1:],
            task.n_classes,
            clip_values=(0.0, 1.0),
            device_type="cpu",
        )
        attack = SquareAttack(
            model, norm=task.norm, eps=task.radius, max_iter=steps, p_init=0.8,
            batch_size=len(task.x), verbose=False,
        )  # fmt: skip
        return lambda: attack.generate(task.x, np.eye(task.n_classes)[task.y])

    return make


def torch_net(task: Task) -> nn.Module:
    """The net itself, counting its rows."""

    class Counting(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            task.queries += len(x)
            return task.net(x)

    return Counting().eval()


def torchattacks_square(steps: int) -> Callable[[Task], Attack]:
    def make(task: Task) -> Attack:
        import torchattacks

        attack = torchattacks.Square(
            torch_net(task), norm="Linf" if task.norm == math.inf else "L2", eps=task.radius,
            n_queries=steps, seed=task.seed,
        )  # fmt: skip
        x, y = torch.from_numpy(task.x), torch.from_numpy(task.y)
        return lambda: attack(x, y).detach().numpy()

    return make


def torchattacks_spsa(steps: int, pairs: int) -> Callable[[Task], Attack]:
    def make(task: Task) -> Attack:
        import torchattacks

        attack = torchattacks.SPSA(
            torch_net(task), eps=task.radius, delta=0.2 * task.radius, lr=0.2 * task.radius,
            nb_iter=steps, nb_sample=pairs, max_batch_size=pairs,
        )  # fmt: skip
        x, y = torch.from_numpy(task.x), torch.from_numpy(task.y)
        return lambda: attack(x, y).detach().numpy()

    return make


def foolbox_hopskipjump(steps: int) -> Callable[[Task], Attack]:
    def make(task: Task) -> Attack:
        import foolbox

        model = foolbox.PyTorchModel(torch_net(task), bounds=(0, 1), device="cpu")
        attack = foolbox.attacks.HopSkipJumpAttack(
            steps=steps, max_gradient_eval_steps=1000,
            constraint="linf" if task.norm == math.inf else "l2",
        )  # fmt: skip
        x, y = torch.from_numpy(task.x), torch.from_numpy(task.y)
        return lambda: attack.run(model, x, foolbox.criteria.Misclassification(y)).numpy()

    return make


Rivals = dict[str, Callable[[Task], Attack]]

WALKS: Rivals = {
    "advaug HopSkipJump, 10 steps": ours(HopSkipJump(steps=10)),
    "advaug HopSkipJump, 5 steps": ours(HopSkipJump(steps=5)),
    "advaug HopSkipJump, 10 steps, random start": ours(
        HopSkipJump(steps=10), starts_at_random=True
    ),
    "ART HopSkipJump, 10 steps": art_hopskipjump(10),
}
ON_TREES: Rivals = {
    **WALKS,
    "advaug HopSkipJump, 40 steps": ours(HopSkipJump(steps=40)),
    "advaug LeafSearch": ours(LeafSearch()),
    "advaug Crossover": ours(Crossover()),
}
ON_ONE_TREE: Rivals = {
    "advaug LeafSearch": ours(LeafSearch()),
    "advaug HopSkipJump, 10 steps": ours(HopSkipJump(steps=10)),
    "ART DecisionTreeAttack": art_tree,
}
ON_NETS: Rivals = {**WALKS, "Foolbox HopSkipJump, 10 steps": foolbox_hopskipjump(10)}
SQUARES: Rivals = {
    "advaug Square": ours(Square(steps=300)),
    "ART Square": art_square(300),
    "torchattacks Square": torchattacks_square(300),
}
SLOPES: Rivals = {
    "advaug SPSA": ours(SPSA(steps=20, pairs=16)),
    "torchattacks SPSA": torchattacks_spsa(20, 16),
}

# ---------------------------------------------------------------- models and rows


def table(columns: int = 20) -> tuple[np.ndarray, np.ndarray]:
    x, y = make_classification(
        3000, columns, n_informative=10, class_sep=1.0, random_state=SEED, flip_y=0.02
    )
    return ((x - x.min(0)) / (x.max(0) - x.min(0))).astype(np.float32), y


def trained(net: nn.Module, x: np.ndarray, y: np.ndarray, steps: int = 400) -> nn.Module:
    torch.manual_seed(SEED)
    x, y = torch.from_numpy(x), torch.from_numpy(y)
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    for _ in range(steps):
        rows = torch.randint(len(x), (128,))
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x[rows]), y[rows]).backward()
        optimizer.step()
    return net.eval().requires_grad_(False)


def of_net(net: nn.Module) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: net(torch.from_numpy(x)).softmax(1).double().numpy()


def tasks(rows: int) -> list[tuple[Task, Rivals]]:
    x, y = table()
    seen, new = x[:2000], x[2000 : 2000 + rows]
    forest = RandomForestClassifier(50, random_state=SEED).fit(seen, y[:2000])
    boosted = HistGradientBoostingClassifier(max_iter=50, random_state=SEED).fit(seen, y[:2000])
    tree = DecisionTreeClassifier(max_depth=8, random_state=SEED).fit(seen, y[:2000])
    torch.manual_seed(SEED)
    mlp = nn.Sequential(
        nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2)
    )
    mlp = trained(mlp, seen, y[:2000])
    digits, label = load_digits(return_X_y=True)
    digits = (digits / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    torch.manual_seed(SEED)
    cnn = nn.Sequential(
        nn.Conv2d(1, 16, 3), nn.ReLU(), nn.Conv2d(16, 32, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(512, 10),
    )  # fmt: skip
    cnn = trained(cnn, digits[:1200], label[:1200])
    pictures = digits[1200 : 1200 + 4 * rows]
    named = {math.inf: "Linf", 2.0: "L2"}
    found: list[tuple[Task, Rivals]] = []
    for norm in (2.0, math.inf):
        for name, model, rivals in (
            ("forest of 50 trees", forest, ON_TREES),
            ("50 boosted trees", boosted, ON_TREES),
            ("one tree", tree, ON_ONE_TREE),
        ):
            task = Task(
                f"{name}, {named[norm]}", model.predict_proba, new, seen, norm, estimator=model
            )
            found.append((task, rivals))
        found.append((Task(f"MLP, {named[norm]}", of_net(mlp), new, seen, norm, net=mlp), ON_NETS))
        radius = 0.1 if norm == math.inf else 0.8
        task = Task(
            f"CNN on digits, {named[norm]} {radius}", of_net(cnn), pictures, digits[:1200], norm,
            radius, cnn, n_classes=10,
        )  # fmt: skip
        found.append((task, SQUARES))
    task = Task(
        "CNN on digits, Linf 0.1, slopes", of_net(cnn), pictures, digits[:1200], math.inf, 0.1, cnn,
        n_classes=10,
    )  # fmt: skip
    return [*found, (task, SLOPES)]


# ---------------------------------------------------------------- measuring


def measured(task: Task, make: Callable[[Task], Attack]) -> dict[str, float]:
    """One rival once, from the task's seed: a second run would do the same work."""
    np.random.seed(task.seed)  # noqa: NPY002  (the peers' own source of chance)
    torch.manual_seed(task.seed)
    random.seed(task.seed)
    run = make(task)
    task.queries, start = 0, time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        moved = run()
    seconds, queries = time.process_time() - start, task.queries
    fooled = task.ask(moved.astype(np.float32)).argmax(1) != task.y
    move = (moved - task.x).reshape(len(moved), -1)
    size = np.linalg.norm(move, ord=task.norm, axis=1)
    if math.isfinite(task.radius):
        fooled &= size <= task.radius * (1 + 1e-4)
    columns = (np.abs(move) > 1e-6).sum(1)
    return {
        "success": float(fooled.mean()),
        "distance": float(np.median(size[fooled])) if fooled.any() else math.nan,
        "columns": float(np.median(columns[fooled])) if fooled.any() else math.nan,
        "queries": queries / len(task.x),
        "ms": 1000 * seconds / len(task.x),
    }


def over_seeds(task: Task, make: Callable[[Task], Attack]) -> dict[str, float]:
    """In a ball success is a matter of chance: the mean of `BALL_SEEDS` runs. Walks run once."""
    count = BALL_SEEDS if math.isfinite(task.radius) else 1
    runs = [measured(replace(task, seed=SEED + k), make) for k in range(count)]
    return {key: float(np.mean([run[key] for run in runs])) for key in runs[0]}


def markdown(results: dict[str, Any]) -> str:
    machine = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    lines = [
        "# Attacks that only ask (and the leaf search, which reads a forest's thresholds)",
        "One thread, CPU time; "
        f"{machine['platform']}, Python {machine['python']}, {versions}. The last column is "
        "the CPU time a row as a ratio to the first rival's of the table. Attacks in a ball: means "
        f"over {BALL_SEEDS} seeds.",
    ]
    for task in results["tasks"]:
        lines += [f"## {task['task']}, {task['rows']} rows", ""]
        lines[-1] = "\n".join(
            [
                "| | success | distance | columns moved | queries a row | ms a row | ratio |",
                "|---|---|---|---|---|---|---|",
                *(
                    f"| {name} | {r['success']:.3f} | {r['distance']:.4f} | {r['columns']:.0f} | "
                    f"{r['queries']:.0f} | {r['ms']:.1f} | "
                    f"{r['ms'] / next(iter(task['results'].values()))['ms']:.2f} |"
                    for name, r in task["results"].items()
                ),
            ]
        )
    return "\n\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=40)
    parser.add_argument("--only", default="", help="tasks whose name holds this")
    parser.add_argument("--rival", default="", help="rivals whose name holds this")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/blackbox.json"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    results: dict[str, Any] = {
        "machine": {
            "platform": platform.platform(),
            "python": platform.python_version(),
            "versions": {d.name: d.version for d in distributions() if d.name in PACKAGES},
        },
        "seed": SEED,
        "tasks": json.loads(args.out.read_text())["tasks"] if args.out.exists() else [],
    }
    for task, rivals in tasks(args.rows):
        if args.only not in task.name:
            continue
        found: dict[str, Any] = {}
        for name, make in rivals.items():
            if args.rival in name:
                try:
                    found[name] = over_seeds(task, make)
                except ImportError as error:
                    print(f"{name} is left out: {error}")
                    continue
                print(task.name, "|", name, {k: round(v, 4) for k, v in found[name].items()})
        others = [one for one in results["tasks"] if one["task"] != task.name]  # of earlier runs
        one = {"task": task.name, "rows": len(task.x), "results": found}
        results["tasks"] = [*others, one]
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(results, indent=1) + "\n")
        save(markdown(results), args.out.with_suffix(".md"))


if __name__ == "__main__":
    main()
