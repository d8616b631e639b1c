"""One pass over tables of any size: what is found does not depend on how they are cut."""

import itertools
import os
import signal
import time

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advaug.big import Summary, scan, summary
from advaug.big.engines.processes import Processes
from advaug.containers import batches

N_ROWS, MOST = 2_000, 60


def table_of(n=N_ROWS, seed=0):
    rng = np.random.default_rng(seed)
    return pa.table(
        {
            "x": pa.array(rng.normal(size=n).astype("f4"), mask=rng.random(n) < 0.05),
            "n": rng.integers(-50, 50, n),
            "s": pa.array(rng.choice(["a", "b", "c"], n, p=[0.7, 0.29, 0.01])),
            "t": np.datetime64("2020-01-01", "us") + rng.integers(0, 10**12, n),
            "y": rng.choice(["no", "yes"], n, p=[0.9, 0.1]),
        }
    )


@pytest.fixture
def few_rows(monkeypatch):
    """Small samples and small pieces, so that small tables show what large ones do."""
    monkeypatch.setattr(summary, "MOST_ROWS", MOST)
    monkeypatch.setattr(batches, "PIECE_SIZE", 300)


def whole(table):
    return Summary("y").add(table, 0)


def assert_equal(one, other):
    assert (one.counts, one.bounds, one.levels) == (other.counts, other.bounds, other.levels)
    for mine, yours in zip(one.sample(), other.sample(), strict=True):
        assert mine.equals(yours) if isinstance(mine, pa.Table) else (mine == yours).all()


@pytest.mark.usefixtures("few_rows")
@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_summaries_of_any_parts_merge_in_any_order_to_that_of_the_whole(data):
    table = table_of()
    cuts = data.draw(st.lists(st.integers(1, N_ROWS - 1), max_size=6, unique=True))
    edges = [0, *sorted(cuts), N_ROWS]
    parts = [
        Summary("y").add(table.slice(start, stop - start), start)
        for start, stop in itertools.pairwise(edges)
    ]
    order = data.draw(st.permutations(range(len(parts))))
    merged = Summary("y")
    for place in order:
        merged.merge(parts[place])
    assert_equal(merged, whole(table))


@pytest.mark.usefixtures("few_rows")
def test_the_sample_of_a_class_are_its_rows_with_the_smallest_hashes():
    table = table_of()
    hashes = summary.hashed(np.arange(N_ROWS), 0)
    assert len(np.unique(hashes)) == N_ROWS
    labels = table["y"].to_numpy()
    own = [np.flatnonzero(labels == label) for label in ("no", "yes")]
    expected = np.sort(np.concatenate([rows[np.argsort(hashes[rows])[:MOST]] for rows in own]))
    rows, y, numbers = whole(table).sample()
    assert (numbers == expected).all()
    assert (y == labels[expected]).all()
    assert rows.equals(table.drop_columns(["y"]).take(expected).combine_chunks())


def test_another_seed_keeps_other_rows_and_all_are_as_likely():
    n, kept = 200_000, 10_000
    first, other = (np.argsort(summary.hashed(np.arange(n), seed))[:kept] for seed in (0, 1))
    assert len(np.intersect1d(first, other)) == pytest.approx(kept**2 / n, rel=0.3)
    counts = np.histogram(first, bins=20, range=(0, n))[0]
    assert ((counts - kept / 20) ** 2 / (kept / 20)).sum() < 44  # chi-square, 19 degrees: p = .001


def test_counts_bounds_and_levels_are_exact():
    frame = table_of().to_pandas()
    found = whole(table_of())
    assert found.counts == frame["y"].value_counts().to_dict()
    assert found.levels == {"s": frame["s"].value_counts().to_dict()}
    assert found.bounds["x"] == (frame["x"].min(), frame["x"].max())
    assert found.bounds["n"] == (frame["n"].min(), frame["n"].max())
    moments = frame["t"].to_numpy().astype("M8[us]").view("i8")
    assert found.bounds["t"] == (moments.min(), moments.max())


def test_levels_are_counted_up_to_a_bound():
    few, many = (
        pa.table({"s": [f"{k}" for k in range(n)], "y": [1] * n})
        for n in (summary.MOST_LEVELS, summary.MOST_LEVELS + 1)
    )
    assert len(whole(few).levels["s"]) == summary.MOST_LEVELS
    assert whole(many).levels["s"] is None
    assert whole(many).merge(whole(few)).levels["s"] is None
    assert whole(few).merge(whole(many)).levels["s"] is None


# ---------------------------------------------------------------- sources


def write_parquet(folder, table, cuts=(0, 700, 1100, N_ROWS)):
    for k, (start, stop) in enumerate(itertools.pairwise(cuts)):
        rows = table.slice(start, stop - start)
        pq.write_table(rows, folder / f"part{k}.parquet", row_group_size=110)


def write_csv(folder, table, cuts=(0, 700, N_ROWS)):
    for k, (start, stop) in enumerate(itertools.pairwise(cuts)):
        pa.csv.write_csv(table.slice(start, stop - start), folder / f"part{k}.csv")


def frames_of(table, convert):
    return (convert(table.slice(start, 450)) for start in range(0, N_ROWS, 450))


@pytest.mark.usefixtures("few_rows")
def test_parquet_files_in_pieces_give_what_the_whole_table_gives(tmp_path):
    table = table_of()
    write_parquet(tmp_path, table)
    (tmp_path / "_SUCCESS").touch()
    (tmp_path / ".hidden").touch()
    pieces = list(batches.pieces_of(tmp_path / "part2.parquet", 1100, 900))
    assert [piece.first for piece in pieces] == [1100, 1430, 1760]
    found = scan(tmp_path, "y")
    assert_equal(found.summary, whole(table))
    assert found.schema.equals(table.schema)
    assert [one["rows"] for one in found.inputs] == [700, 400, 900]
    assert found.inputs[0]["sha256"] == batches.digest_of(tmp_path / "part0.parquet")


@pytest.mark.usefixtures("few_rows")
def test_a_column_that_is_dropped_is_not_read(tmp_path):
    write_parquet(tmp_path, table_of())
    found = scan(tmp_path, "y", drop=["s", "t"])
    assert found.schema.names == ["x", "n", "y"]
    assert_equal(found.summary, whole(table_of().drop_columns(["s", "t"])))


@pytest.mark.usefixtures("few_rows")
def test_csv_files_give_the_same_rows(tmp_path):
    table = table_of()
    write_csv(tmp_path, table)
    found = scan(tmp_path, "y").summary
    assert found.counts == whole(table).counts
    assert found.levels == whole(table).levels
    assert (found.sample()[2] == whole(table).sample()[2]).all()
    assert found.bounds["n"] == whole(table).bounds["n"]


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".tsv"])
def test_a_csv_file_is_read_with_its_separator_and_its_missing_cells(tmp_path, suffix):
    path = tmp_path / f"table{suffix}"
    frame = pd.DataFrame({"a": [1.5, None, 3], "b": ["x", None, "y"], "y": [0, 1, 0]})
    frame.to_csv(path, index=False, sep="\t" if suffix == ".tsv" else ";")
    found = scan(path, "y")
    assert found.schema.names == ["a", "b", "y"]
    assert found.summary.levels == {"b": {"x": 1, "y": 1}}
    assert found.summary.sample()[0]["a"].null_count == 1


@pytest.mark.usefixtures("few_rows")
@pytest.mark.parametrize(
    "convert",
    [pa.Table.to_pandas, pl.from_arrow, lambda t: t, lambda t: t.combine_chunks().to_batches()[0]],
    ids=["pandas", "polars", "table", "batch"],
)
def test_frames_one_after_another_give_the_same_rows(convert):
    table = table_of()
    found = scan(frames_of(table, convert), "y").summary
    expected = whole(table)
    assert (found.counts, found.bounds) == (expected.counts, expected.bounds)
    assert (found.sample()[2] == expected.sample()[2]).all()
    assert (found.sample()[1] == expected.sample()[1]).all()


@pytest.mark.usefixtures("few_rows")
def test_a_category_stays_a_category():
    table = table_of()
    coded = table.set_column(2, "s", table["s"].dictionary_encode())
    found = scan(frames_of(coded, lambda t: t), "y")
    assert pa.types.is_dictionary(found.schema.field("s").type)
    assert_equal(found.summary, whole(table))


TARGETS = {"y": ["a", "b"] * 3, "x": range(6)}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"x": [1.0, 2.0]}, "target 'y' is no column"),
        ({"y": [0, 1]}, "only column"),
        ({"x": [1, 2], "y": [0, 0]}, "over-sampling needs two classes"),
        ({"x": [1, 2], "y": [0, None]}, "no label in row 1"),
        ({"x": [1, 2], "y": [0.5, 1]}, "holds 0.5"),
        ({"x": [1, np.inf], "y": [0, 1]}, "'x' is infinite in row 1"),
        ({"x": [[1], [2]], "y": [0, 1]}, "'x' holds list"),
        ({"x": range(2000), "y": range(2000)}, "more than 1000 distinct"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(tmp_path, columns, message):
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=message):
        scan(tmp_path, "y")


def test_files_that_are_no_table_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no such file or folder"):
        scan(tmp_path / "nowhere", "y")
    with pytest.raises(ValueError, match="holds no file"):
        scan(tmp_path, "y")
    pq.write_table(pa.table(TARGETS), tmp_path / "a.parquet")
    pq.write_table(pa.table({**TARGETS, "z": range(6)}), tmp_path / "b.parquet")
    with pytest.raises(ValueError, match=r"column 'z' is in one of them only"):
        scan(tmp_path, "y")
    (tmp_path / "b.parquet").write_bytes(b"no parquet")
    with pytest.raises(ValueError, match=r"cannot read .*b\.parquet"):
        scan(tmp_path, "y")
    (tmp_path / "b.parquet").rename(tmp_path / "b.csv")
    with pytest.raises(ValueError, match="several kinds"):
        scan(tmp_path, "y")
    (tmp_path / "b.csv").rename(tmp_path / "b.xlsx")
    with pytest.raises(ValueError, match="a table's files end in"):
        scan(tmp_path, "y")


def test_a_cell_that_does_not_fit_its_column_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(batches, "CSV_BLOCK", 2**10)
    lines = ["a,y", *[f"{k},{k % 2}" for k in range(2000)], "oops,1"]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    with pytest.raises(ValueError, match=r"a\.csv.*oops.*write the table as Parquet"):
        scan(tmp_path / "a.csv", "y")
    with pytest.raises(ValueError, match="frame 1"):
        scan([pa.table(TARGETS), pa.table({**TARGETS, "x": ["q"] * 6})], "y")
    with pytest.raises(TypeError, match="cannot read rows from str"):
        scan(pd.DataFrame(TARGETS), "y")


# ---------------------------------------------------------------- engines


def test_an_engine_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="engine 'spark' is not known"):
        scan([], "y", engine="spark")
    with pytest.raises(ValueError, match="leave out workers"):
        scan([], "y", workers=2)
    with pytest.raises(ValueError, match="workers must be 1 or more"):
        scan([], "y", engine="processes", workers=0)
    with pytest.raises(ValueError, match="an engine object has its own"):
        scan([], "y", engine=Processes(1), workers=2)


def test_processes_find_what_one_process_finds(tmp_path):
    write_parquet(tmp_path, table_of())
    found = scan(tmp_path, "y", engine="processes", workers=2)
    assert_equal(found.summary, scan(tmp_path, "y").summary)


def test_jobs_of_a_killed_process_are_run_again():
    with Processes(2) as engine:
        jobs = [(a, 2) for a in range(40)]
        results = {}
        for place, result in engine.map(pow, jobs):
            assert place not in results
            results[place] = result
            if len(results) in (1, 15):
                os.kill(next(iter(engine._pool._processes)), signal.SIGKILL)
    assert results == {a: a**2 for a in range(40)}


def test_processes_that_always_end_are_given_up():
    with Processes(1) as engine, pytest.raises(RuntimeError, match="ended 3 times"):
        list(engine.map(os._exit, [(1,)]))


def test_an_error_of_a_job_is_raised_and_the_processes_end():
    with Processes(1) as engine:
        with pytest.raises(ZeroDivisionError):
            list(engine.map(divmod, [(1, 0)]))
        [process] = engine._pool._processes.values()
    process.join(10)
    assert not process.is_alive()


def test_processes_end_when_they_are_no_longer_needed():
    begun = time.monotonic()
    with Processes(2) as engine:
        next(engine.map(time.sleep, [(0,), (60,), (60,)]))
    assert time.monotonic() - begun < 50
