"""The `?` of scikit-learn's diagrams: a link from an estimator to its page in the documentation.

The package's metadata name the site (`Documentation` among `project.urls`). Where they name none,
the diagrams show no `?`, since a link that leads nowhere is worse than none.
"""

from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, metadata


@cache
def site() -> str:
    """The address of the documentation, "" if the package names none."""
    try:
        links = metadata("advaug").get_all("Project-URL") or []
    except PackageNotFoundError:
        return ""
    named = dict(link.split(", ", 1) for link in links)
    return named.get("Documentation", "").rstrip("/")


def public_name(estimator: type) -> str:
    """The class as users import it, e.g. "advaug.AdversarialOverSampler"; "" if it is private."""
    name, package = estimator.__name__, ".".join(estimator.__module__.split(".")[:2])
    for module in ("advaug", package):
        if name in getattr(import_module(module), "__all__", ()):
            return f"{module}.{name}"
    return ""


class DocLinkMixin:
    """Mixin for an estimator: scikit-learn's `_get_doc_link`, with this library's pages."""

    def _get_doc_link(self) -> str:
        name = public_name(type(self))
        return f"{site()}/generated/reference/{name}.html" if site() and name else ""
