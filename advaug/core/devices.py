"""The one place that chooses a device, and how much such a device does at once."""

import torch

FEWEST_ROWS, MOST_ROWS, MOST_ROWS_ON_CPU = 4096, 65_536, 8192  # Rows of a batch.
CELLS_OF_A_BATCH = 3 * 2**20  # Cells of a batch of longer rows: more are too much memory.
CELLS = 2**24  # Cells that a device other than the CPU does at once: fewer would not fill it.


def resolve(device: str | torch.device) -> torch.device:
    """'auto' is cuda where there is one; ValueError for a device that is not there."""
    if str(device) == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
        torch.empty(1, device=found).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(
            f"device={device!r} cannot be used here: take 'auto', 'cpu' or 'cuda' ({error})"
        ) from error
    return found


def batch_rows(device: torch.device, width: int) -> int:
    """How many rows of so many cells are a batch: few long ones, or many short ones."""
    most = MOST_ROWS_ON_CPU if device.type == "cpu" else MOST_ROWS
    return min(most, max(FEWEST_ROWS, at_once(device, CELLS_OF_A_BATCH) // max(width, 1)))


def at_once(device: torch.device, on_cpu: int) -> int:
    """How many cells a device does at once: a CPU's cache is small, a GPU wants many."""
    return on_cpu if device.type == "cpu" else max(on_cpu, CELLS)
