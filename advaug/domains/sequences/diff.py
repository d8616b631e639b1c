"""A sequence beside the one it was made from: what is gone and what is new, in colour.

Marks stand beside the colours, so that the difference can be read without them.
"""

from dataclasses import dataclass
from html import escape
from typing import Any

from advaug.core.drawing import visible
from advaug.core.short_repr import ShortRepr
from advaug.domains.sequences.adapter import SequenceCoding

GONE, NEW, PLAIN = "\033[9;31m", "\033[1;32m", "\033[0m"
STYLE = {
    "gone": "color:#d55e00;text-decoration:line-through",
    "new": "color:#009e73;font-weight:bold;text-decoration:none",
}


@dataclass(frozen=True, repr=False)
class SequenceDiff(ShortRepr):
    """Pieces of a row and of the one made from it: ("same", "gone" or "new", text).

    Prints with marks, [-gone-] and {+new+}; notebooks show it as HTML.

    Parameters
    ----------
    pieces : tuple of (str, str)
        "same", "gone" or "new", and the text.

    See Also
    --------
    advaug.report.SignalDisplay : A new signal beside its parent.

    Examples
    --------
    >>> from advaug.adapters import SequenceAdapter
    >>> from advaug.report import SequenceDiff
    >>> coding = SequenceAdapter().fit(["call me now", "call us"])
    >>> print(SequenceDiff.of(coding, "call me now", "call us now"))
    call[- me-]{+ us+} now
    """

    pieces: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, coding: SequenceCoding, before: Any, after: Any) -> "SequenceDiff":
        """The difference of two rows, token by token.

        Parameters
        ----------
        coding : `Coding`
            Of a fitted sampler or transformer: `sampler.adapter_`.
        before, after : str, or list of tokens
            The parent's sequence and the new one.

        Returns
        -------
        SequenceDiff
            What is kept, gone and new.
        """
        if not isinstance(coding, SequenceCoding):
            raise TypeError(
                f"only sequences have a diff, got {type(coding).__name__}: pass the adapter_ of an "
                "estimator that was fitted on texts or lists of tokens"
            )
        pieces: list[tuple[str, str]] = []
        for kind, old, new in coding.compared(before, after):
            if kind == "equal":
                pieces.append(("same", old))
            else:
                pieces += [(name, text) for name, text in (("gone", old), ("new", new)) if text]
        return cls(tuple((kind, visible(text, keep="\n\t")) for kind, text in pieces))

    def __str__(self) -> str:
        marks = {"same": "{}", "gone": "[-{}-]", "new": "{{+{}+}}"}
        return "".join(marks[kind].format(text) for kind, text in self.pieces)

    def to_terminal(self) -> str:
        """In the colours of a terminal: red and struck out, green and bold.

        Returns
        -------
        str
            With escape sequences.
        """
        colour = {"same": "", "gone": GONE, "new": NEW}
        return "".join(
            f"{colour[kind]}{text}{PLAIN}" if colour[kind] else text for kind, text in self.pieces
        )

    def to_html(self) -> str:
        """As HTML with the elements del and ins.

        Returns
        -------
        str
            A piece of a page.
        """
        tag = {"gone": "del", "new": "ins"}
        return "".join(
            f"<{tag[kind]} style='{STYLE[kind]}'>{escape(text)}</{tag[kind]}>"
            if kind in tag
            else escape(text)
            for kind, text in self.pieces
        )

    def _repr_html_(self) -> str:
        return f"<p style='white-space:pre-wrap'>{self.to_html()}</p>"
