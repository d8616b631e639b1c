"""The package as users get it: source distribution, wheel and editable install, and its types.

`make package` runs these tests. They take some minutes and install packages, so `make unit` leaves
them out.
"""

import os
import re
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = [pytest.mark.package, pytest.mark.slow]

ROOT = Path(__file__).parents[1]
PINS = {"PIP_CONSTRAINT": str(ROOT / "constraints" / "dev.txt")}

# Each line must pass, or, if it ends in "# wrong", must not.
SCRIPT = """\
import numpy as np
from advaug import AdversarialOverSampler, AdversarialTransformer, CommitteeClassifier, grow
from advaug.adapters import SignalAdapter, TabularAdapter
from advaug.attacks import PGD, Attack
from advaug.datasets import load_ecg_beats, load_thyroid_sick
from advaug.judges import ConformalJudge
from advaug.recipes import Explore
from advaug.registry import ATTACKS, RECIPES
from advaug.robust import AdversarialClassifier, DistilledClassifier

X, y = load_thyroid_sick()
signals, beats = load_ecg_beats()
print(signals.shape[0] + 1, np.unique(beats))
attack: Attack = PGD(steps=5, random_start=True)
PGD(stepz=5)  # wrong
PGD(steps="5")  # wrong
sampler = AdversarialOverSampler(recipe="explore", attack="pgd", judge=None, random_state=0)
X_new, y_new = sampler.fit_resample(X, y)
print(sampler.provenance_["parent"], sampler.returned())
AdversarialOverSampler(recipe=Explore(), attack=attack, judge=ConformalJudge())
AdversarialOverSampler(recipe="nonsense")  # wrong
AdversarialOverSampler(recipe=RECIPES["theirs"](), attack=ATTACKS["theirs"]())
AdversarialOverSampler(recipe=attack)  # wrong
AdversarialOverSampler(attack="pdg")  # wrong
AdversarialOverSampler(adapter="tabula")  # wrong
AdversarialOverSampler(adapter=SignalAdapter(sampling_rate=360.0), voters="stacked")
AdversarialOverSampler(voters=["extra_trees", "boosting"], sampling_strategy=grow(2.0))
AdversarialOverSampler(voters=["extra_tree"])  # wrong
AdversarialOverSampler(judge="conformist")  # wrong
AdversarialOverSampler(radius="far")  # wrong
AdversarialTransformer(attack="fgsm", radius=0.1, when="fit").fit(X, y).transform(X)
AdversarialTransformer(when="never")  # wrong
AdversarialClassifier(loss="trades", adapter=TabularAdapter()).fit(X, y).predict(X)
AdversarialClassifier(loss="tradez")  # wrong
CommitteeClassifier(voters="boosting").fit(X, y).predict_proba(X)
DistilledClassifier("net", n_new_rows="auto", attack=None).fit(X, y)
DistilledClassifier("net", n_new_rows="many")  # wrong
"""
WRONG = {number for number, line in enumerate(SCRIPT.splitlines(), 1) if line.endswith("# wrong")}


def run(*words: object, cwd: Path, fails: bool = False, **settings: str) -> str:
    """What a command prints; an error if it ends otherwise than it should."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env=PINS | kept | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert (done.returncode != 0) == fails, done.stdout
    return done.stdout


def tracked() -> list[str]:
    """The files of the project, relative to its folder."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no repository")
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT)
    return [name for name in listed.splitlines() if (ROOT / name).is_file()]


@dataclass(frozen=True)
class Built:
    """A source distribution, what it unpacks to, and the wheel that is built from it."""

    sdist: Path
    unpacked: Path
    wheel: Path


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """From a copy of the tracked files, so that nothing else gets in."""
    folder = tmp_path_factory.mktemp("built")
    for name in tracked():
        (folder / "copy" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / "copy" / name)
    run(sys.executable, "-m", "build", "--outdir", folder / "dist", "copy", cwd=folder)
    (sdist,), (wheel,) = (list((folder / "dist").glob(end)) for end in ("*.tar.gz", "*.whl"))
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    return Built(sdist, folder / sdist.name.removesuffix(".tar.gz"), wheel)


@pytest.fixture(scope="session")
def python(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that holds the wheel and what it requires, no more."""
    folder = tmp_path_factory.mktemp("bare")
    run(sys.executable, "-m", "venv", "venv", cwd=folder)
    python = folder / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", built.wheel, cwd=folder)
    return python


def test_an_index_would_take_both_files(built):
    run(sys.executable, "-m", "twine", "check", "--strict", built.sdist, built.wheel, cwd=ROOT)


def test_the_source_distribution_holds_every_tracked_file_and_no_other(built):
    unpacked = {
        str(path.relative_to(built.unpacked))
        for path in built.unpacked.rglob("*")
        if path.is_file()
    }
    unpacked = {name for name in unpacked if not name.startswith("advaug.egg-info/")}
    assert unpacked - {"PKG-INFO", "setup.cfg"} == set(tracked())


def test_the_tests_run_from_the_source_distribution(built):
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    own = {"PYTHONPATH": str(built.unpacked)}
    collected = run(*words, "--collect-only", "-m", "not package", cwd=built.unpacked, **own)
    assert "error" not in collected.splitlines()[-1]
    quick = ["test_public.py", "test_packaging.py", "test_norms.py", "test_benchmark_tables.py"]
    run(*words, *(f"tests/{name}" for name in quick), cwd=built.unpacked, **own)


def test_the_quick_start_of_the_readme_runs_on_the_wheel(python, tmp_path):
    readme = (ROOT / "README.md").read_text()
    (quick_start, *_) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    where = "import advaug; print(advaug.__file__)"
    assert "site-packages" in run(python, "-c", where, cwd=tmp_path)
    run(python, "-c", quick_start, cwd=tmp_path)
    assert run(python.parent / "advaug", "--version", cwd=tmp_path).startswith("advaug ")
    assert "torch: " in run(python, "-c", "import advaug; advaug.show_versions()", cwd=tmp_path)


@pytest.fixture(scope="session")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("script") / "users_script.py"
    path.write_text(SCRIPT)
    return path


def faults_by_mypy(python: Path, script: Path) -> set[int]:
    """Numbers of the lines that `mypy --strict` refuses."""
    words = ["-m", "mypy", "--strict", "--config-file=", "--python-executable", python, script]
    told = run(sys.executable, *words, cwd=script.parent, fails=True)
    return {int(number) for number in re.findall(r"users_script\.py:(\d+): error", told)}


def faults_by_pyright(python: Path, script: Path) -> set[int]:
    """Numbers of the lines that pyright refuses."""
    words = ["-m", "pyright", "--pythonpath", python, script]
    own = {"PYRIGHT_PYTHON_USE_BUNDLED_PYRIGHT": "1"}
    told = run(sys.executable, *words, cwd=script.parent, fails=True, **own)
    return {int(number) for number in re.findall(r"users_script\.py:(\d+):\d+ - error", told)}


def test_type_checkers_find_what_is_wrong_in_a_users_script_and_nothing_else(python, script):
    assert faults_by_mypy(python, script) == WRONG
    assert faults_by_pyright(python, script) == WRONG


def test_type_checkers_see_an_editable_install_too(built, python, script):
    """The last test, since the editable install takes the wheel's place."""
    words = ["-m", "pip", "install", "--quiet", "--no-deps", "--editable", built.unpacked]
    run(python, *words, cwd=script.parent)
    assert faults_by_mypy(python, script) == WRONG
    assert faults_by_pyright(python, script) == WRONG
