"""How much of an over-sampling a GPU could take: CPU seconds by who works, on one thread.

- device: the committee's training and the rows' generation, which are tensor operations. A GPU
  would do these.
- launches: so many of these operations are kernels, at 5 microseconds each to start one.
- host: all else, such as pandas, numpy and the fit of the trees by scikit-learn.

Launches and host are a projection from the machine that this runs on: no GPU takes part. Rows are
made in batches of 65 536, as on a GPU.

    python -m benchmarks.host_share [--rows 100000] [--columns 30]
"""

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pandas as pd
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from advaug import AdversarialOverSampler
from advaug.core.devices import CELLS, MOST_ROWS
from advaug.models.committee import Ensemble
from advaug.sampling import provenance
from advaug.sampling.class_generator import MIN_CANDIDATES_ELSEWHERE
from benchmarks.oversamplers import SEED, WARM, numbers
from benchmarks.tables import machine, markdown, save

# What runs on the device of a sampler.
REGIONS = {
    "committee, trained": (Ensemble, "fit"),
    "rows, generated and judged": (provenance, "finish_all"),
}
# How much a CPU does at once: kernels are counted with the blocks of a GPU.
BLOCKS = {
    "core.neighbors.CELLS": CELLS,
    "models.committee.READ_ROWS": CELLS,
    "models.tree_tensors.PAIRS": CELLS,
    "sampling.class_generator.CELLS_AT_ONCE": CELLS,
    "sampling.class_generator.MIN_CANDIDATES": MIN_CANDIDATES_ELSEWHERE,
}
ROUNDS = 3
LAUNCH = 5e-6  # Seconds that torch and the driver take to start a kernel.


class Kernels(TorchDispatchMode):
    """Counts operations that compute; a view of a tensor starts no kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        aliases = [one.alias_info for one in function._schema.returns]
        self.count += not any(alias and not alias.is_write for alias in aliases)
        return function(*args, **(kwargs or {}))


@contextmanager
def replaced(owner: Any, name: str, around: Callable[[Callable[[], Any]], Any]) -> Iterator[None]:
    """A block in which each call of a function goes through `around`."""
    function = getattr(owner, name)

    def instead(*args: Any, **kwargs: Any) -> Any:
        return around(lambda: function(*args, **kwargs))

    with patch.object(owner, name, instead):
        yield


def over_sample(rows: int, columns: int) -> float:
    """CPU seconds of one call."""
    X, y = numbers(rows, columns)
    sampler = AdversarialOverSampler(device="cpu", batch_size=MOST_ROWS, random_state=SEED)
    start = time.process_time()
    sampler.fit_resample(X, y)
    return time.process_time() - start


def inside(region: str, rows: int, columns: int) -> tuple[float, float]:
    """CPU seconds of a call, and those inside a region."""
    spent = [0.0]

    def around(call: Callable[[], Any]) -> Any:
        start = time.process_time()
        result = call()
        spent[0] += time.process_time() - start
        return result

    with replaced(*REGIONS[region], around):
        return over_sample(rows, columns), spent[0]


def kernels(region: str, rows: int, columns: int) -> int:
    """How many kernels a region would start on a GPU."""
    counted = Kernels()

    def around(call: Callable[[], Any]) -> Any:
        with counted:
            return call()

    with ExitStack() as blocks:
        for name, size in BLOCKS.items():
            blocks.enter_context(patch(f"advaug.{name}", size))
        blocks.enter_context(replaced(*REGIONS[region], around))
        over_sample(rows, columns)
    return counted.count


def shares(rows: int, columns: int, rounds: int = ROUNDS) -> pd.DataFrame:
    """A line for each region, one for all else, and the sum; the fastest of some runs."""
    over_sample(WARM, columns)
    lines, whole = {}, float("inf")
    for region in REGIONS:
        runs = [inside(region, rows, columns) for _ in range(rounds)]
        whole = min(whole, *(total for total, _ in runs))
        count = kernels(region, rows, columns)
        spent = min(part for _, part in runs)
        lines[region] = {"device": spent, "kernels": f"{count}", "launches": count * LAUNCH}
    lines["all else"] = {"host": whole - sum(line["device"] for line in lines.values())}
    table = pd.DataFrame(lines).T[["device", "kernels", "launches", "host"]]
    total = table.drop(columns="kernels").sum().to_frame("all").T
    return pd.concat([table, total]).rename_axis("CPU seconds")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--columns", type=int, default=30)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/host_share.md"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    table = shares(args.rows, args.columns)
    stays = float(table.loc["all", ["launches", "host"]].sum())
    text = (
        f"One `fit_resample` of {args.rows} x {args.columns}, one row in 21 is rare; the fastest "
        f"of {ROUNDS} runs on one thread. {machine()}. A projection, since no GPU took part: "
        f"{stays:.2f} s would stay on this machine's CPU, if a kernel takes "
        f"{1e6 * LAUNCH:.0f} microseconds to start."
    )
    print(markdown(table, 3))
    save(f"# What stays on the host\n\n{text}\n\n{markdown(table, 3)}", args.out)


if __name__ == "__main__":
    main()
