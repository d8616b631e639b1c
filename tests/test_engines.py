"""Ray and Dask give the rows of one process, also when workers and drivers are killed.

`make test-engines` runs these: they need both, and take some minutes.
"""

import os
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from advaug import AdversarialOverSampler
from advaug.big import Engine, fit, grow_rows, scan
from advaug.models import Ensemble

pytest.importorskip("distributed", reason="make test-engines installs Dask")
pytest.importorskip("ray", reason="make test-engines installs Ray")
pytestmark = [pytest.mark.engines, pytest.mark.filterwarnings("default")]

ENGINES = {"dask": "on_dask.OnDask", "ray": "on_ray.OnRay"}
WANTED, N_ROWS = {"sick": 4_000, "well": 500}, 3_000
SAMPLER = AdversarialOverSampler(
    surrogate=Ensemble(n_repeats=2, cv=2, hidden_width=8, max_iter=15), voters=None, random_state=0
)


def table_of():
    random = np.random.default_rng(0)
    y = random.random(N_ROWS) < 0.2
    columns = {
        "x": (random.normal(size=N_ROWS) + y).astype("f4"),
        "n": random.integers(0, 90, N_ROWS) + 20 * y,
        "s": random.choice(["a", "b", "c"], N_ROWS),
        "y": np.where(y, "sick", "well"),
    }
    return pa.table(columns)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("table")
    for k, start in enumerate(range(0, N_ROWS, 700)):
        pq.write_table(table_of().slice(start, 700), folder / f"part{k}.parquet")
    return folder


@pytest.fixture(scope="module")
def model(folder):
    path = folder.parent / "model.advaug"
    fit(scan(folder, "y"), SAMPLER).save(path)
    return path


@pytest.fixture(scope="module")
def undisturbed(model):
    out = model.parent / "undisturbed"
    grow_rows(model, out, WANTED, rows_per_part=100)
    return files_in(out)


class Borrowed(Engine):
    """An engine that goes on when the call that uses it ends."""

    def __init__(self, engine):
        self.engine = engine

    def map(self, function, jobs):
        return self.engine.map(function, jobs)

    def owns(self, source):
        return self.engine.owns(source)

    def parts(self, source):
        return self.engine.parts(source)


class Killing(Borrowed):
    """An engine that loses a worker when its first job is done."""

    killed = None

    def map(self, function, jobs):
        for done in self.engine.map(function, jobs):
            if self.killed is None:
                [(_, self.killed)] = self.engine.map(os.getpid, [()])
                os.kill(self.killed, signal.SIGKILL)
            yield done


@pytest.fixture(params=ENGINES, scope="module")
def engine(request):
    """An engine with two workers, started once for all tests."""
    module, name = ENGINES[request.param].split(".")
    with getattr(import_module(f"advaug.big.engines.{module}"), name)(2) as engine:
        yield Borrowed(engine)


def files_in(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def assert_same(found, other):
    for mine, yours in zip(found.summary.sample(), other.summary.sample(), strict=True):
        assert mine.equals(yours) if isinstance(mine, pa.Table) else (mine == yours).all()
    assert found.summary.counts == other.summary.counts
    assert found.summary.bounds == other.summary.bounds
    assert found.summary.levels == other.summary.levels


def test_a_scan_finds_what_one_process_finds(engine, folder):
    found = scan(folder, "y", engine=engine)
    assert_same(found, scan(folder, "y"))
    assert found.inputs == scan(folder, "y").inputs


def test_rows_are_the_same_to_the_byte(engine, model, undisturbed, tmp_path):
    grow_rows(model, tmp_path, WANTED, rows_per_part=100, engine=engine)
    assert files_in(tmp_path) == undisturbed


def test_rows_are_the_same_after_a_worker_was_killed(engine, model, undisturbed, tmp_path):
    killing = Killing(engine)
    grow_rows(model, tmp_path, WANTED, rows_per_part=100, engine=killing)
    assert killing.killed
    assert files_in(tmp_path) == undisturbed


DRIVER = """
import sys
from advaug.big import grow_rows
if __name__ == "__main__":
    out, engine = sys.argv[2:]
    settings = {"rows_per_part": 100, "engine": engine, "workers": 2}
    grow_rows(sys.argv[1], out, {"sick": 4000, "well": 500}, **settings)
"""


@pytest.mark.parametrize("name", ENGINES)
def test_rows_are_the_same_after_the_driver_was_killed(model, undisturbed, tmp_path, name):
    (tmp_path / "driver.py").write_text(DRIVER)
    out = tmp_path / "out"
    command = [sys.executable, tmp_path / "driver.py", model, out, name]
    process = subprocess.Popen(command, start_new_session=True)
    while process.poll() is None and len([*out.glob("class*")]) < 5:
        time.sleep(0.005)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    noted = [*(out / "_parts.jsonl").read_text().splitlines()]
    assert 1 <= len(noted) < 45
    time.sleep(2)  # for workers that are still to notice it
    again = subprocess.run([*command], check=False)
    assert again.returncode == 0
    assert files_in(out) == undisturbed


def test_a_data_frame_of_dask_is_scanned_where_it_is(folder):
    frame = import_module("dask.dataframe").read_parquet(folder)
    found = scan(frame, "y", engine="dask", workers=2)
    assert found.summary.counts == scan(folder, "y").summary.counts
    assert (found.summary.sample()[2] == scan(folder, "y").summary.sample()[2]).all()
    assert found.schema.names == table_of().schema.names


def test_a_data_set_of_ray_is_scanned_where_it_is(folder):
    tables = [pq.read_table(path) for path in sorted(folder.iterdir())]
    with import_module("advaug.big.engines.on_ray").OnRay(2) as engine:
        list(engine.map(os.getpid, [()]))  # Ray is started by the engine.
        rows = import_module("ray.data").from_arrow(tables)
        assert_same(scan(rows, "y", engine=Borrowed(engine)), scan(folder, "y"))


def test_new_rows_are_read_as_data_frames_of_the_engines(model, tmp_path):
    out = tmp_path / "new"
    grow_rows(model, out, {"sick": 300}, rows_per_part=100)
    frame = import_module("dask.dataframe").read_parquet(str(Path(out) / "class*"))
    assert len(frame) == len(pd.read_parquet(out)) == 300
