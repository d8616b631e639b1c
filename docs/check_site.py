"""Check the built site: every internal link has its target, and nothing loads from the network.

python docs/check_site.py docs/build/html
"""

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADS = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}
CSS_URL = re.compile(r"url\(\s*['\"]?(?:https?:)?//|@import\s+['\"]?(?:https?:)?//")


class Page(HTMLParser):
    """What a page links to, what it loads, and the places that one can link to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value for name, value in attrs if value}
        self.anchors.update(values[name] for name in ("id", "name") if name in values)
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag in LOADS and LOADS[tag] in values and values.get("rel") != "canonical":
            self.loads.append(values[LOADS[tag]])

    def has(self, anchor: str) -> bool:
        return anchor in self.anchors or not anchor


def is_foreign(url: str) -> bool:
    return bool(urlsplit(url).netloc)


def faults(site: Path) -> Iterator[str]:
    # The theme leaves a template among its own files.
    files = (path for path in site.rglob("*.html") if "_static" not in path.parts)
    pages = {path: Page(path) for path in files}
    for path, page in pages.items():
        place = path.relative_to(site)
        yield from (f"{place} loads {url}" for url in page.loads if is_foreign(url))
        for url in (*page.links, *page.loads):
            parts = urlsplit(url)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file():
                yield f"{place} links to {url}, which does not exist"
            elif target in pages and not pages[target].has(unquote(parts.fragment)):
                yield f"{place} links to {url}, whose page has no such place"
    for path in site.rglob("*.css"):
        if CSS_URL.search(path.read_text()):
            yield f"{path.relative_to(site)} loads from the network"


def main() -> None:
    site = Path(sys.argv[1]).resolve()
    found = sorted(set(faults(site)))
    print(*found, sep="\n", end="\n" if found else "")
    print(f"{site}: {len(found)} faults")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
