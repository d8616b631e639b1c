"""Memory that large files no longer need."""

import ctypes
import sys


def release_memory() -> None:
    """Give freed memory back to the system: allocators keep it for later, Arrow's and C's alike."""
    if (arrow := sys.modules.get("pyarrow")) is not None:
        arrow.default_memory_pool().release_unused()
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)  # musl has none
