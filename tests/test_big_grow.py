"""New rows of tables of any size: the same ones however and wherever they are made."""

import json
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from advaug import AdversarialOverSampler
from advaug.adapters import TabularAdapter
from advaug.big import TableGenerator, fit, grow_rows, oversample, oversampling, scan, summary
from advaug.big.engines.processes import Processes
from advaug.big.table_generator import settings_of
from advaug.containers import batches
from advaug.datasets import load_tickets
from advaug.models import Ensemble

N_ROWS = 900
QUICK = Ensemble(n_repeats=2, cv=2, hidden_width=8, max_iter=15)


def table_of(seed=0, n=N_ROWS):
    rng = np.random.default_rng(seed)
    y = rng.random(n) < 0.2
    return pa.table(
        {
            "id": np.arange(n),
            "x": (rng.normal(size=n) + y).astype("f4"),
            "n": pa.array(rng.integers(0, 90, n) + 20 * y, mask=rng.random(n) < 0.1),
            "y": np.where(y, "sick", "well"),
            "s": pa.array(rng.choice(["a", "b", "c"], n), mask=rng.random(n) < 0.05),
            "d": pa.array(rng.choice(["u", "v"], n)).dictionary_encode(),
            "b": rng.random(n) < 0.3,
            "t": np.datetime64("2020-01-01", "us") + rng.integers(0, 10**12, n),
        }
    )


def sampler_of(**settings):
    settings = {"surrogate": QUICK, "voters": None, "random_state": 0, **settings}
    return AdversarialOverSampler(adapter=TabularAdapter(frozen=["id"]), **settings)


def write_files(folder, table, cuts=(0, 500, N_ROWS)):
    folder.mkdir()
    for k, (start, stop) in enumerate(pairwise(cuts)):
        pq.write_table(table.slice(start, stop - start), folder / f"part{k}.parquet")
    return folder


@pytest.fixture(scope="module")
def generator():
    return fit(scan([table_of()], "y"), sampler_of())


@pytest.fixture(scope="module")
def model(generator, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.advaug"
    generator.save(path)
    return path


def files_in(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def rows_in(folder, manifest):
    return pa.concat_tables(pq.read_table(folder / part["file"]) for part in manifest["parts"])


# ---------------------------------------------------------------- the generator


def test_a_table_that_fits_in_memory_gets_the_rows_that_the_sampler_gives(generator):
    table = table_of()
    own = sampler_of().fit(table.drop_columns(["y"]), table["y"]).generator_
    expected = own.rows("sick", 0, 80)
    assert generator.rows("sick", 0, 80).drop_columns(["y"]).equals(expected)
    assert generator.generator.counts == own.counts


def test_slices_join_to_the_whole_in_the_columns_and_dtypes_of_the_table(generator):
    whole = generator.rows("sick", 0, 200)
    halves = [generator.rows("sick", 0, 70), generator.rows("sick", 70, 200)]
    assert pa.concat_tables(halves).equals(whole)
    assert whole.schema.equals(table_of().schema)
    assert set(whole["y"].to_pylist()) == {"sick"}


def test_the_parent_is_a_row_of_the_whole_table(monkeypatch):
    monkeypatch.setattr(summary, "MOST_ROWS", 100)
    generator = fit(scan([table_of()], "y"), sampler_of())
    rows = generator.rows("sick", 0, 100, parent="parent")
    assert rows["id"].to_pylist() == rows["parent"].to_pylist()
    labels = table_of()["y"].to_numpy()
    assert (labels[rows["parent"].to_numpy()] == "sick").all()


def test_bounds_are_those_of_all_rows_and_not_of_the_sample(monkeypatch):
    monkeypatch.setattr(summary, "MOST_ROWS", 100)
    frame = table_of().to_pandas()
    left_out = np.setdiff1d(frame.index, scan([frame], "y").summary.sample()[2])[0]
    frame.loc[left_out, ["x", "n", "t"]] = [99, -500, pd.Timestamp("2031-01-01")]
    found = scan([frame], "y")
    assert left_out not in found.summary.sample()[2]
    numbers = fit(found, sampler_of()).generator.writer.coding.layout.numbers
    ends = {one.name: (one.low, one.high) for one in numbers}
    assert ends["x"] == (frame["x"].min(), 99)
    assert ends["n"] == (-500, frame["n"].max())
    assert ends["t"] == found.summary.bounds["t"]


def test_a_stored_generator_gives_the_same_rows_in_a_fresh_process(generator, model, tmp_path):
    code = (
        "import sys, pyarrow.parquet as pq; from advaug.big import TableGenerator;"
        "pq.write_table(TableGenerator.load(sys.argv[1]).rows('sick', 5, 60), sys.argv[2])"
    )
    subprocess.run([sys.executable, "-c", code, model, tmp_path / "rows.parquet"], check=True)
    assert pq.read_table(tmp_path / "rows.parquet").equals(generator.rows("sick", 5, 60))


def test_a_generator_is_stored_to_the_same_bytes(generator, model, tmp_path):
    generator.save(tmp_path / "again.advaug")
    assert (tmp_path / "again.advaug").read_bytes() == model.read_bytes()
    TableGenerator.load(model).save(tmp_path / "again.advaug")
    assert (tmp_path / "again.advaug").read_bytes() == model.read_bytes()


def test_a_damaged_file_is_refused_in_clear_words(model):
    content, rng = model.read_bytes(), np.random.default_rng(0)
    for _ in range(1000):
        damaged = bytearray(content)
        place = int(rng.integers(len(content)))
        if rng.random() < 0.3:
            del damaged[place:]
        else:
            damaged[place : place + 4] = rng.bytes(4)
        try:
            TableGenerator.read(bytes(damaged))
        except ValueError as error:
            assert "cannot read" in str(error)  # noqa: PT017


# ---------------------------------------------------------------- growing


@pytest.fixture(scope="module")
def grown(model, tmp_path_factory):
    """An undisturbed run in one process."""
    folder = tmp_path_factory.mktemp("grown")
    return folder, grow_rows(model, folder, {"sick": 250, "well": 120}, rows_per_part=50)


def test_parts_hold_the_rows_and_the_manifest_names_them(generator, grown):
    folder, manifest = grown
    assert manifest == json.loads((folder / "_manifest.json").read_text())
    assert manifest["is_complete"]
    assert manifest["rows"] == 370
    assert manifest["inputs"] == [{"rows": N_ROWS}]
    sizes = [(part["label"], part["start"], part["rows"]) for part in manifest["parts"]]
    assert sizes == [("sick", k, 50) for k in range(0, 250, 50)] + [
        ("well", 0, 50),
        ("well", 50, 50),
        ("well", 100, 20),
    ]
    expected = [generator.rows("sick", 0, 250), generator.rows("well", 0, 120)]
    assert rows_in(folder, manifest).equals(pa.concat_tables(expected))
    for part in manifest["parts"]:
        assert part["sha256"] == batches.digest_of(folder / part["file"])
    names = {part["file"] for part in manifest["parts"]}
    assert set(files_in(folder)) == names | {"_manifest.json", "_model.advaug"}


@pytest.mark.parametrize("rows_per_part", [None, 33, 250])
def test_no_row_depends_on_how_parts_are_cut_or_on_other_classes(
    generator, model, tmp_path, rows_per_part
):
    manifest = grow_rows(model, tmp_path, {"sick": 250}, rows_per_part=rows_per_part)
    assert rows_in(tmp_path, manifest).equals(generator.rows("sick", 0, 250))
    assert len(manifest["parts"]) == -(-250 // (rows_per_part or 250))


def test_readers_of_a_folder_find_the_parts_alone(grown):
    folder, _ = grown
    assert pq.read_table(folder).num_rows == 370
    assert len(pd.read_parquet(folder)) == 370


def test_processes_write_the_same_bytes_also_when_one_is_killed(model, grown, tmp_path):
    class Killing(Processes):
        kills = 0

        def map(self, function, jobs):
            for done in super().map(function, jobs):
                if self.kills < 2:
                    os.kill(next(iter(self._pool._processes)), signal.SIGKILL)
                    self.kills += 1
                yield done

    engine = Killing(2)
    grow_rows(model, tmp_path, {"sick": 250, "well": 120}, rows_per_part=50, engine=engine)
    assert engine.kills == 2
    assert files_in(tmp_path) == files_in(grown[0])


DRIVER = """
import sys
from advaug.big import grow_rows
if __name__ == "__main__":
    out, engine = sys.argv[2:]
    grow_rows(sys.argv[1], out, {"sick": 250, "well": 120}, rows_per_part=50, engine=engine)
"""


def end_at(signal_number, out, command, n_parts=2):
    """Run a command as a process of its own and end it when it has noted some parts."""
    process = subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    noted = out / "_parts.jsonl"
    while process.poll() is None and (
        not noted.exists() or noted.read_text().count("\n") < n_parts
    ):
        time.sleep(0.002)
    process.send_signal(signal_number)
    _, told = process.communicate(timeout=60)
    return process, told.decode()


def has_processes(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("engine", ["local", "processes"])
def test_a_run_that_was_killed_goes_on_where_it_was(model, grown, tmp_path, engine):
    (tmp_path / "driver.py").write_text(DRIVER)
    out = tmp_path / "out"
    command = [sys.executable, tmp_path / "driver.py", model, out, engine]
    process, _ = end_at(signal.SIGKILL, out, command)
    assert process.returncode == -signal.SIGKILL
    begun = json.loads((out / "_manifest.json").read_text())
    assert not begun["is_complete"]
    deadline = time.monotonic() + 30
    while has_processes(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not has_processes(process.pid)  # The workers have ended with their parent.
    noted = [json.loads(line)["file"] for line in (out / "_parts.jsonl").read_text().splitlines()]
    assert 1 <= len(noted) < 8
    written = {name: (out / name).stat().st_mtime_ns for name in noted}
    grow_rows(model, out, {"sick": 250, "well": 120}, rows_per_part=50)
    assert files_in(out) == files_in(grown[0])
    assert written == {name: (out / name).stat().st_mtime_ns for name in noted}


def test_a_part_that_is_gone_or_damaged_is_written_again(model, grown, tmp_path):
    out = tmp_path / "out"
    wanted = {"sick": 250, "well": 120}
    parts = [part["file"] for part in grow_rows(model, out, wanted, rows_per_part=50)["parts"]]
    (out / parts[0]).unlink()
    (out / parts[1]).write_bytes(b"damaged")
    (out / ".part-left-over").write_bytes(b"half a part")
    kept = (out / parts[2]).stat().st_mtime_ns
    grow_rows(model, out, wanted, rows_per_part=50)
    assert files_in(out) == files_in(grown[0])
    assert (out / parts[2]).stat().st_mtime_ns == kept


def test_a_note_that_was_cut_off_is_left_out(model, grown, tmp_path):
    out = tmp_path / "out"
    wanted = {"sick": 250, "well": 120}
    manifest = grow_rows(model, out, wanted, rows_per_part=50)
    first, second = manifest["parts"][:2]
    manifest["is_complete"] = False
    for part in manifest["parts"]:
        part["sha256"], digest = None, part["sha256"]
        if part["file"] == first["file"]:
            first = {"file": part["file"], "sha256": digest}
    (out / "_manifest.json").write_text(json.dumps(manifest))
    (out / "_parts.jsonl").write_text(json.dumps(first) + "\n" + json.dumps(first)[:30])
    kept = {name: (out / name).stat().st_mtime_ns for name in (first["file"], second["file"])}
    grow_rows(model, out, wanted, rows_per_part=50)
    assert files_in(out) == files_in(grown[0])
    assert (out / first["file"]).stat().st_mtime_ns == kept[first["file"]]
    assert (out / second["file"]).stat().st_mtime_ns > kept[second["file"]]


@pytest.mark.parametrize("kind", [".csv", ".csv.gz", ".tsv"])
def test_a_table_in_csv_files_grows_in_csv_files(tmp_path, kind):
    source, mark = tmp_path / f"table{kind}", "\t" if kind == ".tsv" else ","
    frame = table_of().to_pandas()
    frame.to_csv(source, index=False, sep=mark)
    manifest = oversample(source, tmp_path / "new", "y", sampler_of(), rows_per_part=200)
    again = oversample(source, tmp_path / "again", "y", sampler_of(), rows_per_part=200)
    assert manifest == again
    parts = [tmp_path / "new" / part["file"] for part in manifest["parts"]]
    new = pd.concat(pd.read_csv(part, sep=mark) for part in parts)
    old = pd.read_csv(source, sep=mark)
    assert new.dtypes.equals(old.dtypes)
    assert len(new) == (frame["y"] == "well").sum() - (frame["y"] == "sick").sum()


# ---------------------------------------------------------------- a table's files at once


def test_oversample_balances_the_classes_and_never_touches_the_table(tmp_path):
    source = write_files(tmp_path / "table", table_of())
    before = files_in(source), source.stat().st_mtime_ns
    manifest = oversample(source, tmp_path / "new", "y", sampler_of(), parent="parent")
    labels = pd.read_parquet(source)["y"]
    assert manifest["rows"] == (labels == "well").sum() - (labels == "sick").sum()
    assert [one["file"] for one in manifest["inputs"]] == ["part0.parquet", "part1.parquet"]
    new = pq.read_table(tmp_path / "new")
    assert new["parent"].to_pylist() == new["id"].to_pylist()
    assert (files_in(source), source.stat().st_mtime_ns) == before


def test_oversample_goes_on_without_a_second_scan(tmp_path, monkeypatch):
    source, out = write_files(tmp_path / "table", table_of()), tmp_path / "new"
    oversample(source, out, "y", sampler_of(), rows_per_part=100)
    before = files_in(out)
    (out / next(name for name in before if name.startswith("class"))).unlink()
    monkeypatch.setattr(oversampling, "scan_files", None)
    oversample(source, out, "y", sampler_of(), rows_per_part=100)
    assert files_in(out) == before
    with pytest.raises(ValueError, match="made otherwise"):
        oversample(source, out, "y", sampler_of(random_state=1))
    pq.write_table(table_of(1), source / "part1.parquet")
    with pytest.raises(ValueError, match="made from other files"):
        oversample(source, out, "y", sampler_of())


def test_a_folder_that_is_not_for_new_rows_is_refused_before_the_scan(tmp_path, monkeypatch):
    source = write_files(tmp_path / "table", table_of())
    monkeypatch.setattr(oversampling, "scan_files", None)
    with pytest.raises(ValueError, match="holds the table itself"):
        oversample(source, source, "y", sampler_of())
    with pytest.raises(ValueError, match="is a file"):
        oversample(source, source / "part0.parquet", "y", sampler_of())
    other = tmp_path / "other"
    other.mkdir()
    (other / "notes.txt").touch()
    with pytest.raises(ValueError, match="holds other files"):
        oversample(source, other, "y", sampler_of())


@pytest.mark.parametrize(
    ("sampler", "error", "message"),
    [
        (sampler_of(recipe="distill"), ValueError, "'distill' makes all rows at once"),
        (AdversarialOverSampler(adapter="signal"), ValueError, "reads no columns and no texts"),
        (AdversarialOverSampler(adapter="sequence"), ValueError, "drop the others"),
        (TabularAdapter(), TypeError, "must be an AdversarialOverSampler"),
    ],
)
def test_settings_that_do_not_suit_are_refused_before_the_scan(
    tmp_path, monkeypatch, sampler, error, message
):
    source = write_files(tmp_path / "table", table_of())
    monkeypatch.setattr(oversampling, "scan_files", None)
    with pytest.raises(error, match=message):
        oversample(source, tmp_path / "new", "y", sampler)


def test_texts_grow_as_in_memory_and_a_gap_is_named(tmp_path):
    X, y = load_tickets()
    sampler = AdversarialOverSampler(adapter="sequence", random_state=0)
    frames = [pd.DataFrame({"text": X[k : k + 200], "y": y[k : k + 200]}) for k in (0, 200, 400)]
    fit(scan(frames, "y"), sampler).save(tmp_path / "model.advaug")
    rows = TableGenerator.load(tmp_path / "model.advaug").rows("break-in", 5, 9)
    assert rows.column_names == ["text", "y"]
    in_memory = sampler.fit(X, y).generator_.rows("break-in", 5, 9)
    assert rows["text"].to_pylist() == in_memory
    frames[1].loc[7, "text"] = None
    with pytest.raises(ValueError, match="column 'text' has no text in row 207"):
        fit(scan(frames, "y"), sampler)


@pytest.mark.parametrize(
    ("wanted", "settings", "message"),
    [
        ({"ill": 3}, {}, "no class 'ill'"),
        ({"sick": -3}, {}, "ask for 0 or more"),
        ({"sick": 0}, {}, "no row is asked for"),
        ({"sick": 3}, {"parent": "x"}, "a column 'x' already"),
    ],
)
def test_rows_that_cannot_be_made_are_refused(model, tmp_path, wanted, settings, message):
    with pytest.raises(ValueError, match=message):
        grow_rows(model, tmp_path / "out", wanted, **settings)
    assert not (tmp_path / "out").exists()


def test_a_folder_of_other_rows_is_refused(model, grown, tmp_path):
    folder, _ = grown
    before = files_in(folder)
    with pytest.raises(ValueError, match=r"made otherwise \(requests\)"):
        grow_rows(model, folder, {"sick": 251}, rows_per_part=50)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ValueError, match="holds other files"):
        grow_rows(model, tmp_path, {"sick": 3})
    assert files_in(folder) == before


def test_settings_differ_however_long_they_are():
    rules = [f"x <= {bound}" for bound in range(100, 200)]
    long, other = (sampler_of(constraints=[*rules, last]) for last in ("x <= 9", "x <= 8"))
    assert settings_of(long, 0) != settings_of(other, 0)
    assert settings_of(long, 0) == settings_of(sampler_of(constraints=[*rules, "x <= 9"]), 0)
    assert settings_of(sampler_of(verbose=1), 0) == settings_of(sampler_of(), 0)
