"""What a folder of new rows holds: a manifest that names every part with its rows and digest.

While the folder grows, a line is added to a second file for each part that is whole, so that a run
that was killed goes on where it was.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self

from advaug.containers.batches import remove_temporary
from advaug.containers.files import beside

# Readers of a folder of Parquet files pass over names that begin with an underscore.
MANIFEST, DONE, MODEL = "_manifest.json", "_parts.jsonl", "_model.advaug"


class Part(NamedTuple):
    """A file of new rows: rows `start` to `stop`, without `stop`, of a class."""

    file: str
    label: Any
    start: int
    stop: int

    @property
    def n_rows(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True)
class Growth:
    """What is to be made: everything that decides the bytes of the parts.

    Parameters
    ----------
    version : str
        Of advaug.
    model : str
        The SHA-256 of the generator's file.
    settings : str
        The generator's parameters, for the reader.
    kind : str
        The suffix of the parts.
    parent : str or None
        The column of parents, if there is one.
    requests : list of (label, rows)
    rows_per_part : int
    """

    version: str
    model: str
    settings: str
    kind: str
    parent: str | None
    requests: list[list[Any]]
    rows_per_part: int

    def parts(self, labels: list[Any]) -> Iterator[Part]:
        """The files to be written; their names hold the label's place and the first row."""
        for label, count in self.requests:
            for start in range(0, count, self.rows_per_part):
                name = f"class{labels.index(label)}-{start:012d}{self.kind}"
                yield Part(name, label, start, min(start + self.rows_per_part, count))


@dataclass
class Manifest:
    """The state of a folder of new rows.

    Attributes
    ----------
    folder : Path
    growth : Growth
    inputs : list of dict
        The files that were scanned.
    parts : dict of file name -> Part
        All parts that there shall be.
    digests : dict of file name -> SHA-256 of a part that is whole
    """

    folder: Path
    growth: Growth
    inputs: list[dict[str, Any]]
    parts: dict[str, Part]
    digests: dict[str, str] = field(default_factory=dict)

    @classmethod
    def opened(
        cls,
        folder: Path,
        growth: Growth,
        inputs: list[dict[str, Any]],
        labels: list[Any],
    ) -> Self:
        """The manifest of a new folder, or of one in which the same rows were begun."""
        folder.mkdir(parents=True, exist_ok=True)
        refuse_other_rows(folder, growth)
        parts = {part.file: part for part in growth.parts(labels)}
        manifest = cls(folder, growth, inputs, parts, digests_in(folder))
        remove_temporary(folder)
        manifest.write(is_complete=False)
        return manifest

    @property
    def missing(self) -> list[Part]:
        """The parts that are not whole yet."""
        return [part for name, part in self.parts.items() if name not in self.digests]

    def drop(self, name: str) -> None:
        """Forget a part that is damaged or gone."""
        del self.digests[name]

    def add(self, part: Part, digest: str) -> None:
        """Note down a part that is whole."""
        self.digests[part.file] = digest
        with (self.folder / DONE).open("a") as file:
            file.write(json.dumps({"file": part.file, "sha256": digest}) + "\n")

    def write(self, *, is_complete: bool) -> None:
        """Write the manifest; when it is complete the notes beside it are no longer needed."""
        with beside(self.folder / MANIFEST) as path:
            path.write_text(json.dumps(self.content(is_complete), indent=1))
        (self.folder / DONE).unlink(missing_ok=True) if is_complete else self._write_notes()

    def _write_notes(self) -> None:
        notes = [{"file": name, "sha256": digest} for name, digest in self.digests.items()]
        with beside(self.folder / DONE) as path:
            path.write_text("".join(json.dumps(note) + "\n" for note in notes))

    def content(self, is_complete: bool) -> dict[str, Any]:
        """What the file says."""
        parts = [
            {**part._asdict(), "rows": part.n_rows, "sha256": self.digests.get(name)}
            for name, part in self.parts.items()
        ]
        return {
            "format": "advaug manifest 1",
            "is_complete": is_complete,
            "rows": sum(part["rows"] for part in parts),
            **asdict(self.growth),
            "inputs": self.inputs,
            "parts": parts,
        }


def refuse_other_rows(folder: Path, growth: Growth) -> None:
    """ValueError where a folder holds other rows than these, or other files."""
    if not any(path.name != MODEL for path in folder.iterdir()):
        return
    known = read_manifest(folder)
    wanted = json.loads(json.dumps(asdict(growth)))
    if other := [name for name, value in wanted.items() if known.get(name) != value]:
        raise ValueError(
            f"{folder} holds rows that were made otherwise ({', '.join(other)}): name another "
            "folder, or delete this one"
        )


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a folder; ValueError with the mend if there is none."""
    try:
        content = json.loads((folder / MANIFEST).read_text())
    except FileNotFoundError:
        raise ValueError(f"{folder} holds other files: name a new or an empty folder") from None
    except ValueError as error:
        raise ValueError(
            f"{folder / MANIFEST} is damaged ({error}): delete the folder, or name another one"
        ) from error
    return content if isinstance(content, dict) else {}


def digests_in(folder: Path) -> dict[str, str]:
    """The digests that were noted down; a line that was cut off is left out."""
    digests = {}
    if (folder / MANIFEST).exists():
        parts: list[Mapping[str, Any]] = read_manifest(folder).get("parts", [])
        digests = {part["file"]: part["sha256"] for part in parts if part["sha256"]}
    if (folder / DONE).exists():
        for line in (folder / DONE).read_text().splitlines(keepends=True):
            if line.endswith("}\n"):
                note = json.loads(line)
                digests[note["file"]] = note["sha256"]
    return digests
