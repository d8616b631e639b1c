"""The public names are those that docs/api.md lists."""

import re
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

API = Path(__file__).parents[1] / "docs" / "api.md"


def tables():
    """The two tables of the page: module -> names."""
    for part in API.read_text().split("Another package"):
        rows = re.findall(r"^\| `(advaug[\w.]*)` \|.*\|(.*)\|$", part, re.MULTILINE)
        yield {module: re.findall(r"`(\w+)`", names) for module, names in rows}


PUBLIC, PROTOCOLS = tables()


def defined(module):
    """Names of a module without `__all__`: what it defines and does not hide."""
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and not isinstance(value, ModuleType)
        and getattr(value, "__module__", module.__name__) == module.__name__
    ]


def test_both_tables_are_read():
    assert {"advaug", "advaug.attacks", "advaug.aeon"} <= PUBLIC.keys()
    assert {"advaug.core.problem", "advaug.sampling.domain"} <= PROTOCOLS.keys()


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_module_has_the_names_that_the_page_lists(name):
    module = import_module(name)
    assert sorted(PUBLIC[name]) == sorted(getattr(module, "__all__", None) or defined(module))


@pytest.mark.parametrize("module", [*PUBLIC, *PROTOCOLS])
def test_every_listed_name_can_be_imported(module):
    for name in (PUBLIC | PROTOCOLS)[module]:
        assert getattr(import_module(module), name) is not None


def test_no_name_means_two_things():
    found = {}
    for module, names in PUBLIC.items():
        for name in names:
            thing = getattr(import_module(module), name)
            assert found.setdefault(name, thing) is thing, f"{name} of {module}"
