"""What displays share: matplotlib imported late, one style sheet, colours for all readers."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

STYLE = "advaug.data.pictures"  # The style sheet; the colours here are those of it.
# Okabe and Ito, 2008: the largest class is grey, the others take these in turn.
GREY = "#9a9a9a"
COLOURS = ("#0072b2", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
NEW = "#d55e00"
INK = "#333333"
TICKS = "#666666"
AXES = "#bbbbbb"

# Control characters, marks that turn the direction of text, halves of pairs: no page may hold them.
UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


def visible(text: str, keep: str = "") -> str:
    r"""The text with invisible characters escaped as in Python, except for the characters to keep.

    >>> print(visible("red \x1b[31m"))
    red \x1b[31m
    """

    def spelt(found: re.Match[str]) -> str:
        character: str = found.group()
        return character if character in keep else character.encode("unicode_escape").decode()

    return UNSEEN.sub(spelt, text)


def shortened(text: Any, most: int) -> str:
    words = str(text)
    return words if len(words) <= most else words[: most - 1] + "…"


def as_label(text: Any) -> str:
    """Text from the data as matplotlib is to draw it: `$` opens no formula, and a name that begins
    with `_` stands in the legend."""
    text = visible(str(text)).replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text


def pyplot() -> Any:
    """matplotlib's pyplot; ImportError with the mend if there is no matplotlib."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            "pictures need matplotlib, which is not installed: pip install advaug[plot]"
        ) from error
    return plt


@contextmanager
def styled(ax: Any) -> Iterator[Any]:
    """The axes given, or new ones, while the style sheet holds; ImportError with the mend."""
    plt = None if ax is not None else pyplot()
    from matplotlib import style

    with style.context(STYLE):
        yield ax if plt is None else plt.subplots()[1]


def dress(ax: Any, title: str, *, x: str = "", y: str = "") -> None:
    """Title, labels and frame by the style sheet that holds, also on axes that were made before."""
    from matplotlib import rcParams as sheet

    ax.set_title(title, loc="left", pad=12)
    for axis, label in ((ax.xaxis, x), (ax.yaxis, y)):
        axis.set_label_text(label, fontsize=sheet["axes.labelsize"], color=sheet["axes.labelcolor"])
        axis.set_tick_params(color=AXES, labelcolor=TICKS, labelsize=sheet["xtick.labelsize"])
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(AXES)


def titled(title: str, name: str | None) -> str:
    """The title, with the name that the user gave."""
    return title if name is None else f"{title}: {as_label(name)}"


def record(sampler: Any, column: str) -> Any:
    """A column of what a fitted sampler wrote down, as an array; ValueError where there is none."""
    if not hasattr(sampler, "provenance_"):
        raise ValueError(
            f"this {type(sampler).__name__} has not made rows yet: call "
            "sampler.fit_resample(X, y) first"
        )
    if not len(sampler.provenance_):
        raise ValueError("the sampler has made no row: there is nothing to draw")
    return sampler.provenance_[column].to_numpy()
