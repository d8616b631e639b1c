"""A page for each public name, and a link to it wherever its name stands in code.

The names are those of `docs/api.md`, which `tests/test_public.py` compares with the code.
"""

import inspect
import re
from importlib import import_module
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import roles
from sphinx.addnodes import pending_xref
from sphinx.pycode import ModuleAnalyzer
from sphinx.transforms import SphinxTransform

DOCS = Path(__file__).parents[1]
FOLDER = DOCS / "generated" / "reference"
ROW = re.compile(r"^\| `(advaug[\w.]*)` \| (.*?) \|(.*)\|$", re.MULTILINE)


def modules() -> dict[str, tuple[str, list[str]]]:
    """Module -> what the page says of it, and its names; a name belongs to its first module."""
    found, seen = {}, set()
    for module, about, cell in ROW.findall((DOCS / "api.md").read_text()):
        names = [name for name in re.findall(r"`(\w+)`", cell) if name not in seen]
        seen.update(names)
        found[module] = about, names
    return found


def targets() -> dict[str, str]:
    """Public name or module -> its full name."""
    return {
        name: full
        for module, (_, names) in modules().items()
        for name, full in ((module, module), *((name, f"{module}.{name}") for name in names))
    }


# ---------------------------------------------------------------- pages


def kind(value: object) -> str:
    if inspect.isclass(value):
        return "class"
    return "function" if inspect.isroutine(value) else "data"


def titled(title: str, mark: str = "=") -> list[str]:
    return [title, mark * len(title), ""]


def module_page(module: str, about: str, names: list[str]) -> str:
    """A table of the names of a module, each with the first line of its docstring."""
    rows = [f"   {name}" for name in names]
    pages = [f"   {name} <{module}.{name}>" for name in names]
    return "\n".join(
        [
            *titled(module),
            f".. py:module:: {module}",
            "",
            f"{about[0].upper()}{about[1:]}.",
            "",
            ".. autosummary::",
            "   :nosignatures:",
            "",
            *rows,
            "",
            ".. toctree::",
            "   :hidden:",
            "",
            *pages,
            "",
        ]
    )


def own_members(value: type) -> list[str]:
    """Public methods and properties that this library defines and describes."""
    return [
        name
        for name, member in inspect.getmembers_static(value)
        if not name.startswith("_")
        and (inspect.isroutine(member) or isinstance(member, property | classmethod | staticmethod))
        and str(getattr(getattr(value, name, None), "__module__", "advaug")).startswith("advaug")
        and inspect.getdoc(getattr(value, name, None))
    ]


def foreign_members(value: type) -> list[str]:
    """Public methods that another library defines, such as `get_params` of scikit-learn."""
    return [
        name
        for name, member in inspect.getmembers(value, inspect.isroutine)
        if not name.startswith("_")
        and not str(getattr(member, "__module__", "advaug") or "advaug").startswith("advaug")
    ]


def name_page(module: str, name: str) -> str:
    value = getattr(import_module(module), name)
    path = f"{module}.{name}"
    option = "no-value" if kind(value) == "data" else "no-index-entry"
    lines = [*titled(name), f".. auto{kind(value)}:: {path}", f"   :{option}:", ""]
    if not inspect.isclass(value):
        return "\n".join(lines)
    own, foreign = own_members(value), foreign_members(value)
    if own:
        lines += [".. rubric:: Methods", ""]
    for member in own:
        is_property = isinstance(inspect.getattr_static(value, member), property)
        lines += [f".. auto{'property' if is_property else 'method'}:: {path}.{member}", ""]
    if foreign:
        listed = ", ".join(f"``{member}``" for member in foreign)
        lines += [f"Methods that scikit-learn or imbalanced-learn define: {listed}.", ""]
    return "\n".join(lines)


def write_pages(app) -> None:
    pages = {}
    for module, (about, names) in modules().items():
        pages[module] = module_page(module, about, names)
        pages |= {f"{module}.{name}": name_page(module, name) for name in names}
    FOLDER.mkdir(parents=True, exist_ok=True)
    for stale in {path.stem for path in FOLDER.glob("*.rst")} - pages.keys():
        (FOLDER / f"{stale}.rst").unlink()
    for stem, text in pages.items():
        page = FOLDER / f"{stem}.rst"
        if not page.exists() or page.read_text() != text:
            page.write_text(text)


def append_toctree(app, docname: str, source: list[str]) -> None:
    """Code hosts show no toctree: it is added when the page of names is read."""
    if docname == "api":
        listed = "\n".join(f"generated/reference/{module}" for module in modules())
        source[0] += f"\n```{{toctree}}\n:hidden:\n\n{listed}\n```\n"


def escape_shapes(app, what, name, obj, options, lines: list[str]) -> None:
    """(batch, *shape) in a docstring is a shape, and the star no emphasis."""
    outside_code = re.compile(r"(`+[^`]*`+)|(?<=[ (])\*(?=\w+[,)])")
    lines[:] = [outside_code.sub(lambda found: found[1] or r"\*", line) for line in lines]


def describe_data(app, what, name, obj, options, lines: list[str]) -> None:
    """The comment above a value, where the table of a module would show the words of its type."""
    module, _, own = name.rpartition(".")
    if what == "data":
        lines[:] = ModuleAnalyzer.for_module(module).find_attr_docs().get(("", own), lines)


# ---------------------------------------------------------------- links


METHODS = ("fit",)  # Nearly always the method of an estimator, not the function of that name.


def reference(text: str, docname: str) -> nodes.Node:
    """Code; a link if it is a public name, also with arguments behind it."""
    code = nodes.literal(text, text)
    known = targets()
    name = re.match(r"(?:advaug\.)?(?:\w+\.)?(\w+)(?:\(.*\))?$", text.strip(), re.DOTALL)
    target = known.get(text) or (known.get(name[1]) if name and name[1] not in METHODS else None)
    if target is None:
        return code
    code["classes"] += ["xref", "py", "py-obj"]
    attributes = {"refdomain": "py", "reftype": "obj", "reftarget": target, "refdoc": docname}
    return pending_xref(text, code, **attributes, refexplicit=True, refwarn=True)


def code_role(name, rawtext, text, lineno, inliner, options=None, content=None):
    """What stands between single backticks in a docstring."""
    return [reference(text, inliner.document.settings.env.docname)], []


class LinkedNames(SphinxTransform):
    """Public names in code spans of Markdown pages become links to their pages."""

    default_priority = 5

    def apply(self, **kwargs) -> None:
        for code in list(self.document.findall(nodes.literal)):
            if not isinstance(code.parent, nodes.reference | pending_xref | nodes.title):
                code.replace_self(reference(code.astext(), self.env.docname))


def setup(app) -> dict[str, bool]:
    roles.register_local_role("code_or_name", code_role)
    app.add_transform(LinkedNames)
    app.connect("builder-inited", write_pages)
    app.connect("source-read", append_toctree)
    app.connect("autodoc-process-docstring", describe_data)
    app.connect("autodoc-process-docstring", escape_shapes)
    return {"parallel_read_safe": True}
