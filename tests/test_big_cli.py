"""`advaug fit`, `advaug grow` and `advaug oversample FOLDER`."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

from advaug import cli
from advaug.cli.files import PARENT
from advaug.datasets import load_tickets


def frame_of(n=400):
    random = np.random.default_rng(0)
    y = random.random(n) < 0.2
    return pd.DataFrame(
        {
            "x": (random.normal(size=n) + y).round(3),
            "n": random.integers(0, 90, n) + 20 * y,
            "s": random.choice(["a", "b", "c"], n),
            "code": np.where(y, 2, 1),
        }
    )


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    folder = tmp_path_factory.mktemp("table")
    for k in range(2):
        frame_of()[k::2].to_parquet(folder / f"part{k}.parquet", index=False)
    return folder


@pytest.fixture(scope="module")
def model(table):
    path = table.parent / "model.advaug"
    assert run("fit", table, "--target", "code", "--out", path, "--force") == 0
    return path


def run(*arguments):
    return cli.main([str(argument) for argument in arguments])


def classes(folder):
    return pd.read_parquet(folder)["code"].value_counts().to_dict()


def test_fit_and_grow_make_the_rows_that_are_asked_for(table, model, tmp_path, capsys):
    assert run("grow", model, "--count", 150, "--label", 2, "--out", tmp_path / "new") == 0
    told = capsys.readouterr()
    assert "150 new rows in 1 files: 150 of class 2" in told.out
    assert "150/150" in told.err  # the progress bar
    assert classes(tmp_path / "new") == {2: 150}
    own = pd.read_parquet(table)
    assert pd.read_parquet(tmp_path / "new").dtypes.equals(own.dtypes)
    assert run("grow", model, "--out", tmp_path / "balanced", "--parent", "--quiet") == 0
    assert capsys.readouterr() == ("", "")
    count = own["code"].value_counts()
    assert classes(tmp_path / "balanced") == {2: count[1] - count[2]}
    new = pd.read_parquet(tmp_path / "balanced")
    assert (own["code"].to_numpy()[new[PARENT]] == 2).all()


def test_oversample_of_a_folder_gives_what_fit_and_grow_give(table, model, tmp_path, capsys):
    before = {path: path.read_bytes() for path in table.iterdir()}
    out = tmp_path / "new"
    command = ("oversample", table, "--target", "code", "--out", out)
    assert run(*command, "--engine", "processes", "--workers", 2, "--memory", "2GB") == 0
    assert "train on the files of both folders" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in table.iterdir()} == before
    assert run("grow", model, "--out", tmp_path / "again", "--quiet") == 0
    parts, again = (
        json.loads((folder / "_manifest.json").read_text())["parts"]
        for folder in (out, tmp_path / "again")
    )
    assert parts == again
    assert run(*command, "--quiet") == 0  # once more: all is there
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("strategy", ['{"2": 300}', "0.9", "grow1.5"])
def test_a_strategy_counts_the_rows_of_the_whole_table(table, tmp_path, strategy):
    given = ("--target", "code", "--out", tmp_path / "new", "--quiet", "--strategy", strategy)
    assert run("oversample", table, *given) == 0
    own = frame_of()["code"].value_counts()
    expected = {
        '{"2": 300}': {2: 300 - own[2]},
        "0.9": {2: int(0.9 * own[1]) - own[2]},
        "grow1.5": {1: int(np.ceil(1.5 * own[1])) - own[1], 2: int(np.ceil(1.5 * own[1])) - own[2]},
    }
    assert classes(tmp_path / "new") == expected[strategy]


def test_texts_of_a_folder_grow_without_the_other_columns(tmp_path):
    X, y = load_tickets()
    (tmp_path / "texts").mkdir()
    frame = pd.DataFrame({"number": range(len(X)), "text": X, "kind": y})
    for k in range(3):
        frame[k::3].to_parquet(tmp_path / "texts" / f"part{k}.parquet")
    given = ("--target", "kind", "--text", "text", "--quiet")
    assert run("oversample", tmp_path / "texts", *given, "--out", tmp_path / "new") == 0
    assert run("fit", tmp_path / "texts", *given, "--out", tmp_path / "m.advaug") == 0
    command = ("grow", tmp_path / "m.advaug", "--count", 30, "--label", "break-in", "--quiet")
    assert run(*command, "--out", tmp_path / "few") == 0
    new = pd.read_parquet(tmp_path / "new", dtype_backend="pyarrow")
    few = pd.read_parquet(tmp_path / "few", dtype_backend="pyarrow")
    assert list(new) == ["text", "kind"]
    assert set(new["kind"]) == {"break-in"}
    assert len(new) == (y == "usual").sum() - (y == "break-in").sum()
    assert few.equals(new[:30])
    assert not set(new["text"]) & set(X)


MISTAKES = [
    ("fit", ["--target", "cod"], "target 'cod' is no column"),
    ("fit", ["--out", "m.csv"], "end its name in .advaug"),
    ("fit", ["--frozen", "z"], "--frozen 'z' is no column of the rows"),
    ("fit", ["--frozen", "code"], "--frozen 'code' is no column of the rows"),
    ("fit", ["--drop", "z"], "drop: 'z' is no column"),
    ("fit", ["--constraint", "z > 0"], "there is no column 'z'"),
    ("fit", ["--constraint", "x > 0", "--no-constraints"], "exclude each other"),
    ("fit", ["--engine", "spark"], "'spark' is not known"),
    ("fit", ["--workers", "2"], "leave out workers"),
    ("fit", ["--workers", "0"], "'0' is no whole number from 1 on"),
    ("fit", ["--memory", "much"], "'much' is no size"),
    ("fit", ["--memory", "100MB"], "memory: 100 MB are too few"),
    ("fit", ["--engine", "processes", "--workers", "9", "--memory", "2GB"], "fewer workers"),
    ("fit", ["--strategy", "most"], "--strategy 'most' is no ratio"),
    ("fit", ["--strategy", '{"x": 3}'], "--strategy"),
    ("fit", ["--recipe", "distill"], "'distill' makes all rows at once"),
    ("oversample", ["--text", "t"], "--text 't' is no column"),
    ("fit", ["--text", "x"], "reads one column of texts beside the target 'code', got 'x'"),
    ("fit", ["--text", "s", "--frozen", "x"], "leave out --frozen and --constraint"),
    ("oversample", ["--sep", ";"], "--sep is for a file"),
    ("oversample", ["--force"], "--force is for a file"),
    ("oversample", ["--out", "-"], "name a folder for them"),
]


@pytest.mark.parametrize(("command", "options", "message"), MISTAKES)
def test_mistakes_cost_one_line_before_the_scan(
    table, tmp_path, capsys, monkeypatch, command, options, message
):
    monkeypatch.setattr("advaug.big.scanning.scan_files", None)
    out = tmp_path / ("m.advaug" if command == "fit" else "new")
    given = ["--target", "code", "--out", out, *options]
    if "--out" in options:
        given[3:] = [options[-1]] if options[-1] == "-" else [tmp_path / options[-1]]
    assert run(command, table, *given) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.startswith("advaug: error: ")
    assert not out.exists()


def test_mistakes_of_grow_cost_one_line(model, tmp_path, capsys):
    def error(*arguments):
        assert run("grow", *arguments) == 2
        return capsys.readouterr().err

    out = tmp_path / "new"
    assert "no such file" in error(tmp_path / "m.advaug", "--out", out)
    assert "give both or none" in error(model, "--out", out, "--count", 3)
    assert "--label: the target has no class '3'" in error(
        model, "--out", out, "--label", 3, "--count", 3
    )
    (tmp_path / "no.advaug").write_text("no generator")
    assert "cannot read" in error(tmp_path / "no.advaug", "--out", out)
    assert not out.exists()


def test_an_engine_is_for_folders(tmp_path, capsys):
    frame_of().to_csv(tmp_path / "in.csv", index=False)
    given = ("--target", "code", "--out", tmp_path / "out.csv", "--engine", "local")
    assert run("oversample", tmp_path / "in.csv", *given) == 2
    assert "--engine is for folders" in capsys.readouterr().err


def test_mistakes_on_folders_need_no_torch(table, tmp_path):
    code = (
        "import sys, advaug.cli\n"
        f"given = ['oversample', {str(table)!r}, '--target', 'cod', '--out', {str(tmp_path)!r}]\n"
        "assert advaug.cli.main(given) == 2\n"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def heed_interrupts():
    """A process that was started in the background of a shell ignores them, as do its children."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.mark.parametrize("engine", ["local", "processes"])
def test_ctrl_c_leaves_whole_parts_and_the_same_command_goes_on(model, tmp_path, engine):
    out = tmp_path / "new"
    grow = [model, "--label", 2, "--count", 200_000, "--out", out, "--engine", engine]
    command = [sys.executable, "-m", "advaug", "grow", *map(str, grow)]
    process = subprocess.Popen(
        command, start_new_session=True, stderr=subprocess.PIPE, preexec_fn=heed_interrupts
    )
    while process.poll() is None and not [*out.glob("class*")]:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    told = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 130
    assert "Traceback" not in told
    assert f"{out} holds whole parts; the same command goes on" in told
    assert not [*out.glob(".part-*")]
    for path in out.glob("class*"):
        assert len(pd.read_parquet(path)) == 4096
    manifest = json.loads((out / "_manifest.json").read_text())
    assert not manifest["is_complete"]
    assert len([*out.glob("class*")]) < len(manifest["parts"])
