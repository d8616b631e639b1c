"""Check the docstrings of all public names with numpydoc; `make lint` runs this.

The public names are those of docs/api.md. Names of its first table are documented in full, those of
its second one, and methods that a part needs because its protocol asks for them, by their words.
"""

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterator
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from test_public import PROTOCOLS, PUBLIC

# What numpydoc could ask and we do not, of any docstring.
NEVER = {
    "ES01",  # One line may say it all.
    "GL01",  # The summary stands beside the opening quotes, as black and ruff format it.
    "SS05",  # It takes "Its" and "Means" for verbs.
    "SS06",  # Summaries of two lines come from shapes and formulas that one line cannot hold.
    "SS02",  # A summary may begin with a formula or a name of the code.
    "SS03",  # A summary may end in a question mark or a formula.
    "PR06",  # "array" and "string" are words of prose too.
    "PR08",  # A description may begin with a formula or a name in lower case.
    "RT04",  # The same for what is returned.
}
# Asked of classes and functions of the first table only.
OF_NAMES = {
    "EX01",  # A method's example is that of its class.
    "SA01",  # Related names stand in the class's See Also.
}
# Asked where users call methods; elsewhere protocols document what their members take and return.
OF_CALLED = {
    "GL08",  # Members of a protocol are documented there.
    "PR01",  # So are their parameters,
    "RT01",  # what they return
    "YD01",  # and what they yield.
}
# The library itself calls these.
INNER = {"batches", "cells", "check_kinds", "encoded_probability", "fit_encoded", "found"}
INNER |= {"from_rows", "made", "place", "read", "request", "table"}
OTHERWISE = {
    "Attack": {"PR01"},  # A protocol has no __init__.
    "Engine": {"PR01", "EX01"},  # This one neither; docs say how an engine is named.
    "RowGenerator": {"PR01"},  # A sampler's `fit` makes it; what users read is in Attributes.
    "Summary": {"PR01"},  # `scan` makes it; its fields are Attributes.
    "validity_report": {"PR01", "PR02"},  # Its two signatures are overloads.
    "ValidityReport": {"PR01"},  # `validity_report` makes it; its fields are Attributes.
    "ValidityReport.from_sampler": {"PR01"},  # Its docstring names `validity_report`.
}
# Where users call methods.
CALLED = {"advaug", "advaug.constraints", "advaug.datasets", "advaug.registry", "advaug.report"}
CALLED |= {"advaug.robust", "advaug.aeon"}


def documented() -> Iterator[tuple[str, Any, set[str]]]:
    """Each public name and method, once: its path, the object, and what is not asked of it."""
    seen: set[Any] = set()
    for module, names in (PUBLIC | PROTOCOLS).items():
        for name in names:
            try:
                thing = getattr(import_module(module), name)
            except ModuleNotFoundError as error:
                print(f"{module} is left out: {error}")
                continue
            if not (inspect.isclass(thing) or inspect.isfunction(thing)) or thing in seen:
                continue
            seen.add(thing)
            of_protocol = NEVER | OF_NAMES | OF_CALLED
            own = NEVER | OTHERWISE.get(name, set())
            yield f"{module}.{name}", thing, own if module in PUBLIC else of_protocol
            for part, method in methods(thing):
                is_called = module in CALLED and part not in INNER
                without = NEVER | OF_NAMES if is_called else of_protocol
                without = without | OTHERWISE.get(f"{name}.{part}", set())
                yield f"{module}.{name}.{part}", method, without


def methods(thing: Any) -> Iterator[tuple[str, Any]]:
    """Public functions and class methods that the class itself defines; properties are words."""
    if inspect.isclass(thing):
        for name, value in vars(thing).items():
            if name[0] != "_" and (inspect.isfunction(value) or isinstance(value, classmethod)):
                yield name, value


def wrong_defaults(thing: Any) -> Iterator[str]:
    """Parameters whose docstring names another default than the signature has."""
    from numpydoc.docscrape import NumpyDocString

    thing = getattr(thing, "__func__", thing)
    parameters = inspect.signature(thing).parameters
    for entry in NumpyDocString(inspect.getdoc(thing) or "")["Parameters"]:
        told = entry.type.partition("default=")[2].replace('"', "'").strip("'")
        for name in entry.name.split(", "):
            if told and name in parameters:
                default = parameters[name].default
                numbers = isinstance(default, float) and told in {f"{default:g}", str(default)}
                if not numbers and told != str(default):
                    yield f"the default of {name} is {default!r}, the docstring says {told}"


def undocumented(thing: Any) -> set[str]:
    """Attributes that `fit` sets and that the docstring of the class does not describe."""
    from numpydoc.docscrape import ClassDoc

    own = [base for base in thing.__mro__ if base.__module__.split(".")[0] == "advaug"]
    entries = [entry for entry in ClassDoc(thing)["Attributes"] if any(entry.desc)]
    described = {name for entry in entries for name in entry.name.split(", ")}
    return {name for base in own for name in fitted(base)} - described


def fitted(thing: Any) -> Iterator[str]:
    """Names that end in "_" and are assigned to self, or are properties, in the code of a class."""
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(thing)))):
        is_set = isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
        name = node.attr if is_set and getattr(node.value, "id", "") == "self" else ""
        if name.endswith("_") and not name.startswith("_"):
            yield name
    for name, value in vars(thing).items():
        is_property = isinstance(value, property | cached_property)
        if is_property and name.endswith("_") and not name.startswith("_"):
            yield name


def faults() -> Iterator[str]:
    """A line for each fault."""
    from numpydoc.validate import validate

    for path, thing, without in documented():
        for code, message in validate(path)["errors"]:
            if code not in without:
                yield f"{path}: {code} {message}"
        yield from (f"{path}: {fault}" for fault in wrong_defaults(thing))
        if inspect.isclass(thing) and hasattr(thing, "get_params"):
            for name in sorted(undocumented(thing)):
                yield f"{path}: the attribute {name} is not documented"


if __name__ == "__main__":
    found = list(faults())
    print(*found, sep="\n")
    sys.exit(f"{len(found)} faults in docstrings" if found else None)
