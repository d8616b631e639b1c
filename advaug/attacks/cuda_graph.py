"""An attack as one CUDA graph: a small net spends more time on launches than on arithmetic.

All steps are captured once, with everything the attack reads in buffers that stay in place; later
batches of the same shapes are copied into these, and the whole attack is a single launch.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass, replace
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn

from advaug.attacks.gradient import PGD
from advaug.core.parameters import Parameters
from advaug.core.problem import Attack, AttackProblem, Loss


@dataclass
class Captured(Attack, Parameters):
    """An attack that on cuda is captured as a graph and replayed; elsewhere the attack as it is.

    Worth it for small nets and many batches of one size: capturing costs about three calls. The
    graph is captured anew when a shape, the model or its weights' places in memory change. The rows
    are those of the attack itself.

    Parameters
    ----------
    attack : attack
        One whose steps never ask the host: `FGSM`, `RFGSM`, `BIM`, `PGD` (`stop_at` None),
        `MIFGSM`, `NIFGSM`.

    See Also
    --------
    advaug.attacks.PGD :
        Projected gradient descent: x <- project(x + step * radius * steepest(grad J(x))).

    Examples
    --------
    >>> from advaug.attacks import PGD, Captured
    >>> Captured(PGD(steps=40)).attack.steps
    40
    """

    attack: Attack = field(default_factory=PGD)

    def __post_init__(self) -> None:
        self._graph: Graph | None = None  # of the last shapes

    @property
    def loss(self) -> Loss:
        """The attack's own."""
        return self.attack.loss

    @property
    def requires(self) -> frozenset[str]:
        """The attack's own."""
        return self.attack.requires

    def __call__(self, problem: AttackProblem) -> Tensor:
        if problem.seed.device.type != "cuda":
            return self.attack(problem)
        known = outline((self.attack, problem))
        if self._graph is None or self._graph.known != known:
            self._graph = None  # gives its memory back first
            self._graph = Graph(self.attack, problem, known)
        return self._graph(problem)

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_graph": None}


class Graph:
    """One captured call: its buffers, the graph, and where it leaves its result."""

    def __init__(self, attack: Attack, problem: AttackProblem, known: Any) -> None:
        self.known = known
        self.held = rebuilt(problem, iter([leaf.clone() for leaf in tensors(problem)]))
        self.graph = torch.cuda.CUDAGraph()
        here, aside = torch.cuda.current_stream(), torch.cuda.Stream()
        aside.wait_stream(here)
        with torch.cuda.stream(aside):
            attack(self.held)
        here.wait_stream(aside)
        try:
            with torch.cuda.graph(self.graph):
                self.moved = attack(self.held)
        except RuntimeError as error:
            raise ValueError(
                f"{attack} cannot be captured: a step of it, or the net, asks the host what to do "
                "next (stop_at, a branch on values); take the attack without Captured"
            ) from error

    def __call__(self, problem: AttackProblem) -> Tensor:
        for place, leaf in zip(tensors(self.held), tensors(problem), strict=True):
            place.copy_(leaf)
        self.graph.replay()
        return self.moved.clone()


def tensors(thing: Any) -> Iterator[Tensor]:
    """Every tensor in nested tuples and dataclasses."""
    if isinstance(thing, Tensor):
        yield thing
    for part in parts(thing):
        yield from tensors(part)


def rebuilt(thing: Any, leaves: Iterator[Tensor]) -> Any:
    """The same with other tensors."""
    if isinstance(thing, Tensor):
        return next(leaves)
    if isinstance(thing, tuple):
        return tuple(rebuilt(part, leaves) for part in thing)
    if is_dataclass(thing) and not isinstance(thing, type):
        names = [one.name for one in fields(thing)]
        return replace(thing, **{name: rebuilt(getattr(thing, name), leaves) for name in names})
    return thing


def outline(thing: Any) -> Any:
    """What must be equal for a graph to be used again: all but the tensors' values."""
    if isinstance(thing, Tensor):
        return thing.shape, thing.dtype, thing.device
    if isinstance(thing, nn.Module):
        weights = (*thing.parameters(), *thing.buffers())
        return thing, *(weight.data_ptr() for weight in weights)
    if isinstance(thing, MethodType):
        held = vars(thing.__self__).values()
        return thing, *(outline(part) for part in held if isinstance(part, nn.Module))
    inner = parts(thing)
    return (type(thing), *(outline(part) for part in inner)) if inner else thing


def parts(thing: Any) -> tuple[Any, ...]:
    """What a tuple or dataclass holds; nothing of anything else."""
    if isinstance(thing, tuple):
        return thing
    if is_dataclass(thing) and not isinstance(thing, type):
        return tuple(getattr(thing, one.name) for one in fields(thing))
    return ()
