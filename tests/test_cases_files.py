"""Files as people have them: read as what they are, written back as they were spelt, or refused."""

import gzip
import io
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from advaug import cli, validity_report
from advaug.cli.oversample import warn_of_no_attack
from advaug.containers.files import beside, read_file, write_below, write_rows
from advaug.containers.spelling import parsed, widened
from advaug.domains.tables.rules.constraints import Constraints

N = 80
RANDOM = np.random.default_rng(0)
LABELS = np.array(["no", "yes"])[(np.arange(N) % 5 == 0).astype(int)]
A = (RANDOM.normal(size=N) + 2 * (LABELS == "yes")).round(3)
B = (RANDOM.random(N) * 5000).round(2)
DATES = [f"{1 + k % 28:02d}.{1 + k % 12:02d}.2023" for k in range(N)]

NO_DAY = "no day of any calendar"
READ = {  # texts -> what their column holds, by the first cells
    "decimal comma": (["1,5", "-2,25", "0,125"], [1.5, -2.25, 0.125]),
    "thousands": (["1,234", "987", "1,234,567"], [1234, 987, 1234567]),
    "thousands and decimals": (["1,234.50", "-987.25", "3.00"], [1234.5, -987.25, 3.0]),
    "points for thousands": (["1.234,50", "-987,25", "3,00"], [1234.5, -987.25, 3.0]),
    "blanks for thousands": (["1 234,5", "12,0", "3,0"], [1234.5, 12.0, 3.0]),
    "hard blanks": (["1\u00a0234", "12", "3"], [1234, 12, 3]),
    "apostrophes": (["1'234.50", "12.10", "3.00"], [1234.5, 12.1, 3.0]),
    "per cent": (["7.5%", "-12.0%", "3.1%"], [7.5, -12.0, 3.1]),
    "per cent, a blank": (["7 %", "12 %", "3 %"], [7, 12, 3]),
    "dollars": (["$1,200", "$-5", "$30"], [1200, -5, 30]),
    "dollars, sign first": (["-$1.50", "$2.25", "$3.00"], [-1.5, 2.25, 3.0]),
    "euros": (["12,50 €", "3,00 €", "-1,25 €"], [12.5, 3.0, -1.25]),
    "brackets of accountants": (["(1,234.50)", "987.25", "3.00"], [-1234.5, 987.25, 3.0]),
    "brackets around dollars": (["($5.00)", "$7.25", "$3.50"], [-5.0, 7.25, 3.5]),
    "minus behind": (["1.234,50-", "987,25", "3,00"], [-1234.5, 987.25, 3.0]),
    "minus of typesetters": (["\u221213.75", "2.25", "0.10"], [-13.75, 2.25, 0.1]),
    "plus": (["+1.5", "-2.0", "+0.5"], [1.5, -2.0, 0.5]),
    "lakhs": (["₹12,34,567", "₹-999", "₹1,00,000"], [1234567, -999, 100000]),
    "lakhs and decimals": (["12,34,567.50", "-1,00,000.25"], [1234567.5, -100000.25]),
    "half a bracket": (["(5", "3", "4"], ["(5", "3", "4"]),
    "two kinds of minus": (["(5)", "-5", "4"], ["(5)", "-5", "4"]),
    "a code of a currency": (["EUR 12", "EUR 3", "EUR 4"], [12, 3, 4]),
    "a unit": (["12.0 kg", "3.5 kg", "4.0 kg"], [12.0, 3.5, 4.0]),
    "NA": (["1", "NA", "2"], [1, None, 2]),
    "question marks": (["1.5", "?", "2.5"], [1.5, None, 2.5]),
    "dashes": (["-", "3", "-4"], [None, 3, -4]),
    "NA among truths": (["true", "false", "NA"], [True, False, None]),
    "yes, no and NA": (["yes", "no", "NA"], ["yes", "no", None]),
    "regions": (["NA", "EU", "None"], ["NA", "EU", "None"]),
    "user names": (["u1", "u2", "u3"], ["u1", "u2", "u3"]),
    "versions": (["1.2.3", "2.0.1", "1.0.0"], ["1.2.3", "2.0.1", "1.0.0"]),
    "German dates": (["31.12.2024", "01.02.2024"], ["2024-12-31", "2024-02-01"]),
    "two-digit years": (["1.2.24", "31.12.99"], ["2024-02-01", "1999-12-31"]),
    "years of birth": (["01.01.60", "02.02.05"], ["1960-01-01", "2005-02-02"]),
    "years to come": (["01.01.24", "02.02.45"], ["2024-01-01", "2045-02-02"]),
    "without separators": (
        ["20240131T101500", "20240201T235959"],
        ["2024-01-31 10:15:00", "2024-02-01 23:59:59"],
    ),
    "weekdays by name": (["Mon, 01 Jan 2024", "Tue, 02 Jan 2024"], ["2024-01-01", "2024-01-02"]),
    "American dates": (["1/2/2024", "12/31/2024"], ["2024-01-02", "2024-12-31"]),
    "British dates": (["31/12/2024", "01/02/2024"], ["2024-12-31", "2024-02-01"]),
    "months by name": (["01-Jan-2020", "31-Dec-2021"], ["2020-01-01", "2021-12-31"]),
    "months only": (["2020-01", "2021-12"], ["2020-01-01", "2021-12-01"]),
    "NA among dates": (["2024-01-02", "n/a"], ["2024-01-02", None]),
    "milliseconds": (
        ["2024-01-02T03:04:05.123", "2024-01-02T03:04:05.007"],
        ["2024-01-02 03:04:05.123", "2024-01-02 03:04:05.007"],
    ),
    "offsets": (
        ["2024-01-02T03:04:05+02:00", "2024-07-02T13:04:05+02:00"],
        ["2024-01-02 01:04:05+00:00", "2024-07-02 11:04:05+00:00"],
    ),
    "offsets without colon": (
        ["2024-01-02 03:04:05+0530", "2024-07-02 13:04:05+0530"],
        ["2024-01-01 21:34:05+00:00", "2024-07-02 07:34:05+00:00"],
    ),
    "afternoons": (
        ["1/2/2024 3:04 PM", "12/31/2024 11:04 AM"],
        ["2024-01-02 15:04", "2024-12-31 11:04"],
    ),
    "clocks": (["10:30", "9:05"], ["1970-01-01 10:30", "1970-01-01 09:05"]),
    NO_DAY: (["2024-02-30", "2023-01-01"], ["2024-02-30", "2023-01-01"]),
}


@pytest.mark.parametrize("name", READ)
def test_texts_are_read_as_what_they_are_and_spelt_as_they_were(name):
    texts, wanted = READ[name]
    found = parsed(pd.Series(texts))
    is_moment = found.cells.dtype.kind == "M"
    for cell, value in zip(found.cells, wanted, strict=True):
        if value is None:
            assert pd.isna(cell)
        else:
            assert cell == (pd.Timestamp(value) if is_moment else value)
    assert is_moment == (isinstance(wanted[0], str) and wanted[0][:4].isdigit() and name != NO_DAY)
    spelt = found.spell(found.cells).tolist()
    missing = ["NA" if word is None else word for word in spelt]
    assert (missing if name == "yes, no and NA" else spelt) == texts


@pytest.mark.parametrize(
    ("texts", "guess"),
    [
        (["1,5", "2,5"], "'1,5' is read as the number 1.5"),
        (["31.12.2024", "01.02.2024"], "'31.12.2024' is read as 2024-12-31"),
        (["1", "NA"], "'NA' is read as missing"),
        (["1", "2", "soon"], "read as texts, for 'soon' is no number"),
        (["1.5", "1,5", "2"], "spelt in several ways"),
        (["00123", "4"], "numbers with leading zeros such as '00123' are read as texts"),
        (["2024-02-30", "2023-01-01"], "'2024-02-30'"),
        (["1", "2"], ""),
        (["red", "blue"], ""),
    ],
)
def test_what_is_guessed_is_told(texts, guess):
    said = parsed(pd.Series(texts)).guess
    assert said == guess if not guess else guess in said


def test_the_files_decimal_mark_settles_what_one_column_leaves_open():
    texts = pd.Series(["1,234", "2,500"])
    assert parsed(texts).cells.tolist() == [1234, 2500]
    assert parsed(texts, ",").cells.tolist() == [1.234, 2.5]
    assert parsed(pd.Series(["1.234", "2.500"]), ",").cells.tolist() == [1234, 2500]


def test_labels_are_read_only_where_they_are_plain():
    for texts in (["yes", "no"], ["1,5", "2,5"], ["31.12.2024", "01.02.2024"], ["1", "NA"]):
        assert parsed(pd.Series(texts), is_target=True).cells.tolist() == texts
    assert parsed(pd.Series(["1", "0"]), is_target=True).cells.tolist() == [1, 0]


# ---------------------------------------------------------------- whole files


def text(separator=";", decimal=",", end="\n", names=("a", "b", "day", "y"), quote=""):
    columns = [
        [str(value).replace(".", decimal) for value in A],
        [f"{value:.2f}".replace(".", decimal) for value in B],
        DATES,
        LABELS,
    ]
    rows = [names, *zip(*columns, strict=True)]
    lines = [separator.join(f"{quote}{cell}{quote}" for cell in row) for row in rows]
    return end.join(lines) + end


FILES = {  # name of the file, its bytes, options
    "semicolons": ("in.csv", text().encode(), ()),
    "byte-order mark and CRLF": ("in.csv", b"\xef\xbb\xbf" + text(end="\r\n").encode(), ()),
    "cp1252": ("in.csv", text(names=("größe", "b", "day", "y")).encode("cp1252"), ()),
    "an encoding named": (
        "in.csv",
        text(names=("größe", "b", "day", "y")).encode("cp437"),
        ("--encoding", "cp437"),
    ),
    "UTF-16": ("in.csv", text().encode("utf-16"), ()),
    "tabs": ("in.tsv", text("\t", ".").encode(), ()),
    "bars": ("in.csv", text("|", ".").encode(), ()),
    "a separator named": ("in.csv", text("~", ".").encode(), ("--sep", "~")),
    "a decimal mark named": ("in.csv", text().encode(), ("--decimal", ",")),
    "all quoted": ("in.csv", text(",", ".", quote='"').encode(), ()),
    "gzip": ("in.csv.gz", gzip.compress(text().encode()), ()),
    "comments above": ("in.csv", ("# exported\n# from a tool\n" + text()).encode(), ()),
    "a name that begins with #": ("in.csv", text(names=("#a", "b", "day", "y")).encode(), ()),
    "a line for Excel": ("in.csv", ("sep=;\r\n" + text(end="\r\n")).encode(), ()),
    "blanks behind separators": ("in.csv", text(",", ".").replace(",", ", ").encode(), ()),
    "blanks": ("in.csv", text(" ", ".").encode(), ()),
    "UTF-16 without a mark": ("in.csv", text().encode("utf-16-be"), ()),
    "no last line end": ("in.csv", text().rstrip().encode(), ()),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_written_back_in_its_own_dialect(tmp_path, capsys, name):
    own, content, options = FILES[name]
    source, out = tmp_path / own, tmp_path / own.replace("in", "out")
    source.write_bytes(content)
    order = ["oversample", str(source), "--target", "y", "--out", str(out), "--quiet", *options]
    assert cli.main(order) == 0
    unpack = gzip.decompress if own.endswith("gz") else bytes
    before, after = unpack(content), unpack(out.read_bytes())
    assert after.startswith(before)
    frame, file = read_file(source, separator=options[1] if "--sep" in options else "",
                            encoding=options[1] if "--encoding" in options else "")  # fmt: skip
    grown, _ = read_file(out, separator=file.dialect.separator, encoding=file.dialect.encoding
                         if not file.dialect.mark else "")  # fmt: skip
    assert grown.dtypes.tolist() == frame.dtypes.tolist()
    assert len(grown) == 128
    assert grown.iloc[N:, :3].notna().all(axis=None)
    encoding = file.dialect.encoding
    line = after.decode(encoding).splitlines()[-1]
    assert line.count(file.dialect.separator) == before.decode(encoding).splitlines()[4].count(
        file.dialect.separator
    )
    assert line.startswith('"') == (name == "all quoted")
    assert capsys.readouterr().err == ""


def test_a_large_file_is_read_some_rows_and_columns_at_once_like_a_small_one(tmp_path, monkeypatch):
    random = np.random.default_rng(1)
    numbers = np.unique((random.random(300) * 1e6).round(2))[:240]
    columns = {
        "number": [str(number) for number in numbers],
        "rounded": [f"{number:.2f}" for number in numbers],
        "large": [str(2**63 - 1 - k) for k in range(240)],
        "huge": [str(2**63 + k) if k % 2 else str(k) for k in range(240)],
        "euros": [f"{number:,.2f} €" for number in numbers],
        "moment": [f"2024-01-02 03:{k // 60:02d}:{k % 60:02d}" for k in range(240)],
        "gaps": [str(number) if number % 3 else "NA" for number in numbers.astype(int)],
        "city": list(random.choice(["Bonn", "Rome", ""], 240)),
        "few": [str(k) for k in random.integers(0, 9, 240)],
        "name": [f"n{k}" for k in random.permutation(240)],
    }
    path = tmp_path / "in.csv"
    pd.DataFrame(columns).to_csv(path, index=False, sep=";")
    small, file = read_file(path)
    monkeypatch.setattr("advaug.containers.files.LARGE", 0)
    monkeypatch.setattr("advaug.containers.files.AT_ONCE", 50)
    monkeypatch.setattr("advaug.containers.files.PASSES", 3)
    monkeypatch.setattr("advaug.containers.spelling.BLOCK", 50)
    large, blockwise = read_file(path)
    assert large["city"].dtype == "category"
    assert large["few"].dtype == np.int16
    pd.testing.assert_frame_equal(widened(large), small)
    assert blockwise.guesses == file.guesses
    for name, column in blockwise.columns.items():
        pd.testing.assert_series_equal(
            column.spell(small[name]).fillna(""), file.columns[name].spell(small[name]).fillna("")
        )
    write_below(large[:0], tmp_path / "out.parquet", large, blockwise)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out.parquet"), small)
    path.write_text(path.read_text() + "1;2;3;4;5;6;7;8;9;10;11\n")
    with pytest.raises(ValueError, match="Expected 10 fields in line 242, saw 11"):
        read_file(path)


def test_reading_a_large_file_needs_little_more_memory_than_its_size(tmp_path):
    random, n = np.random.default_rng(0), 300_000
    numbers = {f"x{k}": random.normal(size=n) for k in range(3)}
    texts = {"city": random.choice(["Frankfurt", "Cologne"], n), "id": np.arange(n) + 10**9}
    path = tmp_path / "in.csv"
    pd.DataFrame({**numbers, **texts}).to_csv(path, index=False)
    code = (
        "import resource, sys\n"
        "from advaug.containers.files import read_file, read_table\n"
        "read_table(sys.argv[2])\n"  # What is imported late is not counted.
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024\n"
        "start = peak()\n"
        "read_file(sys.argv[1])\n"
        "print(peak() - start)"
    )
    little = tmp_path / "little.csv"
    little.write_text("".join(path.read_text().splitlines(keepends=True)[:100]))
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), str(little)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert int(done.stdout) < 4 * path.stat().st_size  # 2.5; it was 6


def told(capsys, *order):
    code = cli.main([str(word) for word in order])
    return code, capsys.readouterr()


def test_what_stands_above_the_header_stays_when_rows_are_written_anew(tmp_path, capsys):
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("# one\n# two\n" + text(",", ".").replace(",", ", "))
    order = ("oversample", source, "--target", "y", "--out", out, "--drop", "day")
    assert told(capsys, *order)[0] == 0
    lines = out.read_text().splitlines()
    assert lines[:3] == ["# one", "# two", "a, b, y"]
    assert all(line.count(", ") == 2 and line.count(",") == 2 for line in lines[3:])


@pytest.mark.parametrize(
    ("content", "extra", "words"),
    [
        ("Sales of 2024\n" + text(), (), ("remove what stands above the header", "--sep")),
        (text(), ("--drop", "dai"), ("--drop 'dai' is no column", "did you mean 'day'?")),
        (text(), ("--drop", "y"), ("--drop 'y' is the target",)),
    ],
)
def test_what_cannot_be_read_or_dropped_is_told_with_the_mend(
    tmp_path, capsys, content, extra, words
):
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text(content)
    code, said = told(capsys, "oversample", source, "--target", "y", "--out", out, *extra)
    assert code == 2
    for word in words:
        assert word in said.err
    assert not out.exists()


def test_guesses_stand_in_one_line(tmp_path, capsys):
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_bytes(text(names=("größe", "b", "day", "y")).encode("cp1252"))
    code, said = told(capsys, "oversample", source, "--target", "y", "--out", out)
    assert code == 0
    assert said.err.count("\n") == 1
    for guess in ("read as cp1252", "a comma stands before decimals", "'größe': '", "'day': '"):
        assert guess in said.err


def test_an_existing_file_is_replaced_only_by_force(tmp_path, capsys):
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text(text())
    out.write_text("old")
    for command in ("oversample", "undersample"):
        code, said = told(capsys, command, source, "--target", "y", "--out", out)
        assert (code, out.read_text()) == (2, "old")
        assert "--force" in said.err
    assert told(capsys, "undersample", source, "--target", "y", "--out", out, "--force")[0] == 0
    assert out.read_text().startswith("a;b;day;y\n")


def test_a_write_that_fails_leaves_the_old_file_or_none(tmp_path):
    code = (
        "import resource, signal, sys\n"
        "from advaug.cli import main\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))\n"  # as on a full disk
        "sys.exit(main(sys.argv[1:]))"
    )
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text(text())
    order = ["oversample", str(source), "--target", "y", "--out", str(out), "--force"]
    for old in ("old", None):
        out.write_text(old) if old else out.unlink()
        done = subprocess.run(
            [sys.executable, "-c", code, *order], capture_output=True, text=True, check=False
        )
        assert done.returncode == 2, done.stderr
        assert (out.read_text() if out.exists() else None) == old
        assert [path.name for path in tmp_path.iterdir() if "part" in path.name] == []


def test_beside_follows_links_and_keeps_permissions(tmp_path):
    real, link = tmp_path / "real.csv", tmp_path / "link.csv"
    real.write_text("old")
    real.chmod(0o640)
    link.symlink_to(real)
    with beside(link) as part:
        part.write_text("new")
        assert real.read_text() == "old"
    assert link.is_symlink()
    assert real.read_text() == "new"
    assert real.stat().st_mode & 0o777 == 0o640
    with pytest.raises(UnicodeEncodeError), beside(real) as part:
        part.write_text("half \ud800")
    assert real.read_text() == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.csv", "real.csv"]


def test_standard_input_and_output(tmp_path, monkeypatch, capsysbinary):
    for command in ("oversample", "undersample"):
        content = text().encode()
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
        assert cli.main([command, "-", "--target", "y", "--out", "-"]) == 0
        said = capsysbinary.readouterr()
        assert said.out.startswith(content if command == "oversample" else b"a;b;day;y\n")
        assert b"rows" in said.err


def test_a_saved_index_goes_on_counting_and_is_never_learnt(tmp_path):
    for name in ("", "Unnamed: 0"):
        source, out = tmp_path / "in.csv", tmp_path / f"out{len(name)}.csv"
        rows = [f"{name},a,b,y", *(f"{k},{a},{b},{y}" for k, a, b, y in
                                   zip(range(N), A, B, LABELS, strict=True))]  # fmt: skip
        source.write_text("\n".join(rows) + "\n")
        assert cli.main(["oversample", str(source), "--target", "y", "--out", str(out)]) == 0
        grown = pd.read_csv(out)
        assert grown.iloc[:, 0].tolist() == list(range(128))
        assert list(read_file(source)[0].columns) == ["a", "b", "y"]


def test_a_column_may_be_dropped(tmp_path, capsys):
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text(text())
    order = ("oversample", source, "--target", "y", "--out", out, "--drop", "day")
    assert told(capsys, *order, "--parent")[0] == 0
    grown = pd.read_csv(out, sep=";", decimal=",")
    assert list(grown.columns) == ["a", "b", "y", "advaug_parent"]
    assert grown["advaug_parent"].isna().sum() == N
    np.testing.assert_allclose(grown["a"][:N], A)


def test_a_name_decides_between_tabs_and_commas(tmp_path):
    source, out = tmp_path / "in.csv", tmp_path / "out.tsv"
    source.write_text(text(",", "."))
    frame, file = read_file(source)
    write_below(frame[:0], out, frame, file)
    assert out.read_text() == text("\t", ".")
    write_rows(tmp_path / "some.tsv", frame, file, np.array([3, 5]))
    lines = out.read_text().splitlines()
    assert (tmp_path / "some.tsv").read_text().splitlines() == [lines[0], lines[4], lines[6]]


def test_rules_and_totals_are_checked_before_torch_is_imported(tmp_path):
    source = tmp_path / "in.csv"
    source.write_text(text())
    code = (
        "import sys, advaug.cli\n"
        "code = advaug.cli.main(sys.argv[1:])\n"
        "sys.exit(9 if 'torch' in sys.modules else code)"
    )
    out = ["--target", "y", "--out", str(tmp_path / "out.csv")]
    for wrong in (
        ["--constraint", "a <= = b"],
        ["--constraint", "aa <= b"],
        ["--strategy", '{"maybe": 3}'],
        ["--frozen", "c"],
    ):
        done = subprocess.run(
            [sys.executable, "-c", code, "oversample", str(source), *out, *wrong],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 2, done.stderr


def test_nested_json_and_nested_rules_are_refused_in_words(tmp_path, capsys):
    source = tmp_path / "in.csv"
    source.write_text(text())
    order = ("oversample", source, "--target", "y", "--out", tmp_path / "out.csv")
    code, said = told(capsys, *order, "--strategy", '{"yes":' + "[" * 100_000)
    assert code == 2
    assert "nested too deep" in said.err
    rule = "a"
    for _ in range(28):
        rule = f"({rule}{'*b' * 28})"
    with pytest.raises(ValueError, match=r"deeper than .* levels \(character \d+ of the rule\)"):
        Constraints(f"{rule} <= 1")
    assert Constraints(" * ".join(["a"] * 40) + " <= 1").rules


def test_one_warning_names_the_classes_that_no_attack_has_reached():
    sampler = SimpleNamespace(surrogate_auc_=dict.fromkeys("abcdefgh", 0.5))
    with pytest.warns(UserWarning, match=r"class a \(0\.50\), .* and 5 more") as warned:
        warn_of_no_attack(sampler)
    assert len(warned) == 1


def test_control_characters_of_the_data_never_reach_the_terminal(tmp_path, capsys):
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    frame = pd.DataFrame(
        {"a": A, "b\x1b[31m": B, "y": np.where(LABELS == "yes", "\x1b]0;x\x07", "no")}
    )
    frame.to_csv(source, index=False)
    assert told(capsys, "oversample", source, "--target", "y", "--out", out)[0] == 0
    for extra in (["--frozen", "\x1b[2J"], ["--constraint", "a <= `b\x1b[31m` +"]):
        cli.main(["oversample", str(source), "--target", "y", "--out", str(out), "--force", *extra])
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err
    assert "\\x1b" in said.err


def test_a_truncated_npz_is_refused_in_one_line(tmp_path, capsys):
    whole, cut = tmp_path / "a.npz", tmp_path / "b.npz"
    np.savez(whole, X=RANDOM.normal(size=(40, 1, 30)), y=np.repeat([0, 1], [30, 10]))
    cut.write_bytes(whole.read_bytes()[:3000])
    code, said = told(capsys, "oversample", cut, "--target", "y", "--out", tmp_path / "o.npz")
    assert code == 2
    assert said.err.count("\n") == 1


def test_dollars_and_underscores_of_the_data_are_drawn_as_they_stand():
    X = pd.DataFrame({"$a": A, "paid": np.where(B > 2500, "under $10", "$10 + 5% - $20")})
    y = np.where(LABELS == "yes", "_pos$", "neg$")
    page = validity_report(X, y, X.iloc[:20], y[:20]).to_html()
    assert "_pos$" in page
    assert "under $10" in page
