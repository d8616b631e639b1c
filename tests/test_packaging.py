"""What an index page, a citation and a report of an error say of the package."""

import re
import tomllib
from pathlib import Path

import pytest
from rattler_build import Stage0Recipe

import advaug
from advaug import versions
from advaug.cli import main

ROOT = Path(__file__).parents[1]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = SETTINGS["project"]
README = (ROOT / "README.md").read_text()
USERS_EXTRAS = ("plot", "report", "parquet", "aeon")


def test_the_version_stands_in_one_place():
    assert "version" in PROJECT["dynamic"]
    places = [ROOT / "CITATION.cff", ROOT / "pyproject.toml", *ROOT.glob("advaug/**/*.py")]
    holds = [path.name for path in places if f'"{advaug.__version__}"' in path.read_text()]
    assert holds == ["__init__.py"]
    assert "version:" not in re.sub("cff-version:", "", (ROOT / "CITATION.cff").read_text())


def test_the_command_line_tells_the_version(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"advaug {advaug.__version__}\n"


def test_show_versions_lists_every_package_that_users_need(capsys, monkeypatch):
    extras = [f"{line}; extra == '{name}'" for name in USERS_EXTRAS for line in extra(name)]
    others = [f"{line}; extra == '{name}'" for name in ("dev", "bench") for line in extra(name)]
    required = [*PROJECT["dependencies"], *extras, *others]
    monkeypatch.setattr(versions, "requires", lambda name: required)
    advaug.show_versions()
    told = set(re.findall(r"^ *([\w.-]+): ", capsys.readouterr().out, re.MULTILINE))
    assert {bare(line) for line in (*PROJECT["dependencies"], *extras)} <= told
    assert not {"ruff", "lightgbm", "mypy"} & told
    assert {"advaug", "python", "pip", "machine"} <= told


def test_show_versions_works_where_nothing_is_installed(capsys, monkeypatch):
    monkeypatch.setattr(versions, "installed", lambda name: versions.NOWHERE)
    advaug.show_versions()
    assert f"advaug: {advaug.__version__}, in " in capsys.readouterr().out


def extra(name):
    return PROJECT["optional-dependencies"][name]


def bare(requirement):
    return re.match(r"[\w.-]+", requirement)[0]


def test_the_readme_has_no_link_that_an_index_page_cannot_follow():
    links = re.findall(r"(?<!!)\[[^\]]*\]\(([^)]*)\)", README)
    assert [link for link in links if not link.startswith("https://")] == []


def test_where_a_picture_of_the_readme_is_not_shown_its_text_says_what_it_shows():
    pictures = re.findall(r"!\[([^\]]*)\]\(([^)]*)\)", README)
    for text, path in pictures:
        assert len(text.split()) >= 8, text
        assert path.startswith("https://") or (ROOT / path).is_file(), path


def test_the_classifiers_name_the_pythons_that_the_project_asks_for():
    lowest = PROJECT["requires-python"].removeprefix(">=")
    named = [line.split(" :: ")[-1] for line in PROJECT["classifiers"] if "Python :: 3." in line]
    assert named[0] == lowest


@pytest.fixture
def conda(monkeypatch):
    """The conda package as rattler-build reads it, name of a part -> its content."""
    monkeypatch.setenv("VERSION", advaug.__version__)
    [variant] = Stage0Recipe.from_file(ROOT / "conda" / "recipe.yaml").render()
    return variant.recipe.to_dict()


def test_the_conda_package_is_this_one(conda):
    assert conda["package"] == {"name": PROJECT["name"], "version": advaug.__version__}
    assert conda["about"]["license"] == PROJECT["license"]
    assert conda["about"]["summary"] == PROJECT["description"]
    commands = [f"{name} = {place}" for name, place in PROJECT["scripts"].items()]
    assert conda["build"]["python"]["entry_points"] == commands
    assert (ROOT / "conda" / conda["source"][0]["path"]).samefile(ROOT)


def test_the_conda_package_requires_what_the_wheel_requires(conda):
    python = "python " + PROJECT["requires-python"]
    wheel = [spaced(line).replace("torch ", "pytorch ") for line in PROJECT["dependencies"]]
    assert sorted(conda["requirements"]["run"]) == sorted([python, *wheel])
    assert {spaced(line) for line in SETTINGS["build-system"]["requires"]} < {
        *conda["requirements"]["host"]
    }


def spaced(requirement):
    """A requirement as conda writes it: a blank between name and versions."""
    return re.sub(r"(?<=\w)(?=[<>=])", " ", requirement, count=1)
