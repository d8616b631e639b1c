"""The command line: files keep what they say, and mistakes cost one line."""

import csv
import json
import re
import shlex
import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import advaug
from advaug import cli, containers
from advaug.cli.files import PARENT
from advaug.registry import RECIPES


def messy(n=90):
    """Rows of texts as users write them: gaps, leading zeros, dates, truths, NA as a level."""
    random = np.random.RandomState(0)
    rows = []
    for k in range(n):
        is_rare = k % 6 == 0
        rows.append(
            {
                "zip": f"{random.randint(40):05d}",
                "count": "" if k % 11 == 3 else str(random.poisson(9 if is_rare else 4)),
                "dose": f"{random.normal(2 if is_rare else 0):.2f}",
                "class": "yes" if is_rare else "no",
                "day": f"2024-0{1 + k % 9}-1{k % 7}",
                "at": f"2024-01-1{k % 9}T0{k % 9}:30:00Z",
                "ok": "true" if random.rand() < 0.5 else "false",
                "region": ["NA", "EU", "None", "null", ""][random.randint(5)],
                "empty": "",
                "id": str(2**60 + k),
            }
        )
    return rows


def write(path, rows, separator=","):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0], delimiter=separator)
        writer.writeheader()
        writer.writerows(rows)
    return path


def cells(path, separator=","):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter=separator))


def run(*arguments):
    """The command line, which may replace a file of an earlier call."""
    return cli.main([*(str(argument) for argument in arguments), "--force"])


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    """One call on the messy file, and what it wrote."""
    folder = tmp_path_factory.mktemp("grown")
    source, out = write(folder / "in.csv", messy()), folder / "out.csv"
    assert run("oversample", source, "--target", "class", "--out", out, "--parent") == 0
    return cells(source), cells(out)


def test_the_files_own_rows_come_first_with_the_same_texts(grown):
    own, out = grown
    kept = [{k: v for k, v in row.items() if k != "advaug_parent"} for row in out[: len(own)]]
    assert kept == own
    assert {row["advaug_parent"] for row in out[: len(own)]} == {""}


def test_synthetic_rows_are_spelt_as_the_file_spells_its_own(grown):
    own, out = grown
    new = out[len(own) :]
    assert len(new) == 60
    patterns = {
        "zip": r"\d{5}",
        "count": r"\d*",
        "dose": r"-?\d\.\d\d",
        "class": "yes",
        "day": r"2024-\d\d-\d\d",
        "at": r"2024-01-\d\dT\d\d:\d\d:\d\dZ",
        "ok": "true|false",
        "region": "NA|EU|None|null|",
        "empty": "",
        "id": r"\d{19}",
        "advaug_parent": r"\d+",
    }
    for name, pattern in patterns.items():
        found = pd.Series([row[name] for row in new])
        assert found.str.fullmatch(pattern).all(), (name, found.unique())
    assert {out[int(row["advaug_parent"])]["class"] for row in new} <= {"yes", "no"}
    missing = [row for row in new if row["count"] == ""]
    assert all(own[int(row["advaug_parent"])]["count"] == "" for row in missing)


def test_something_moves_and_the_seed_decides_what(tmp_path):
    source = write(tmp_path / "in.csv", messy())
    texts = []
    for seed in (3, 3, 4):
        out = tmp_path / "out.csv"
        run("oversample", source, "--target", "class", "--out", out, "--seed", seed)
        texts.append(out.read_text())
    assert texts[0] == texts[1] != texts[2]


def test_a_frozen_column_is_only_copied(tmp_path):
    source, out = write(tmp_path / "in.csv", messy()), tmp_path / "out.csv"
    run("oversample", source, "--target", "class", "--out", out, "--frozen", "dose", "--parent")
    rows = cells(out)
    assert all(row["dose"] == rows[int(row["advaug_parent"])]["dose"] for row in rows[90:])


def test_relations_of_the_files_rows_are_kept_and_told_unless_turned_off(tmp_path, capsys):
    rows = [
        {**row, "once": f"{k % 23 + 1.5}", "thrice": f"{3 * (k % 23 + 1.5)}"}
        for k, row in enumerate(messy())
    ]
    source, out = write(tmp_path / "in.csv", rows), tmp_path / "out.csv"

    def off(*options):
        assert run("oversample", source, "--target", "class", "--out", out, *options) == 0
        new = cells(out)[90:]
        return max(abs(float(row["thrice"]) - 3 * float(row["once"])) for row in new)

    assert off() < 1e-9
    assert "thrice == 3 * once" in capsys.readouterr().out
    assert off("--no-constraints") > 0.01
    assert "found and kept" not in capsys.readouterr().out
    both = ("--no-constraints", "--constraint", "once > 0")
    assert run("oversample", source, "--target", "class", "--out", out, *both) == 2
    assert "exclude each other" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["count", "dose"])
def test_a_constraint_is_kept_by_every_synthetic_row(tmp_path, capsys, name):
    rows = [
        {**row, "twice": row[name] and f"{2 * float(row[name]):.{2 * (name == 'dose')}f}"}
        for row in messy()
    ]
    source, out = write(tmp_path / "in.csv", rows), tmp_path / "out.csv"

    def off(*rule):
        assert run("oversample", source, "--target", "class", "--out", out, *rule) == 0
        new = [row for row in cells(out)[90:] if row[name]]
        return max(abs(2 * float(row[name]) - float(row["twice"])) for row in new)

    rules = (f"twice == 2 * {name}", "if count > 5 then dose > -99")
    assert off(*(word for rule in rules for word in ("--constraint", rule))) < 1e-9
    told = capsys.readouterr().out
    repaired = int(told.split("constraints: ")[1].split(" synthetic rows repaired")[0])
    assert repaired > 0
    assert off("--no-constraints") > 0.01
    assert "constraints: " not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("rule", "reason", "under"),
    [
        ("dose <= cuont", "did you mean 'count'", "cuont"),
        ("dose <= __import__('os').nice", "attributes are not part of the language", "."),
        ("dose <= eval('count')", "no function", "eval"),
        ("dose = count", "an equality is written ==", "="),
        ("dose <= 9 ** 9 ** 9", "power is larger than 100", "**"),
    ],
)
def test_a_constraint_that_is_refused_is_shown_with_a_caret_and_code_2(
    tmp_path, capsys, rule, reason, under
):
    source, out = write(tmp_path / "in.csv", messy()), tmp_path / "out.csv"
    given = ("--target", "class", "--out", out, "--constraint", rule)
    assert run("oversample", source, *given) == 2
    told = capsys.readouterr()
    first, line, caret = told.err.splitlines()
    assert told.out == ""
    assert first.startswith("advaug: error: --constraint ")
    assert reason in first
    assert line.strip() == rule
    marked = line[caret.index("^") : len(caret)]
    assert marked == under
    assert not out.exists()


def test_semicolons_and_quoted_cells_survive(tmp_path):
    rows = [{**row, "region": "a;b" if k % 2 else 'say "x"\nz'} for k, row in enumerate(messy())]
    source, out = write(tmp_path / "in.csv", rows, ";"), tmp_path / "out.csv"
    assert run("oversample", source, "--target", "class", "--out", out) == 0
    assert cells(out, ";")[:90] == rows


@pytest.mark.parametrize(
    ("texts", "dtype"),
    [
        (["1", "2", "", "3"], "Int64"),
        (["1", "-2", "0"], "int64"),
        ([str(2**63), "1"], "uint64"),
        (["1.5", "", "2"], "float64"),
        (["1e3", ".5", "2."], "float64"),
        (["00123", "4", "5"], "text"),
        (["9" * 25, "1"], "text"),
        (["1_000", "2"], "text"),
        (["1", "soon", "2"], "text"),
        (["None", "null", "NaN"], "text"),
        (["True", "False"], "bool"),
        (["true", ""], "boolean"),
        (["True", "false"], "text"),
        (["2024-02-29", "2023-01-01"], "datetime"),
        (["2024-02-30", "2023-01-01"], "text"),
        (["2024-02-01 10:00", ""], "datetime"),
        (["2024-02-01", "2024-02-01 10:00"], "text"),
        (["", ""], "float64"),
    ],
)
def test_a_column_gets_the_dtype_that_all_its_cells_fit(tmp_path, texts, dtype):
    path = write(tmp_path / "in.csv", [{"k": "1", "x": text} for text in texts])
    column = containers.read_table(path)["x"]
    if dtype == "text":
        assert column.dropna().tolist() == [text for text in texts if text]
    elif dtype == "datetime":
        assert column.dtype.kind == "M"
    else:
        assert str(column.dtype) == dtype
    assert column.isna().tolist() == [text == "" for text in texts]
    frame, file = containers.read_file(path)
    containers.write_below(frame[:0], tmp_path / "out.csv", frame, file)
    assert [row["x"] for row in cells(tmp_path / "out.csv")] == texts
    if dtype not in ("float64", "text"):
        assert containers.parsed(pd.Series(texts)).spell(column).fillna("").tolist() == texts


def test_parquet_keeps_every_dtype(tmp_path):
    random = np.random.RandomState(0)
    y = np.repeat([True, False], [12, 48])
    frame = pd.DataFrame(
        {
            "f": random.normal(y, 1).astype("float32"),
            "i": pd.array(np.where(random.rand(60) < 0.2, None, random.poisson(4, 60)), "Int64"),
            "u": random.randint(0, 9, 60).astype("uint8"),
            "c": pd.Categorical(random.choice(["a", "b"], 60), categories=["b", "a", "z"]),
            "b": pd.array(random.choice([True, False, None], 60), "boolean"),
            "t": pd.date_range("2024-01-01", periods=60, tz="Europe/Paris").as_unit("us"),
            "y": y,
        }
    )
    source, out = tmp_path / "in.parquet", tmp_path / "out.parquet"
    frame.to_parquet(source)
    assert run("oversample", source, "--target", "y", "--out", out, "--parent") == 0
    grown = pd.read_parquet(out)
    parents = grown.pop("advaug_parent")
    pd.testing.assert_frame_equal(grown.iloc[:60], frame)
    assert parents.isna().sum() == 60
    assert len(grown) == 96
    assert grown["y"].tolist()[60:] == [True] * 36


def test_parquet_of_others_keeps_whole_numbers_with_gaps(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    table = pa.table({"i": pa.array([1, None, 3]), "b": pa.array([True, None, False])})
    pyarrow.parquet.write_table(table, tmp_path / "in.parquet")
    frame = containers.read_table(tmp_path / "in.parquet")
    assert frame.dtypes.astype(str).to_dict() == {"i": "Int64", "b": "boolean"}


@pytest.mark.parametrize(
    ("labels", "totals", "counts"),
    [
        ([1, 0], {"1": 40}, {1: 40, 0: 50}),
        (["true", "false"], {"True": 30, "false": 60}, {"true": 30, "false": 60}),
        ([1.5 - 0.5, 0.0], {"1": 33}, {1.0: 33, 0.0: 50}),
        (["a", "b"], {"a": 11, "b": 51}, {"a": 11, "b": 51}),
    ],
)
def test_json_totals_find_the_targets_own_labels(tmp_path, labels, totals, counts):
    random = np.random.RandomState(0)
    y = [labels[0]] * 10 + [labels[1]] * 50
    rows = [
        {"x": f"{random.normal(k < 10):.3f}", "z": f"{random.rand():.3f}", "y": label}
        for k, label in enumerate(y)
    ]
    source, out = write(tmp_path / "in.csv", rows), tmp_path / "out.csv"
    order = ["oversample", source, "--target", "y", "--out", out, "--strategy", json.dumps(totals)]
    assert run(*order) == 0
    found = pd.Series([row["y"] for row in cells(out)]).value_counts().to_dict()
    assert found == {str(label): count for label, count in counts.items()}


def test_a_ratio_counts_as_in_imbalanced_learn(tmp_path, capsys):
    source, out = write(tmp_path / "in.csv", messy()), tmp_path / "out.csv"
    assert run("oversample", source, "--target", "class", "--out", out, "--strategy", ".6") == 0
    assert sum(row["class"] == "yes" for row in cells(out)) == 45
    told = capsys.readouterr().out
    assert "90 rows as they were, 30 synthetic" in told
    assert ["yes", "15", "45"] in [line.split()[:3] for line in told.splitlines()]


def test_all_classes_grow_by_the_recipe_that_needs_it(tmp_path):
    source, out = write(tmp_path / "in.csv", messy()), tmp_path / "out.csv"
    order = ["oversample", source, "--target", "class", "--out", out, "--recipe", "distill"]
    assert run(*order, "--strategy", "grow2") == 0
    assert [sum(row["class"] == value for row in cells(out)) for value in ("yes", "no")] == [
        150
    ] * 2


def test_a_target_that_nothing_explains_is_told(tmp_path, capsys):
    random = np.random.RandomState(0)
    rows = [{"x": f"{random.rand():.3f}", "z": f"{random.rand():.3f}", "y": k % 5 == 0}
            for k in range(300)]  # fmt: skip
    source, out = write(tmp_path / "in.csv", rows), tmp_path / "out.csv"
    assert run("oversample", source, "--target", "y", "--out", out, "--quiet") == 0
    told = capsys.readouterr()
    assert told.out == ""
    assert "no attack was made" in told.err
    assert told.err.count("\n") == 1


SPOILED = {
    "--target": (["--target", "clas"], "did you mean 'class'"),
    "constant": (["--target", "same"], "two classes"),
    "unlabelled": (["--target", "count"], "no label in 8 rows"),
    "every row another": (["--target", "id"], "no classes"),
    "decimals": (["--target", "dose"], "no classes"),
    "frozen": (["--frozen", "dos"], "did you mean 'dose'"),
    "frozen target": (["--frozen", "class"], "never moves"),
    "free text": ([], "--frozen note"),
    "folder": (["--out", "nowhere/out.csv"], "no folder"),
    "suffix": (["--out", "out.xlsx"], "end its name in .csv"),
    "itself": (["--out", "in.csv"], "never overwritten"),
    "word": (["--strategy", "most"], "not minority"),
    "growth": (["--strategy", "grow.5"], "Write e.g. grow1.5"),
    "json": (["--strategy", "{yes: 3}"], "JSON"),
    "class": (["--strategy", '{"yess": 30}'], "did you mean 'yes'"),
    "total": (["--strategy", '{"yes": "30"}'], "whole number"),
    "fewer": (["--strategy", '{"yes": 3}'], "greater or equal"),
    "recipe": (["--recipe", "magic"], "'magic' is not known"),
    "seed": (["--seed", "-1"], "whole number"),
    "unknown": (["--no-such-thing"], "--no-such-thing is not known"),
}


@pytest.mark.parametrize("case", SPOILED)
def test_a_mistake_costs_one_line_and_code_2(tmp_path, capsys, monkeypatch, case):
    monkeypatch.chdir(tmp_path)
    extra, mend = SPOILED[case]
    note = case == "free text"
    rows = [
        {**row, "same": "a", **({"note": f"word {k}"} if note else {})}
        for k, row in enumerate(messy())
    ]
    before = write(tmp_path / "in.csv", rows).read_text()
    options = {"--target": "class", "--out": "out.csv"}
    given = [x for name, value in options.items() if name not in extra for x in (name, value)]
    assert run("oversample", "in.csv", *given, *extra) == 2
    told = capsys.readouterr()
    assert told.out == ""
    error = told.err.splitlines()[-1]  # Guesses may be told before it.
    assert error.startswith("advaug: error: ")
    assert told.err.count("error: ") == 1
    assert mend in error
    assert (tmp_path / "in.csv").read_text() == before
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize("command", ["oversample", "undersample"])
@pytest.mark.parametrize("link", ["symlink_to", "hardlink_to"])
def test_a_link_to_the_file_itself_is_never_overwritten(tmp_path, capsys, command, link):
    source, out = write(tmp_path / "in.csv", messy()), tmp_path / "out.csv"
    getattr(out, link)(source)
    before = source.read_text()
    assert run(command, source, "--target", "class", "--out", out) == 2
    assert "never overwritten" in capsys.readouterr().err
    assert source.read_text() == before


@pytest.mark.parametrize(
    ("name", "content", "mend"),
    [
        ("gone.csv", None, "no such file"),
        ("in.xlsx", b"", "ends in .csv"),
        ("in.csv", b"", "header"),
        ("in.csv", b"a,class\n", "no rows"),
        ("in.csv", b"a,class\n1,2\n1,2,3\n", "csv"),
        ("in.csv", b"a,a,class\n1,2,3\n", "stands twice"),
        ("in.csv", b"a,class\n\x00\x00,1\n", "no text"),
        ("in.csv", b"class\nx\ny\n", "only column"),
        ("in.csv.gz", b"a,class\n1,2\n", "save it anew"),
        ("in.parquet", b"no parquet", "parquet"),
        ("in.csv", b"a,class\n,x\n,y\n,x\n", None),
    ],
)
def test_a_file_that_cannot_be_read_is_told(tmp_path, capsys, name, content, mend):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    code = run("oversample", tmp_path / name, "--target", "class", "--out", tmp_path / "out.csv")
    told = capsys.readouterr().err
    assert "Traceback" not in told
    if mend is not None:
        assert code == 2
        assert told.count("\n") == 1
        assert mend in told


@pytest.mark.parametrize("command", ["oversample", "undersample", "report"])
def test_only_a_command_that_can_read_a_text_offers_it(tmp_path, capsys, command):
    source = write(tmp_path / "in.csv", [{**row, "note": f"w {row['id']}"} for row in messy()])
    rows = [source, source] if command == "report" else [source]
    out = tmp_path / ("out.html" if command == "report" else "out.csv")
    assert run(command, *rows, "--target", "class", "--out", out) == 2
    error = capsys.readouterr().err
    assert "--frozen note or drop it" in error
    assert ("--text note" in error) == (command != "undersample")


def test_a_rule_of_the_report_is_shown_with_a_caret(tmp_path, capsys):
    source = write(tmp_path / "in.csv", messy())
    given = ("--target", "class", "--out", tmp_path / "out.html", "--constraint", "dose + 1")
    assert run("report", source, source, *given) == 2
    assert capsys.readouterr().err.endswith("\n  dose + 1\n  ^^^^^^^^\n")


def test_numbers_spoilt_by_one_text_are_pointed_out(tmp_path, capsys):
    rows = [{**row, "dose": "soon" if k == 7 else f"{k}.5"} for k, row in enumerate(messy())]
    source = write(tmp_path / "in.csv", rows)
    assert run("oversample", source, "--target", "class", "--out", tmp_path / "o.csv") == 2
    assert "'dose' would be numbers but for 'soon'" in capsys.readouterr().err


def test_help_and_mistakes_need_neither_torch_nor_numpy():
    code = (
        "import sys, advaug.cli\n"
        "try: advaug.cli.main(['oversample', '--help'])\n"
        "except SystemExit: pass\n"
        "advaug.cli.main(['demo', '--out', 'no/where.png'])\n"
        "sys.exit(bool({'torch', 'numpy', 'pandas', 'sklearn', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--frozen" in done.stdout


def test_python_m_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "advaug", "oversample"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("advaug: error: ")


def test_the_recipes_offered_are_those_of_the_registry(capsys):
    with pytest.raises(SystemExit):
        cli.main(["oversample", "--help"])
    shown = capsys.readouterr().out.partition("--recipe {")[2].partition("}")[0]
    assert set(shown.split(",")) == {"auto", *RECIPES}


def test_the_lazy_package_shows_all_it_has():
    assert set(advaug.__all__) <= set(dir(advaug))
    for name in advaug.__all__:
        assert getattr(advaug, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        advaug.nothing  # noqa: B018


def test_undersample_leaves_whole_rows_of_the_file_in_their_order(tmp_path, capsys):
    rows, out = messy(), tmp_path / "fewer.csv"
    source = write(tmp_path / "messy.csv", rows)
    assert run("undersample", source, "--target", "class", "--out", out, "--frozen", "id") == 0
    kept = cells(out)
    places = [[row["id"] for row in rows].index(row["id"]) for row in kept]
    assert kept == [rows[place] for place in places]
    assert places == sorted(set(places))
    assert [sum(row["class"] == name for row in kept) for name in ("yes", "no")] == [15, 15]
    assert "30 of 90 rows" in capsys.readouterr().out


def test_undersample_names_what_it_cannot_do(tmp_path, capsys):
    source = write(tmp_path / "messy.csv", messy())
    out = tmp_path / "fewer.csv"
    assert run("undersample", source, "--target", "klass", "--out", out) == 2
    assert "did you mean 'class'?" in capsys.readouterr().err
    assert run("undersample", source, "--target", "class", "--out", source) == 2
    assert not out.exists()


def messages(n=90):
    """Texts of two kinds with a number beside them."""
    random = np.random.RandomState(0)
    rare, usual = "refund broken late angry cancel", "please help reset password account"
    rows = []
    for k in range(n):
        words = random.choice((rare if k % 6 == 0 else usual).split(), 6)
        kind = "complaint" if k % 6 == 0 else "question"
        rows.append({"id": str(k), "message": " ".join(words), "kind": kind})
    return rows


def test_a_column_of_texts_grows_and_the_others_are_copied(tmp_path):
    rows, out = messages(), tmp_path / "more.csv"
    source = write(tmp_path / "in.csv", rows)
    assert run("oversample", source, "--target", "kind", "--text", "message", "--out", out,
               "--parent", "--quiet") == 0  # fmt: skip
    found = cells(out)
    assert [{k: row[k] for k in rows[0]} for row in found[:90]] == rows
    assert sum(row["kind"] == "complaint" for row in found) == 75
    texts = {row["message"] for row in rows}
    for row in found[90:]:
        assert row["id"] == rows[int(row["advaug_parent"])]["id"]
        assert row["kind"] == "complaint"
    assert any(row["message"] not in texts for row in found[90:])


@pytest.mark.parametrize("label", ["late", "it's late", 1])
def test_repeated_texts_are_told_with_options_that_mend_it(tmp_path, capsys, label):
    texts = ["The red car is late.", "The old car is late.", "The red boat is late."]
    rows = [{"message": texts[k % 3], "kind": label} for k in range(12)]
    other = 0 if label == 1 else "call"
    rows += [{"message": f"Please call {k} and ask.", "kind": other} for k in range(60)]
    source = write(tmp_path / "in.csv", rows)
    given = ("oversample", source, "--target", "kind", "--text", "message")
    assert run(*given, "--out", tmp_path / "a.csv", "--recipe", "paraphrase") == 0
    error = capsys.readouterr().err
    assert f"0 of 48 in class {label!r}. Ask for none, --strategy" in error
    assert "--recipe bag" in error
    _, strategy, *_ = shlex.split(error[error.index("--strategy") :])
    strategy = strategy.rstrip(",")
    assert json.loads(strategy) == {str(label): 12}
    assert run(*given, "--out", tmp_path / "b.csv", "--strategy", strategy) == 0
    assert len(cells(tmp_path / "b.csv")) == 60 + 12


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--text", "messages"], "did you mean 'message'"),
        (["--text", "id"], "holds no texts"),
        (["--text", "message", "--frozen", "id"], "leave out --frozen"),
    ],
)
def test_a_wrong_text_column_is_told(tmp_path, capsys, given, told):
    source = write(tmp_path / "in.csv", messages())
    code = run("oversample", source, "--target", "kind", "--out", tmp_path / "o.csv", *given)
    assert code == 2
    assert told in capsys.readouterr().err


def test_the_report_reads_the_texts_that_oversample_has_written(tmp_path, capsys):
    source, more = write(tmp_path / "in.csv", messages()), tmp_path / "more.csv"
    columns = ("--target", "kind", "--text", "message")
    assert run("oversample", source, *columns, "--out", more, "--quiet") == 0
    assert run("report", source, more, *columns, "--out", tmp_path / "page.html") == 0
    said = capsys.readouterr().out
    assert "class complaint: 15 real rows, 60 synthetic\n" in said
    assert "surprise" in said  # a trait of texts
    assert "No check says that a text makes sense" in said.splitlines()[0]
    assert "more.csv" in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize(
    ("given", "texts", "told"),
    [
        (["--text", "messages"], ["late"], "did you mean 'message'"),
        (["--text", "message", "--constraint", "id > 3"], ["late"], "leave out --frozen and"),
        (["--text", "message"], ["late", ""], "is empty in 45 rows of "),
        (["--text", "message"], ["3"], "holds no texts in "),
        (["--frozen", "id", "--frozen", "message"], ["late"], "every column is --frozen"),
    ],
)
def test_a_report_without_a_readable_column_is_refused(tmp_path, capsys, given, texts, told):
    source = write(tmp_path / "in.csv", messages())
    rows = [{**row, "message": texts[k % len(texts)]} for k, row in enumerate(messages())]
    new = write(tmp_path / "new.csv", rows)
    assert run("report", source, new, "--target", "kind", "--out", tmp_path / "p.html", *given) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("advaug: error: ")
    assert told in error
    assert ("new.csv" in error) == (texts != ["late"])


def recordings(path, **more):
    """Ninety calm signals of two channels and twelve rare ones, as whole numbers."""
    random, time = np.random.default_rng(0), np.arange(32) / 32
    y = np.repeat(["calm", "burst"], [90, 12])
    X = np.sin(2 * np.pi * (3 * time + random.uniform(0, 0.3, (102, 2, 1))))
    X[y == "burst", 1] += np.exp(-((time - 0.5) ** 2) * 90)
    arrays = {"X": np.rint(200 * X).astype(np.int16), "y": y, "patient": np.arange(102)}
    np.savez(path, **arrays, rate=np.array(100.0), **more)
    return path


def test_signals_grow_and_arrays_beside_them_are_copied(tmp_path):
    source, out = recordings(tmp_path / "in.npz"), tmp_path / "out.npz"
    options = ["--target", "y", "--out", out, "--parent", "--frozen", "1"]
    assert run("oversample", source, *options) == 0
    with np.load(source) as before, np.load(out) as after:
        assert set(after) == {*before, PARENT}
        for name in ("X", "y", "patient"):
            assert after[name].dtype == before[name].dtype
            assert np.array_equal(after[name][:102], before[name])
        assert after["rate"] == before["rate"]
        assert (after["y"] == "burst").sum() == 90
        parent = after[PARENT]
        assert (parent[:102] == -1).all()
        assert (after["y"][parent[102:]] == "burst").all()
        assert np.array_equal(after["patient"][102:], parent[102:])
        assert np.array_equal(after["X"][102:, 1], before["X"][parent[102:], 1])


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--target", "kind"], "did you mean"),
        (["--target", "patient"], "labels of two classes"),
        (["--target", "rate"], "labels of two classes"),
        (["--frozen", "a"], "channels"),
        (["--frozen", "7"], "channels 0 to 1"),
        (["--text", "y"], "for tables"),
        (["--out", "out.csv"], "end its name in .npz"),
    ],
)
def test_a_mistake_with_signals_is_told(tmp_path, capsys, monkeypatch, given, told):
    monkeypatch.chdir(tmp_path)
    recordings(tmp_path / "in.npz", kinds=np.zeros(3))
    options = [*given, *(["--target", "y"] if "--target" not in given else [])]
    options += [] if "--out" in given else ["--out", "out.npz"]
    assert run("oversample", "in.npz", *options) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_signals_with_time_first_are_refused_and_the_option_that_is_named_reads_them(
    tmp_path, capsys
):
    source, out = recordings(tmp_path / "in.npz"), tmp_path / "out.npz"
    with np.load(source) as file:
        arrays = dict(file)
    turned = tmp_path / "turned.npz"
    np.savez(turned, **arrays | {"X": arrays["X"].transpose(0, 2, 1)})
    assert run("oversample", turned, "--target", "y", "--out", out) == 2
    option = re.search(r"pass (--layout \w+) if time", capsys.readouterr().err).group(1).split()
    assert run("oversample", turned, "--target", "y", "--out", out, *option) == 0
    assert run("oversample", source, "--target", "y", "--out", tmp_path / "as_nct.npz") == 0
    with np.load(out) as ntc, np.load(tmp_path / "as_nct.npz") as nct:
        assert np.array_equal(ntc["X"], nct["X"].transpose(0, 2, 1))
    table = write(tmp_path / "in.csv", messages())
    given = ["--target", "kind", "--out", tmp_path / "out.csv", "--layout", "ntc"]
    assert run("oversample", table, *given) == 2
    assert "--layout is for signals" in capsys.readouterr().err


def test_a_file_with_two_arrays_of_signals_or_none_is_told(tmp_path, capsys):
    out = ["--target", "y", "--out", tmp_path / "out.npz"]
    two = recordings(tmp_path / "two.npz", Z=np.zeros((102, 4)))
    assert run("oversample", two, *out) == 2
    assert "found X, Z" in capsys.readouterr().err
    (tmp_path / "broken.npz").write_bytes(b"no arrays")
    assert run("oversample", tmp_path / "broken.npz", *out) == 2
    assert "numpy.savez" in capsys.readouterr().err


# ---------------------------------------------------------------- attack


def saved_model(folder, n=120):
    """A file of rows, and a classifier that is fitted on them."""
    generator = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "income": generator.normal(3e4, 9e3, n).round(2),
            "age": generator.integers(18, 80, n),
            "job": generator.choice(["a", "b"], n),
        }
    )
    y = np.where(X.income / 9e3 - X.age / 20 + (X.job == "a") > 1.5, "yes", "no")
    columns = make_column_transformer(
        (StandardScaler(), ["income", "age"]), (OneHotEncoder(), ["job"])
    )
    model = make_pipeline(columns, LogisticRegression()).fit(X, y)
    joblib.dump(model, folder / "model.joblib")
    X.assign(other=1, y=y).to_csv(folder / "rows.csv", index=False)
    return folder / "model.joblib", folder / "rows.csv"


def attacked(capsys, *arguments):
    """What `advaug attack` prints, and its exit code."""
    code = cli.main(["attack", *(str(argument) for argument in arguments), "--target", "y"])
    return capsys.readouterr(), code


def test_attack_prints_the_score_of_a_saved_model_under_attack(tmp_path, capsys):
    files = saved_model(tmp_path)
    said, code = attacked(capsys, *files, "--radius", "income=4000", "--radius", "age=0:5")
    assert code == 0, said.err
    assert "120 rows, radius income 4000, age +0 to +5" in said.out
    clean, noise, found = map(float, said.out.split()[-3:])
    assert clean > noise > found
    frozen, _ = attacked(capsys, *files, "--radius", "0.5", "--attack", "pgd", "--frozen", "income")
    assert found != float(frozen.out.split()[-1]) < clean


def test_attack_within_a_total_says_what_moves_cost(tmp_path, capsys):
    files = saved_model(tmp_path)
    cost = ["--cost", "income=0.01", "--cost", "job=30"]
    found = []
    for total in ("20", "80"):
        said, code = attacked(
            capsys, *files, *cost, "--total", total, "--radius", "income=0:9000", "--attack", "pgd"
        )
        assert code == 0, said.err
        assert f"radius {total} to spend on income at 0.01, job at 30, within income +0" in said.out
        found.append(float(said.out.split()[-1]))
    assert found[0] > found[1]


WRONG_ATTACKS = {
    "a radius": (["--radius", "income"], "--radius 'income' is no budget of a column"),
    "a column": (["--radius", "pay=3"], "radius names column 'pay', which X does not have"),
    "an attack": (["--attack", "pgdd"], "did you mean 'pgd'?"),
    "two radii": (["--radius", "0.3", "--radius", "age=1"], "--radius '0.3' is no budget"),
    "a frozen column": (["--frozen", "agee"], "did you mean 'age'?"),
    "a cost without a total": (["--cost", "income=1"], "--cost and --total belong together"),
    "no cost": (["--cost", "income", "--total", "1"], "--cost 'income' is no cost of a column"),
    "a cost of nothing": (["--cost", "age=0", "--total", "1"], "cost['age'] must be a finite"),
    "a limit of all": (["--cost", "age=1", "--total", "1", "--radius", "2"], "limits single"),
    "a column of a cost": (["--cost", "pay=3", "--total", "9"], "radius names column 'pay'"),
}


@pytest.mark.parametrize("case", WRONG_ATTACKS)
def test_a_mistake_of_an_attack_costs_one_line(tmp_path, capsys, case):
    arguments, told = WRONG_ATTACKS[case]
    said, code = attacked(capsys, *saved_model(tmp_path), *arguments)
    assert code == 2
    assert told in said.err
    assert said.err.count("\n") == 1


@pytest.mark.parametrize("frozen", [(), ("--frozen", "message")])
def test_an_attack_on_texts_says_where_they_are_attacked(tmp_path, capsys, frozen):
    rows = pd.DataFrame(messages()).drop(columns="id").rename(columns={"kind": "y"})
    rows.to_csv(tmp_path / "rows.csv", index=False)
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(rows.message, rows.y)
    joblib.dump(model, tmp_path / "model.joblib")
    said, code = attacked(capsys, tmp_path / "model.joblib", tmp_path / "rows.csv", *frozen)
    assert code == 2
    assert "AdversarialTransformer(attack='greedy'" in said.err
    assert said.err.count("\n") == 1


OPTIONS_OF_OTHERS = {
    "text": (["attack", "m", "x.csv", "--target", "y", "--text", "note"], "greedy"),
    "text=": (["attack", "m", "x.csv", "--target", "y", "--text=note"], "greedy"),
    "recipe": (
        ["undersample", "x.csv", "--target", "y", "--out", "o.csv", "--recipe", "bag"],
        "leave it out",
    ),
    "cost": (
        ["report", "a.csv", "b.csv", "--target", "y", "--out", "o.html", "--cost", "3"],
        "leave it out",
    ),
}


@pytest.mark.parametrize("case", OPTIONS_OF_OTHERS)
def test_an_option_of_another_command_is_said_to_be_one(capsys, case):
    arguments, told = OPTIONS_OF_OTHERS[case]
    assert cli.main(arguments) == 2
    error = capsys.readouterr().err
    assert "did you mean" not in error
    assert "is an option of " in error
    assert told in error


def test_a_file_without_a_classifier_is_told(tmp_path, capsys):
    model, rows = saved_model(tmp_path)
    other = tmp_path / "other.joblib"
    joblib.dump({"a": 1}, other)
    assert "holds a dict, no fitted classifier" in attacked(capsys, other, rows)[0].err
    other.write_bytes(b"nothing")
    assert "cannot load" in attacked(capsys, other, rows)[0].err
    assert "no such file" in attacked(capsys, tmp_path / "no.joblib", rows)[0].err
    table = pd.read_csv(rows).drop(columns="age")
    table.to_csv(rows, index=False)
    said = attacked(capsys, model, rows)[0].err
    assert "has no column 'age', which the model was fitted on" in said
