"""What to paste into a report of an error: the system, the versions and the devices.

The packages are those that the installed advaug names as its requirements.
"""

import platform
import re
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from advaug import __version__

NOWHERE = "not installed"


def show_versions() -> None:
    """Print the versions of Python, advaug and its dependencies, and what torch runs on.

    Please add the output to a report of an error.

    Returns
    -------
    None
        The text is printed.

    See Also
    --------
    sklearn.show_versions : The same for scikit-learn.

    Examples
    --------
    >>> from advaug import show_versions
    >>> show_versions()
    <BLANKLINE>
    System:
        python: ...
    """
    for title, entries in {
        "System": system(),
        "Dependencies": dependencies(),
        "Devices": devices(),
        "Thread pools": thread_pools(),
    }.items():
        print(f"\n{title}:")
        for name, value in entries.items():
            print(f"{name:>28}: {value}")


def system() -> dict[str, str]:
    """Interpreter and machine."""
    return {
        "python": " ".join(sys.version.split()),
        "executable": sys.executable,
        "machine": platform.platform(),
    }


def dependencies() -> dict[str, str]:
    """advaug and every package that it requires, those of its extras for users included."""
    own = {"advaug": f"{__version__}, in {Path(__file__).parent}"}
    return own | {name: installed(name) for name in ("pip", *requirements())}


def requirements() -> list[str]:
    """Names of the packages that advaug requires, without those of its development."""
    lines = [] if installed("advaug") == NOWHERE else requires("advaug") or []
    users = [line for line in lines if not re.search(r"extra == .(dev|docs?|bench)\b", line)]
    return list(dict.fromkeys(re.split(r"[^\w.-]", line)[0] for line in users))


def installed(name: str) -> str:
    """The installed version of a package."""
    try:
        return version(name)
    except PackageNotFoundError:
        return NOWHERE


def devices() -> dict[str, str]:
    """What torch finds: the CUDA version that it was built for, and the devices."""
    import torch

    count = torch.cuda.device_count()
    return {
        "built for CUDA": str(torch.version.cuda),
        "CUDA devices": ", ".join(map(torch.cuda.get_device_name, range(count))) or "none",
    }


def thread_pools() -> dict[str, str]:
    """The libraries that start threads in this process, and how many."""
    from threadpoolctl import threadpool_info

    return {
        str(pool["prefix"]): f"{pool['num_threads']} threads, {pool['user_api']}, {pool['version']}"
        for pool in threadpool_info()
    }
