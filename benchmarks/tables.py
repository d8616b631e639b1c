"""What all benchmarks share: Markdown tables, the machine, and the commit that printed a page."""

import os
import platform
import subprocess
from importlib.metadata import distributions
from pathlib import Path

import pandas as pd

PACKAGES = ["advaug", "imbalanced-learn", "numpy", "pandas", "scikit-learn", "torch"]
ROOT = Path(__file__).parents[1]


def markdown(table: pd.DataFrame, digits: int = 4) -> str:
    """A frame as a Markdown table."""
    rows = [[table.index.name or "", *map(str, table.columns)], ["---"] * (table.shape[1] + 1)]
    for name, *values in table.itertuples():
        cells = [v if isinstance(v, str) else f"{v:.{digits}f}" for v in values]
        rows.append([str(name), *("" if c == "nan" else c for c in cells)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def machine() -> str:
    """The system and the versions of the libraries."""
    versions = {d.name: d.version for d in distributions() if d.name in PACKAGES}
    packages = ", ".join(f"{name} {versions[name]}" for name in PACKAGES if name in versions)
    system = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return f"{system}, Python {platform.python_version()}; {packages}"


def git(*words: str) -> str:
    """What git prints in the repository; "" where there is no git or no repository."""
    try:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def commit_of(folder: Path | None = None) -> str:
    """The commit of this code, or of that in a checkout, and whether files differ from it.

    "" outside of a git repository.
    """
    place = () if folder is None else ("-C", str(folder.resolve()))
    commit = git(*place, "rev-parse", "--short", "HEAD")
    code = ("advaug", "benchmarks/*.py", "benchmarks/*/*.py")
    changed = git(*place, "status", "--porcelain", "--untracked-files=no", "--", *code)
    return commit + " with local changes" * bool(changed)


def printed_by() -> str:
    """A sentence that names the commit of the code, and says whether files differ from it."""
    commit = commit_of()
    if not commit:
        return "Printed by code outside of a git repository."
    return f"Printed by commit {commit}."


def save(page: str, path: Path) -> None:
    """Write a page of Markdown; its last line names the commit."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{page.rstrip()}\n\n{printed_by()}\n")
