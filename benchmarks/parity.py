"""Does each attack reach what the best peer's reaches, on the same nets and rows?

Success: the share of rows whose prediction changes. Where an attack looks for the shortest move or
for few columns, also the median length of the successful moves in its own measure. Every attack
gets the same radius, steps and step length; what searches gets the same number of gradient steps.

    python -m benchmarks.parity

Rows lie in [0, 1]; labels are the nets' own predictions. UAP, the patch and VAT are judged on rows
that they have not learnt from. ART's UAP learns from 100 rows in one pass: it is slow.
"""

import argparse
import json
import math
import random
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from advaug import attacks as A
from advaug.core.box import Box
from advaug.core.objectives import objective_of
from advaug.core.problem import AttackProblem
from advaug.core.row_random import RowRandom
from advaug.models.torch_model import TorchModel
from benchmarks.attacks import SEED, cnn_rows, machine, mlp_rows
from benchmarks.tables import save

STEPS = 20
SEARCH = {"binary_search_steps": 6, "steps": 100}
ELASTIC = 0.01


@dataclass
class Net:
    """A net, rows to attack, rows to learn a shared move from, and a radius for each norm."""

    name: str
    net: nn.Module
    x: Tensor
    learn_from: Tensor
    radius: dict[float, float]

    @property
    def y(self) -> Tensor:
        return predicted(self.net, self.x)


Moved = Callable[[Net], Tensor]
Measure = Callable[[Tensor], Tensor]

# ---------------------------------------------------------------- how far


def l2(move: Tensor) -> Tensor:
    return move.norm(dim=1)


def l_inf(move: Tensor) -> Tensor:
    return move.abs().amax(1)


def elastic(move: Tensor) -> Tensor:
    return move.square().sum(1) + ELASTIC * move.abs().sum(1)


def changed(move: Tensor) -> Tensor:
    return (move.abs() > 1e-6).sum(1).float()


# ---------------------------------------------------------------- who


def predicted(net: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        return net(x).argmax(1)


def ours(
    attack: Any, norm: float = math.inf, endless: bool = False, loss: str | None = None
) -> Moved:
    def run(case: Net) -> Tensor:
        net, space = TorchModel(case.net), Box(torch.tensor(0.0), torch.tensor(1.0), norm)

        def problem(x: Tensor) -> AttackProblem:
            objective = objective_of(loss or attack.loss, net.logits, x, predicted(case.net, x))
            radius = torch.full((len(x),), math.inf if endless else case.radius[norm])
            random = RowRandom.of(SEED, 0, torch.arange(len(x)))
            return AttackProblem(objective, x, space, radius, random)

        with net.frozen():
            learnt = attack.fit(problem(case.learn_from)) if attack.is_universal else attack
            return learnt(problem(case.x))

    return run


def foolbox(make: Callable[[Any, Net], Any], norm: float | None = None) -> Moved:
    def run(case: Net) -> Tensor:
        import foolbox

        model = foolbox.PyTorchModel(case.net, bounds=(0, 1), device="cpu")
        radius = {} if norm is None else {"epsilon": case.radius[norm]}
        return make(foolbox.attacks, case).run(model, case.x, case.y, **radius)

    return run


def torchattacks(make: Callable[[Any, nn.Module, Net], Any]) -> Moved:
    def run(case: Net) -> Tensor:
        import torchattacks

        return make(torchattacks, case.net, case)(case.x, case.y)

    return run


def art(
    make: Callable[[Any, Any, Net], Any],
    *,
    learns: bool = False,
    as_shares: bool = False,
    is_blind: bool = False,
) -> Moved:
    def run(case: Net) -> Tensor:
        from art.attacks import evasion
        from art.estimators.classification import PyTorchClassifier

        class Probable(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                return case.net(x).softmax(1) if as_shares else case.net(x)

        classifier = PyTorchClassifier(
            Probable(),
            nn.CrossEntropyLoss(),
            input_shape=tuple(case.x.shape[1:]),
            nb_classes=int(case.net(case.x[:1]).shape[1]),
            clip_values=(0.0, 1.0),
            device_type="cpu",
        )
        attack = make(evasion, classifier, case)
        if learns:  # a universal move
            attack.generate(case.learn_from[:100].numpy())
            return (case.x + torch.from_numpy(attack.noise)).clamp(0, 1)
        labels = () if is_blind else (case.y.numpy(),)  # who takes them as targets goes without
        return torch.from_numpy(np.asarray(attack.generate(case.x.numpy(), *labels)))

    return run


# ---------------------------------------------------------------- what is compared


def loop(case: Net, norm: float, step: float) -> dict[str, Any]:
    """torchattacks' words for radius, step length and steps."""
    radius = case.radius[norm]
    return {"eps": radius, "alpha": step * radius, "steps": STEPS}


def art_loop(case: Net, norm: float, step: float) -> dict[str, Any]:
    radius = case.radius[norm]
    return {"eps": radius, "eps_step": step * radius, "max_iter": STEPS, "verbose": False}


def pgd(norm: float) -> dict[str, Moved]:
    step = 0.1
    peers = {
        "advaug": ours(A.PGD(STEPS, step, random_start=False), norm),
        "ART": art(
            lambda e, c, n: e.ProjectedGradientDescentPyTorch(
                c, norm=norm, **art_loop(n, norm, step)
            )
        ),
        "Foolbox": foolbox(
            lambda f, n: {math.inf: f.LinfPGD, 2.0: f.L2PGD, 1.0: f.L1PGD}[norm](
                rel_stepsize=step, steps=STEPS, random_start=False
            ),
            norm,
        ),
    }
    if norm != 1:
        peers["torchattacks"] = torchattacks(
            lambda t, net, n: (t.PGD if norm == math.inf else t.PGDL2)(
                net, **loop(n, norm, step), random_start=False
            )
        )
    return peers


def apgd(norm: float, objective: str) -> dict[str, Moved]:
    named = "Linf" if norm == math.inf else "L2"
    loss = {"odds": "ce", "margin": "dlr"}[objective]
    return {
        "advaug": ours(A.APGD(STEPS), norm, loss=objective),
        "torchattacks": torchattacks(
            lambda t, net, n: t.APGD(
                net, norm=named, eps=n.radius[norm], steps=STEPS, loss=loss, seed=SEED
            )
        ),
    }


INF = math.inf
FIXED: dict[str, dict[str, Moved]] = {
    "FGSM Linf": {
        "advaug": ours(A.FGSM()),
        "Foolbox": foolbox(lambda f, n: f.LinfFastGradientAttack(random_start=False), INF),
        "torchattacks": torchattacks(lambda t, net, n: t.FGSM(net, eps=n.radius[INF])),
        "ART": art(lambda e, c, n: e.FastGradientMethod(c, INF, n.radius[INF])),
    },
    "FGSM L2": {
        "advaug": ours(A.FGSM(), 2.0),
        "Foolbox": foolbox(lambda f, n: f.L2FastGradientAttack(random_start=False), 2.0),
        "ART": art(lambda e, c, n: e.FastGradientMethod(c, 2, n.radius[2.0])),
    },
    "R+FGSM Linf": {
        "advaug": ours(A.RFGSM()),
        "torchattacks": torchattacks(
            lambda t, net, n: t.RFGSM(net, **loop(n, INF, 0.5) | {"steps": 1})
        ),
    },
    "BIM Linf": {
        "advaug": ours(A.BIM(STEPS)),
        "Foolbox": foolbox(
            lambda f, n: f.LinfBasicIterativeAttack(rel_stepsize=1 / STEPS, steps=STEPS), INF
        ),
        "torchattacks": torchattacks(lambda t, net, n: t.BIM(net, **loop(n, INF, 1 / STEPS))),
        "ART": art(
            lambda e, c, n: e.BasicIterativeMethod(
                c, n.radius[INF], n.radius[INF] / STEPS, STEPS, verbose=False
            )
        ),
    },
    "PGD Linf": pgd(INF),
    "PGD L2": pgd(2.0),
    "PGD L1": pgd(1.0),
    "MI-FGSM Linf": {
        "advaug": ours(A.MIFGSM(STEPS, 0.1)),
        "torchattacks": torchattacks(lambda t, net, n: t.MIFGSM(net, **loop(n, INF, 0.1))),
        "ART": art(
            lambda e, c, n: e.MomentumIterativeMethod(c, INF, decay=1.0, **art_loop(n, INF, 0.1))
        ),
    },
    "NI-FGSM Linf": {
        "advaug": ours(A.NIFGSM(STEPS, 0.1)),
        "torchattacks": torchattacks(lambda t, net, n: t.NIFGSM(net, **loop(n, INF, 0.1))),
    },
    "APGD Linf, cross-entropy": apgd(INF, "odds"),
    "APGD Linf, margin": apgd(INF, "margin"),
    "APGD L2, cross-entropy": apgd(2.0, "odds"),
    "APGD L2, margin": apgd(2.0, "margin"),
    "VAT L2": {
        "advaug": ours(A.VAT(steps=3), 2.0),
        "ART": art(
            lambda e, c, n: e.VirtualAdversarialMethod(
                c, max_iter=3, eps=n.radius[2.0], verbose=False
            ),
            as_shares=True,
            is_blind=True,
        ),
    },
    "UAP Linf": {
        "advaug": ours(A.UAP()),
        "ART": art(
            lambda e, c, n: e.UniversalPerturbation(
                c, "deepfool", {"verbose": False}, max_iter=1, eps=n.radius[INF], verbose=False
            ),
            learns=True,
        ),
    },
}
SHORTEST: dict[str, tuple[Measure, dict[str, Moved]]] = {
    "DeepFool L2": (
        l2,
        {
            "advaug": ours(A.DeepFool(), 2.0, endless=True),
            "Foolbox": foolbox(lambda f, n: f.L2DeepFoolAttack(loss="logits")),
            "torchattacks": torchattacks(lambda t, net, n: t.DeepFool(net)),
            "ART": art(lambda e, c, n: e.DeepFool(c, 50, 0.02, verbose=False)),
        },
    ),
    "DeepFool Linf": (
        l_inf,
        {
            "advaug": ours(A.DeepFool(), endless=True),
            "Foolbox": foolbox(lambda f, n: f.LinfDeepFoolAttack(loss="logits")),
        },
    ),
    "Carlini-Wagner L2": (
        l2,
        {
            "advaug": ours(A.CarliniWagner(**SEARCH), 2.0, endless=True),
            "Foolbox": foolbox(
                lambda f, n: f.L2CarliniWagnerAttack(
                    SEARCH["binary_search_steps"], SEARCH["steps"], stepsize=0.05, initial_const=1.0
                )
            ),
            "torchattacks": torchattacks(
                lambda t, net, n: t.CW(
                    net, c=1, steps=SEARCH["binary_search_steps"] * SEARCH["steps"]
                )
            ),
            "ART": art(
                lambda e, c, n: e.CarliniL2Method(
                    c, 0.0, False, 0.05, 3, SEARCH["steps"], 1.0, batch_size=512, verbose=False
                )
            ),
        },
    ),
    "EAD": (
        elastic,
        {
            "advaug": ours(A.EAD(**SEARCH, beta=ELASTIC), 2.0, endless=True),
            "Foolbox": foolbox(
                lambda f, n: f.EADAttack(
                    SEARCH["binary_search_steps"],
                    SEARCH["steps"],
                    0.05,
                    0.0,
                    1.0,
                    regularization=ELASTIC,
                )
            ),
        },
    ),
    "JSMA": (
        changed,
        {
            "advaug": ours(A.JSMA(columns=60), endless=True),
            "ART": art(
                lambda e, c, n: e.SaliencyMapMethod(c, 1.0, 0.1, 512, verbose=False), is_blind=True
            ),
        },
    ),
}


def every() -> dict[str, tuple[Measure | None, dict[str, Moved]]]:
    """All attacks by name: the measure of their moves' length, if it counts, and who makes them."""
    return {name: (None, peers) for name, peers in FIXED.items()} | SHORTEST


# ---------------------------------------------------------------- the report


def result_of(run: Moved, case: Net, measure: Measure | None) -> dict[str, float] | str:
    torch.manual_seed(SEED)
    random.seed(SEED)
    start = time.process_time()
    try:
        x = run(case)
    except ImportError as error:
        return f"not there: {error}"
    except Exception as error:  # a peer's crash is a result too
        return f"{type(error).__name__}: {str(error)[:60]}"
    found = {"cpu_s": time.process_time() - start}
    won = predicted(case.net, x) != case.y
    found["success"] = float(won.float().mean())
    if measure is not None:
        size = measure((x - case.x).flatten(1))[won]
        found["median"] = float(size.median()) if len(size) else math.inf
    return found


def as_good(found: dict[str, Any]) -> bool:
    """Within 2 % of the best peer in success and, where there is one, in the median length."""
    mine, peers = found["advaug"], [v for k, v in found.items() if k != "advaug" and v != str(v)]
    best = max((peer["success"] for peer in peers), default=0.0)
    if mine["success"] < 0.98 * best:
        return False
    full = [peer["median"] for peer in peers if "median" in peer and peer["success"] >= 0.98 * best]
    return not full or mine["median"] <= 1.02 * min(full)


def cell(found: dict[str, Any], name: str) -> str:
    if name not in found:
        return ""
    if isinstance(found[name], str):
        return found[name].split(":")[0]
    median = f", {found[name]['median']:.4g}" if "median" in found[name] else ""
    return f"{found[name]['success']:.3f}{median}"


def markdown(results: dict[str, Any]) -> str:
    names = ["advaug", "Foolbox", "torchattacks", "ART"]
    lines = [["", "net", *names, "within 2 % of the best"], ["---"] * (len(names) + 3)]
    for row in results["rows"]:
        cells = [cell(row["results"], name) for name in names]
        verdict = "yes" if row["as_good"] else "**no**"
        lines.append([row["attack"], row["net"], *cells, verdict])
    versions = ", ".join(f"{k} {v}" for k, v in results["machine"]["versions"].items())
    return "\n\n".join(
        [
            "# Parity: success on the same nets and rows, and the median length where it counts",
            f"Made by `python -m benchmarks.parity`, seed {SEED}, {versions}. A peer that "
            "raises is named by its error; empty: it has no such attack.",
            "\n".join(f"| {' | '.join(line)} |" for line in lines),
            "CPU seconds, attacks that learn or search included (UAP: ART learns from 100 rows):",
            cost_table(results["rows"], names),
        ]
    )


def cost_table(rows: list[dict[str, Any]], names: list[str]) -> str:
    lines = [["", "net", *names], ["---"] * (len(names) + 2)]
    for row in rows:
        found = [row["results"].get(name) for name in names]
        cells = [f"{one['cpu_s']:.2f}" if isinstance(one, dict) else "" for one in found]
        lines.append([row["attack"], row["net"], *cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def nets(rows: int) -> list[Net]:
    torch.manual_seed(SEED)
    random.seed(SEED)
    (mlp, a, _), (cnn, b, _) = mlp_rows(), cnn_rows()
    few = rows // 4
    return [
        Net("MLP", mlp, a[:rows], a[rows : 2 * rows], {INF: 0.04, 2.0: 0.15, 1.0: 0.4}),
        Net("CNN", cnn, b[:few], b[-4 * few :], {INF: 0.07, 2.0: 1.1, 1.0: 8.0}),
    ]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=200, help="of the MLP; a quarter for the CNN")
    parser.add_argument(
        "--only",
        default="",
        help="attacks whose name holds this; their rows replace those of an earlier run",
    )
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/parity.json"))
    return parser.parse_args()


def main() -> None:
    args = arguments()
    warnings.filterwarnings("ignore")  # the peers' own
    torch.set_num_threads(1)
    results: dict[str, Any] = {"machine": machine("cpu"), "seed": SEED, "rows": []}
    if args.only and args.out.exists():
        before = json.loads(args.out.read_text())["rows"]
        results["rows"] = [row for row in before if args.only not in row["attack"]]
    for case in nets(args.rows):
        for name, (measure, peers) in every().items():
            if args.only not in name:
                continue
            found = {peer: result_of(run, case, measure) for peer, run in peers.items()}
            row = {"attack": name, "net": case.name, "results": found, "as_good": as_good(found)}
            results["rows"].append(row)
            print(name, case.name, {peer: cell(found, peer) for peer in found}, row["as_good"])
            args.out.write_text(json.dumps(results, indent=1) + "\n")
            save(markdown(results), args.out.with_suffix(".md"))
    print(markdown(results))


if __name__ == "__main__":
    main()
