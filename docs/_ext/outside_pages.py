"""Pages that lie outside `docs/`: the change log, the guide for contributors and the benchmarks.

They are copied into `docs/generated/pages` before a build. Every link between Markdown files of the
repository, and every path of one in a code span, leads to the page of the site.
"""

import os
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = DOCS / "generated" / "pages"

LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)(#[^)\s]*)?\)")
CODE = re.compile(
    r"(?<![\[`])`((?:docs|benchmarks|examples)/[\w./-]+\.(?:md|py)|CONTRIBUTING\.md)`"
)


def places() -> dict[Path, Path]:
    """Files of the repository -> the source of their page on the site."""
    results = ROOT / "benchmarks" / "results"
    return {
        ROOT / "CHANGELOG.md": PAGES / "whats-new.md",
        ROOT / "CONTRIBUTING.md": PAGES / "contributing.md",
        ROOT / "benchmarks" / "README.md": PAGES / "reproduce.md",
        **{page: PAGES / "results" / page.relative_to(results) for page in results.rglob("*.md")},
        ROOT / "examples" / "README.md": DOCS / "generated" / "gallery" / "index.rst",
        **{
            example: DOCS / "generated" / "gallery" / f"{example.stem}.rst"
            for example in (ROOT / "examples").glob("*.py")
        },
    }


def relinked(text: str, file: Path, page: Path) -> str:
    """The Markdown of a file of the repository, with the links that it needs as a page."""
    moved = places()

    def to(path: Path, otherwise: str) -> str:
        target = Path(os.path.normpath(path))
        if target not in moved and not target.is_relative_to(DOCS):
            return otherwise
        return os.path.relpath(moved.get(target, target), page.parent)

    def link(match: re.Match[str]) -> str:
        path, anchor = match.groups(default="")
        return f"]({to(file.parent / path, path)}{anchor})"

    def code(match: re.Match[str]) -> str:
        path = to(ROOT / match[1], "")
        return f"[{match[0]}]({path})" if path else match[0]

    parts = re.split(r"(^```.*?^```$)", text, flags=re.MULTILINE | re.DOTALL)
    return "".join(
        part if part.startswith("```") else CODE.sub(code, LINK.sub(link, part)) for part in parts
    )


def titled(text: str, title: str) -> str:
    """Some pages of results begin with their table."""
    return text if text.startswith("# ") else f"# {title}\n\n{text}"


def bring_in(app) -> None:
    for file, page in places().items():
        if page.is_relative_to(PAGES):
            text = titled(relinked(file.read_text(), file, page), file.stem)
            page.parent.mkdir(parents=True, exist_ok=True)
            if not page.exists() or page.read_text() != text:
                page.write_text(text)


def read(app, docname: str, source: list[str]) -> None:
    page = Path(app.env.doc2path(docname))
    if page.suffix == ".md" and not page.is_relative_to(PAGES):
        source[0] = relinked(source[0], page, page)


def setup(app) -> dict[str, bool]:
    app.connect("builder-inited", bring_in)
    app.connect("source-read", read)
    return {"parallel_read_safe": True}
