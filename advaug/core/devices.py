"""The one place that chooses a device."""

import torch


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
