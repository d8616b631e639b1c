"""The one place that chooses a device."""

import torch


def resolve(device: str | torch.device) -> torch.device:
    """'auto' is cuda where there is one; ValueError for a device that is not there."""
    if str(device) == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
    except RuntimeError as error:
        raise ValueError(
            f"device={device!r} is no torch device: use 'auto', 'cpu' or 'cuda'"
        ) from error
    if found.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device={device!r}, but torch sees no CUDA: use device='auto'")
    return found
