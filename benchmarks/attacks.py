"""What does an attack cost beside the plain loop that a good engineer writes by hand?

FGSM, PGD and DeepFool on two small nets, equal work for all: the same rows, steps and step length,
no random start, the whole batch at once, one process, one thread. Within a round the rivals take
turns call by call, and a ratio is always to the hand-written loop of the same round.

    python -m benchmarks.attacks --rounds 15

Seconds are CPU seconds; on cuda wall seconds, synchronised. torchattacks' L2 attack takes images
only, so everyone gets (rows, 1, 1, 30) and the MLP begins with Flatten. Foolbox is asked by `run`,
which spares it the check of success; ART takes numpy arrays and batch_size = all rows.
"""

import argparse
import ctypes
import gc
import json
import math
import os
import platform
import random
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from statistics import median
from typing import Any

import torch
from sklearn.datasets import load_digits, make_classification
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate

from advaug.attacks import FGSM, PGD, Captured, DeepFool
from advaug.core.box import Box
from advaug.core.objectives import Margin, Odds
from advaug.core.problem import AttackProblem
from advaug.core.row_random import RowRandom
from advaug.models.torch_model import TorchModel
from benchmarks.tables import save

SEED = 0
BY_HAND, OURS, DROPPING = "by hand", "advaug", "advaug, stop_at=0"
CAPTURED = "advaug, captured"
PACKAGES = [
    *("adversarial-robustness-toolbox", "advaug", "foolbox", "numpy", "scikit-learn", "torch"),
    "torchattacks",
]


@dataclass
class Task:
    """One row of the table: `step` is a share of the radius, FGSM is one step of all of it."""

    name: str
    net: nn.Module
    x: Tensor
    y: Tensor
    radius: float
    norm: float = math.inf
    steps: int = 40
    step: float = 1 / 30
    is_deepfool: bool = False

    @property
    def is_fgsm(self) -> bool:
        return self.steps == 1

    @property
    def stride(self) -> float:
        return self.step * self.radius


Attack = Callable[[], Tensor]

# ---------------------------------------------------------------- the rivals


def by_hand(task: Task) -> Attack:
    """The honest loop: gradients on the inputs only, parameters as the user has them."""
    net, seed, y, radius, stride = task.net, task.x, task.y, task.radius, task.stride

    def gradient_at(x: Tensor) -> Tensor:
        x = x.detach().requires_grad_(True)
        return torch.autograd.grad(cross_entropy(net(x), y, reduction="sum"), x)[0]

    def fgsm() -> Tensor:
        return (seed + radius * gradient_at(seed).sign()).clamp(0, 1)

    def pgd_inf() -> Tensor:
        x = seed
        for _ in range(task.steps):
            move = x + stride * gradient_at(x).sign() - seed
            x = (seed + move.clamp(-radius, radius)).clamp(0, 1)
        return x

    def pgd_2() -> Tensor:
        x = seed
        for _ in range(task.steps):
            gradient = gradient_at(x)
            size = gradient.flatten(1).norm(dim=1).clamp_min(1e-30).view(-1, 1, 1, 1)
            move = x + stride * gradient / size - seed
            size = move.flatten(1).norm(dim=1).clamp_min(1e-30).view(-1, 1, 1, 1)
            x = (seed + move * (radius / size).clamp_max(1)).clamp(0, 1)
        return x

    def deepfool() -> Tensor:
        """Rows leave once they are over; gradients only of what is still going."""
        done, x, label = seed.clone(), seed, y
        rows = torch.arange(len(seed), device=seed.device)
        for _ in range(task.steps):
            x = x.detach().requires_grad_(True)
            out = net(x)
            own = out.gather(1, label[:, None])
            others = (label[:, None] + torch.arange(1, out.shape[1], device=x.device)) % out.shape[
                1
            ]
            gaps = (out.gather(1, others) - own).unbind(1)
            slopes = [torch.autograd.grad(g.sum(), x, retain_graph=True)[0] for g in gaps]
            going = torch.stack(gaps).amax(0) <= 0
            done[rows[~going]] = x.detach()[~going]
            x, rows, label = x.detach()[going], rows[going], label[going]
            if not len(rows):
                break
            gaps, slopes = [g.detach()[going] for g in gaps], [w[going] for w in slopes]
            sizes = torch.stack([w.flatten(1).norm(dim=1).clamp_min(1e-30) for w in slopes])
            away = (1e-6 - torch.stack(gaps)) / sizes
            near, which = away.min(0)
            picked = torch.arange(len(rows), device=x.device)
            unit = torch.stack(slopes)[which, picked] / sizes[which, picked].view(-1, 1, 1, 1)
            x = (x + 1.02 * near.view(-1, 1, 1, 1) * unit).clamp(0, 1)
        done[rows] = x.detach()
        return done

    if task.is_fgsm:
        return fgsm
    if task.is_deepfool:
        return deepfool
    return pgd_inf if task.norm == math.inf else pgd_2


def ours(task: Task) -> Attack:
    """advaug through its public pieces."""
    if task.is_deepfool:
        return from_pieces(task, DeepFool(task.steps), Margin)
    attack = FGSM() if task.is_fgsm else PGD(task.steps, task.step, random_start=False)
    return from_pieces(task, attack, Odds)


def ours_dropping(task: Task) -> Attack:
    """The same, but a row leaves the loop at its first success."""
    attack = PGD(task.steps, task.step, random_start=False, stop_at=0.0)
    return from_pieces(task, attack, Margin)


def ours_captured(task: Task) -> Attack:
    """On cuda: the whole loop as one graph."""
    attack = Captured(PGD(task.steps, task.step, random_start=False))
    return from_pieces(task, attack, Odds)


def from_pieces(task: Task, attack: Any, objective: type) -> Attack:
    """Net, space and radius are made once, as the peers' models and attacks are."""
    net = TorchModel(task.net)
    space = Box(torch.zeros_like(task.x[0]), torch.ones_like(task.x[0]), task.norm)
    radius = torch.full((len(task.x),), task.radius, device=task.x.device)
    random = RowRandom.of(SEED, 0, torch.arange(len(task.x))).to(task.x.device)

    def run() -> Tensor:
        with net.frozen():  # once for the whole attack
            goal = objective(net.logits, task.y)
            return attack(AttackProblem(goal, task.x, space, radius, random))

    return run


def torchattacks(task: Task) -> Attack:
    import torchattacks

    if task.is_fgsm:
        attack = torchattacks.FGSM(task.net, eps=task.radius)
    elif task.is_deepfool:
        attack = torchattacks.DeepFool(task.net, steps=task.steps)
    else:
        make = torchattacks.PGD if task.norm == math.inf else torchattacks.PGDL2
        attack = make(task.net, task.radius, task.stride, task.steps, random_start=False)
    return lambda: attack(task.x, task.y)


def foolbox(task: Task) -> Attack:
    import foolbox

    model = foolbox.PyTorchModel(task.net, bounds=(0, 1), device=task.x.device)
    if task.is_fgsm:
        attack = foolbox.attacks.LinfFastGradientAttack(random_start=False)
    elif task.is_deepfool:
        attack = foolbox.attacks.L2DeepFoolAttack(steps=task.steps, loss="logits")
        return lambda: attack.run(model, task.x, task.y)
    else:
        make = foolbox.attacks.LinfPGD if task.norm == math.inf else foolbox.attacks.L2PGD
        attack = make(abs_stepsize=task.stride, steps=task.steps, random_start=False)
    return lambda: attack.run(model, task.x, task.y, epsilon=task.radius)


def art(task: Task) -> Attack:
    from art.attacks import evasion
    from art.attacks.evasion import FastGradientMethod, ProjectedGradientDescentPyTorch
    from art.estimators.classification import PyTorchClassifier

    x, y = task.x.cpu().numpy(), task.y.cpu().numpy()
    classifier = PyTorchClassifier(
        task.net,
        nn.CrossEntropyLoss(),
        input_shape=x.shape[1:],
        nb_classes=int(y.max()) + 1,
        clip_values=(0.0, 1.0),
        device_type="gpu" if task.x.is_cuda else "cpu",
    )
    common = {"norm": task.norm, "eps": task.radius, "batch_size": len(x)}
    if task.is_fgsm:
        attack = FastGradientMethod(classifier, **common)
    elif task.is_deepfool:
        attack = evasion.DeepFool(classifier, task.steps, 0.02, batch_size=len(x), verbose=False)
    else:
        attack = ProjectedGradientDescentPyTorch(
            classifier, eps_step=task.stride, max_iter=task.steps, verbose=False, **common
        )
    return lambda: torch.from_numpy(attack.generate(x, y)).to(task.x.device)


RIVALS: dict[str, Callable[[Task], Attack]] = {
    BY_HAND: by_hand,
    OURS: ours,
    "torchattacks": torchattacks,
    "Foolbox": foolbox,
    "ART": art,
    DROPPING: ours_dropping,
    CAPTURED: ours_captured,
}

# ---------------------------------------------------------------- rows and nets


def trained(net: nn.Module, x: Tensor, y: Tensor, steps: int) -> nn.Module:
    """A few steps of Adam: sure of most rows, but not so sure that cross-entropy is flat."""
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    for _ in range(steps):
        rows = torch.randint(len(x), (256,))
        optimizer.zero_grad(set_to_none=True)
        cross_entropy(net(x[rows]), y[rows]).backward()
        optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return net.eval()


def mlp_rows() -> tuple[nn.Module, Tensor, Tensor]:
    """Two classes of 30 numbers in [0, 1]; 10 000 rows that the MLP has not seen."""
    x, y = make_classification(12_000, 30, n_informative=12, class_sep=1.5, random_state=SEED)
    x = (x - x.min(0)) / (x.max(0) - x.min(0))
    x, y = torch.tensor(x, dtype=torch.float32).view(-1, 1, 1, 30), torch.tensor(y)
    hidden = [nn.Linear(30, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU()]
    net = nn.Sequential(nn.Flatten(), *hidden, nn.Linear(128, 2))
    return trained(net, x[10_000:], y[10_000:], 150), x[:10_000], y[:10_000]


def cnn_rows() -> tuple[nn.Module, Tensor, Tensor]:
    """scikit-learn's digits, enlarged to 28 x 28; 500 that the CNN has not seen."""
    x, y = load_digits(return_X_y=True)
    small = torch.tensor(x / 16, dtype=torch.float32).view(-1, 1, 8, 8)
    x, y = interpolate(small, size=(28, 28), mode="bilinear"), torch.tensor(y)
    convolutions = [nn.Conv2d(1, 16, 5, 2), nn.ReLU(), nn.Conv2d(16, 32, 3, 2), nn.ReLU()]
    net = nn.Sequential(*convolutions, nn.Flatten(), nn.Linear(32 * 5 * 5, 10))
    return trained(net, x[500:], y[500:], 150), x[:500], y[:500]


def tasks_on(device: str) -> list[Task]:
    torch.manual_seed(SEED)
    random.seed(SEED)
    mlp, cnn = mlp_rows(), cnn_rows()
    tasks = []
    for name, (net, x, y), rows, radii in (
        ("MLP 30-128-128-2, 1 000 rows", mlp, 1_000, (0.08, 0.3)),
        ("MLP 30-128-128-2, 10 000 rows", mlp, 10_000, (0.08, 0.3)),
        ("CNN 1x28x28, 500 rows", cnn, 500, (0.1, 1.2)),
    ):
        given = (net.to(device), x[:rows].to(device), y[:rows].to(device))
        if rows <= 1_000:
            label = given[0](given[1]).argmax(1)
            few = (given[0], given[1][:200], label[:200])  # the peers need a second a row
            radius = {"radius": math.inf, "norm": 2, "steps": 50, "is_deepfool": True}
            tasks.append(Task(f"DeepFool L2, {name.split(',')[0]}, 200 rows", *few, **radius))
        tasks.append(Task(f"FGSM, {name}", *given, radii[0], steps=1, step=1.0))
        tasks.append(Task(f"PGD Linf 40, {name}", *given, radii[0]))
        tasks.append(Task(f"PGD L2 40, {name}", *given, radii[1], norm=2))
    return tasks


# ---------------------------------------------------------------- the clock


def keep_memory() -> None:
    """No freed memory goes back to the system, or its page faults fall on whoever is next."""
    gc.collect()
    gc.freeze()
    if platform.libc_ver()[0] == "glibc":
        M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, most = -1, -3, 2**30
        ctypes.CDLL(None).mallopt(M_TRIM_THRESHOLD, most)
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, most)


def seconds(attack: Attack, on_cuda: bool) -> float:
    """CPU seconds of a call; on cuda wall seconds."""
    clock = time.perf_counter if on_cuda else time.process_time
    wait = torch.cuda.synchronize if on_cuda else lambda: None
    wait()
    start = clock()
    attack()
    wait()
    return clock() - start


def seconds_by_turns(attacks: dict[str, Attack], calls: int, on_cuda: bool) -> dict[str, float]:
    """Mean seconds of a call in one round, in a new order each time."""
    names, spent = list(attacks), dict.fromkeys(attacks, 0.0)
    for _ in range(calls):
        random.shuffle(names)
        for name in names:
            spent[name] += seconds(attacks[name], on_cuda) / calls
    return spent


def known_rivals(task: Task) -> dict[str, Attack]:
    """Each rival with a net of its own, so that no gradient left behind reaches another."""
    attacks = {}
    for name, make in RIVALS.items():
        if name in (DROPPING, CAPTURED) and (task.is_fgsm or task.is_deepfool):
            continue
        if name == CAPTURED and not task.x.is_cuda:
            continue
        try:
            attacks[name] = make(Task(**{**vars(task), "net": deepcopy(task.net)}))
        except ImportError as error:
            print(f"{name} is left out: {error}")
    return attacks


def judged(task: Task, x: Tensor) -> dict[str, float]:
    """Accuracy on the moved rows, and the mean length of the moves."""
    with torch.no_grad():
        right = (task.net(x).argmax(1) == task.y).float().mean()
    move = torch.linalg.vector_norm((x - task.x).flatten(1), ord=task.norm, dim=1)
    return {"accuracy": float(right), "move": float(move.mean())}


def equal(task: Task, found: dict[str, dict[str, float]]) -> list[str]:
    """Who does the same work as the loop by hand. A peer's DeepFool may give up on rows: it is then
    not timed."""
    least = found[BY_HAND]["accuracy"]
    same = [
        name
        for name, result in found.items()
        if name == DROPPING or abs(result["accuracy"] - least) <= 0.01
    ]
    if OURS not in same or (len(same) < len(found) and not task.is_deepfool):
        raise AssertionError(f"{task.name}: expected equal work and accuracy, got {found}")
    return same


def measure(task: Task, rounds: int, least_s: float) -> dict[str, Any]:
    """All rivals on one task: what they reach, and their seconds in each round."""
    attacks, on_cuda = known_rivals(task), task.x.is_cuda
    found = {name: judged(task, attack()) for name, attack in attacks.items()}  # warms up as well
    attacks = {name: attacks[name] for name in equal(task, found)}
    calls = math.ceil(least_s / seconds(attacks[BY_HAND], on_cuda))
    turns = [seconds_by_turns(attacks, calls, on_cuda) for _ in range(rounds)]
    times = {name: [turn[name] for turn in turns] for name in attacks}
    for name in attacks:
        result = found[name]
        ratios = [a / b for a, b in zip(times[name], times[BY_HAND], strict=True)]
        result |= {"median": median(ratios), "min": min(ratios), "max": max(ratios)}
        result["seconds"] = median(times[name])
    clean = judged(task, task.x)["accuracy"]
    setting = {"task": task.name, "radius": task.radius, "clean_accuracy": clean, "calls": calls}
    return setting | {"results": found, "times": times}


# ---------------------------------------------------------------- the report


def table(rows: list[dict[str, Any]], names: list[str], cell: Callable[[dict], str]) -> str:
    lines = [["", *names], ["---"] * (len(names) + 1)]
    for row in rows:
        results = row["results"]
        lines.append([row["task"], *(cell(results[n]) if n in results else "" for n in names)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def dropping_table(rows: list[dict[str, Any]]) -> str:
    """What it brings to drop rows at their first success."""
    head = ["", "time / advaug", "time / by hand", "accuracy", "of advaug", "move", "of advaug"]
    lines = [head, ["---"] * len(head)]
    for row in (row for row in rows if DROPPING in row["results"]):
        drop, full = row["results"][DROPPING], row["results"][OURS]
        pairs = zip(row["times"][DROPPING], row["times"][OURS], strict=True)
        values = [median(a / b for a, b in pairs), drop["median"]]
        values += [result[key] for key in ("accuracy", "move") for result in (drop, full)]
        lines.append([row["task"], *(f"{value:.3f}" for value in values)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def markdown(results: dict[str, Any]) -> str:
    rows, machine = results["rows"], results["machine"]
    names = [name for name in RIVALS if any(name in row["results"] for row in rows)]
    rivals = [name for name in names if name not in (BY_HAND, DROPPING)]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())

    counts = sorted({len(row["times"][BY_HAND]) for row in rows})
    rounds = " or ".join(map(str, counts))  # rows of an earlier run may have had more

    def ratio(result: dict[str, float]) -> str:
        if "median" not in result:
            return "not the same work"
        return "{median:.2f} ({min:.2f}-{max:.2f})".format(**result)

    return "\n\n".join(
        [
            f"# {results['clock']}, as a ratio to the hand-written loop",
            f"Median of {rounds} rounds (least-most), rivals by turns within a round. "
            f"{machine['device']}, one thread, {machine['platform']}, "
            f"Python {machine['python']}, {versions}.",
            table(rows, rivals, ratio),
            "## Accuracy on the moved rows: the proof of equal work",
            table(rows, names, lambda result: f"{result['accuracy']:.3f}"),
            "## Rows dropped at their first success (`stop_at=0`, objective `Margin`)",
            dropping_table(rows),
        ]
    )


def write(results: dict[str, Any], out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(results, indent=1) + "\n")
    save(markdown(results), out.with_suffix(".md"))


def machine(device: str) -> dict[str, Any]:
    versions = {d.name: d.version for d in distributions() if d.name in PACKAGES}
    name = torch.cuda.get_device_name() if device == "cuda" else platform.machine()
    system = {"platform": platform.platform(), "device": name, "cpus": os.cpu_count()}
    return system | {"python": platform.python_version(), "versions": versions}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--least", type=float, default=0.2, help="seconds by hand in each round")
    parser.add_argument("--only", default="", help="tasks whose name holds this")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/attacks.json"))
    return parser.parse_args()


def main() -> None:
    args = arguments()
    torch.set_num_threads(1)
    results: dict[str, Any] = {
        "machine": machine(args.device),
        "clock": "Wall seconds" if args.device == "cuda" else "CPU seconds",
        "seed": SEED,
        "rounds": args.rounds,
        "rows": [],
    }
    if args.only and args.out.exists():  # what is not measured again is kept
        before = json.loads(args.out.read_text())["rows"]
        results["rows"] = [row for row in before if args.only not in row["task"]]
    for task in tasks_on(args.device):
        if args.only in task.name:
            keep_memory()
            results["rows"].append(measure(task, args.rounds, args.least))
            write(results, args.out)  # what is measured is kept if the run is cut short
    print(markdown(results))


if __name__ == "__main__":
    main()
