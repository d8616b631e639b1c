"""The gallery has the order of `examples/README.md`, which names every example."""

import re
from pathlib import Path


class ReadmeOrder:
    """A key to sort by; ValueError for an example that the README does not name."""

    def __init__(self, folder: str) -> None:
        readme = (Path(folder) / "README.md").read_text()
        self.names = re.findall(r"^- `(\w+\.py)`", readme, re.MULTILINE)

    def __call__(self, name: str) -> int:
        return self.names.index(name)
