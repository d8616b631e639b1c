"""What all tests share: shapes checked while they run, devices, and seeded parts.

The annotations of the torch floors are read by beartype at every call.
A device is a fixture: the CPU, and CUDA where there is one.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch reads it: two threads cost more

from itertools import pairwise

import pytest
import torch
from beartype import beartype
from hypothesis import settings
from jaxtyping import install_import_hook
from torch import nn

FLOORS = ["attacks", "core", "domains.sequences", "domains.signals", "models"]


def shapes_checked(function):
    """Beartype on what says a tensor; protocols and `Self` are mypy's business."""
    hints = function.__annotations__.items()
    function.__annotations__ = {name: hint for name, hint in hints if "Tensor" in str(hint)}
    return beartype(function)


install_import_hook(
    [f"advaug.{floor}" for floor in FLOORS], f"sys.modules[{__name__!r}].shapes_checked"
)
settings.register_profile("advaug", max_examples=15, deadline=None, database=None, derandomize=True)
# For `make fuzz`: other cases at each run, as many as its time allows.
settings.register_profile("long", max_examples=400, deadline=None, database=None, print_blob=False)
settings.load_profile("advaug")

CUDA = [pytest.param("cuda", marks=pytest.mark.cuda)] if torch.cuda.is_available() else []


@pytest.fixture(params=["cpu", *CUDA])
def device(request):
    """Where a test runs."""
    return request.param


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="session")
def mlp():
    """A seeded net for rows in [0, 1], the more curved the higher its gain.

    torch's global generator is as it was afterwards.
    """

    def build(*widths, seed=0, gain=6.0):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            layers = [nn.Flatten()]
            for into, out in pairwise(widths):
                layers += [nn.Linear(into, out), nn.Tanh()]
        with torch.no_grad():
            layers[1].weight *= gain
            layers[1].bias -= layers[1].weight.sum(1) / 2
        return nn.Sequential(*layers[:-1])

    return build
