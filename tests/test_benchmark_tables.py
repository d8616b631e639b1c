"""Pages that benchmarks write, and those that are committed, name the commit that printed them."""

import importlib
import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from benchmarks import tables

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PROGRAMS = [file.relative_to(ROOT) for file in sorted((ROOT / "benchmarks").rglob("*.py"))]
LAST_LINE = r"Printed by commit [0-9a-f]{7,}( with local changes)?\."


@pytest.mark.parametrize("page", RESULTS.rglob("*.md"), ids=lambda page: page.stem)
def test_a_committed_table_names_its_commit(page):
    assert re.fullmatch(LAST_LINE, page.read_text().splitlines()[-1])


@pytest.mark.parametrize("program", PROGRAMS, ids=str)
def test_a_benchmark_can_be_imported(program):
    importlib.import_module(".".join(program.with_suffix("").parts))


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository of one commit whose code is the file `advaug`."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    (tmp_path / "advaug").write_text("one")
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "one"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    monkeypatch.setattr(tables, "ROOT", tmp_path)
    return tmp_path


def test_a_saved_page_ends_with_the_commit_of_the_code(repository, tmp_path):
    head = tables.git("rev-parse", "--short", "HEAD")
    tables.save("# A page\n\n", tmp_path / "new" / "page.md")
    page = (tmp_path / "new" / "page.md").read_text()
    assert page == f"# A page\n\nPrinted by commit {head}.\n"
    (repository / "advaug").write_text("two")
    assert tables.printed_by() == f"Printed by commit {head} with local changes."


def test_without_a_repository_the_page_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert tables.printed_by() == "Printed by code outside of a git repository."


def test_a_table_in_markdown_leaves_undefined_numbers_empty():
    table = pd.DataFrame({"a": [0.5, float("nan")], "b": ["x", "y"]}, index=["one", "two"])
    assert tables.markdown(table, 2) == (
        "|  | a | b |\n| --- | --- | --- |\n| one | 0.50 | x |\n| two |  | y |"
    )
