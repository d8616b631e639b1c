"""The script that checks a GPU calls programs that exist, with options that they know."""

import argparse
import re
import shlex
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import torch

from benchmarks.host_share import Kernels, shares

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "benchmarks" / "cuda.sh"

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")


def said(*options):
    """What the script prints."""
    done = subprocess.run(["bash", SCRIPT, *options], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


class Parsed(Exception):
    """Raised once a program has read its options."""


@pytest.mark.parametrize("options", [(), ("--device", "cpu", "--short")], ids=["GPU", "short"])
def test_every_command_of_the_script_can_be_read(options, monkeypatch):
    code, printed, _ = said("--dry-run", *options)
    assert code == 0
    assert f"--device {'cpu' if options else 'cuda'}" in printed
    parse = argparse.ArgumentParser.parse_args

    def only_parse(parser, args=None, namespace=None):
        parse(parser, args, namespace)
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", only_parse)
    commands = [shlex.split(line) for line in printed.splitlines() if " benchmarks." in line]
    assert len(commands) == 4
    for _, _, name, *words in commands:  # python -m NAME WORDS
        monkeypatch.setattr(sys, "argv", [name, *words])
        with pytest.raises(Parsed):
            import_module(name).main()
    tests = re.findall(r"tests/\w+\.py", printed)
    assert len(tests) >= 2
    assert all((ROOT / test).exists() for test in tests)


def test_the_whole_script_is_bounded_by_eight_minutes():
    limits = [int(limit) for limit in re.findall(r"^step \w+ (\d+) ", SCRIPT.read_text(), re.M)]
    assert len(limits) == 6
    assert sum(limits) < 480


def test_an_unknown_option_is_refused_and_help_is_given():
    code, _, error = said("--devise", "cpu")
    assert code == 2
    assert "--devise is no option of it: see --help" in error
    code, printed, _ = said("--help")
    assert code == 0
    assert "in under 8 minutes" in printed
    assert "set -uo" not in printed


def test_kernels_are_counted_and_views_are_none():
    x = torch.ones(4, 4)
    with Kernels() as kernels:
        _ = x[1:].T, x[1:].view(-1), x.expand(2, 4, 4)
    assert kernels.count == 0
    with kernels:
        _ = x * 2, x.add_(1), x.sum()
    assert kernels.count == 3


def test_shares_of_a_small_table_add_up():
    table = shares(200, 4, rounds=1)
    assert table.loc["all", "device"] == pytest.approx(table["device"].iloc[:2].sum())
    assert (table["kernels"].iloc[:2].astype(int) > 100).all()
    assert table.loc["all else", "host"] > 0
