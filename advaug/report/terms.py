"""The statistical terms of the report, explained for readers who do not know them."""

import re
from html import escape

TERMS = {
    "AUC": "Area under the ROC curve: how often a model ranks a row of one kind above a row of the "
    "other kind. 0.5 is guessing, 1 is perfect.",
    "conformal p-value": "The share of real rows of the class, each held out, that look at least "
    "as unusual as the row. Real rows have all values from 0 to 1 equally often.",
    "Cramér's V": "How strongly two columns of categories depend on each other, from 0 to 1.",
    "correlation ratio": "How much of the differences in a column of numbers a category explains, "
    "from 0 to 1.",
    "drift": "How far the distribution of a column lies from that of the real rows, from 0 to 1.",
    "energy test": "A test of whether two samples come from the same distribution; it compares the "
    "distances between rows. Small p-values say that they do not.",
    "held-out": "Not used to train the model that judges it.",
    "Kolmogorov-Smirnov distance": "The largest gap between the cumulative distributions of two "
    "samples of numbers, from 0 to 1.",
    "log-odds": "log(p / (1 - p)) of a probability p: 0 is undecided, positive is more likely than "
    "not.",
    "mean p-value": "The mean of the rows' p-values: 0.5 for real rows, less where rows are more "
    "unusual than real ones.",
    "principal components": "The directions in which the real rows differ most; a map of many "
    "columns in two dimensions.",
    "Spearman's correlation": "How well one column's order follows another one's, from -1 to 1.",
    "total variation": "The largest difference of the shares of any set of levels, from 0 to 1.",
}
ANY = re.compile("(" + "|".join(map(re.escape, sorted(TERMS, key=len, reverse=True))) + r")(?!\w)")


def place_of(term: str) -> str:
    """The id of a term's explanation in the page."""
    return "term-" + re.sub(r"\W+", "-", term.lower())


def explained(text: str) -> str:
    """The text as HTML: each term links to its explanation and shows it on hover."""
    pieces = ANY.split(text)  # Every second piece is a term.
    return "".join(link(piece) if k % 2 else escape(piece) for k, piece in enumerate(pieces))


def link(term: str) -> str:
    return (
        f'<a class="term" href="#{place_of(term)}" title="{escape(TERMS[term])}">{escape(term)}</a>'
    )
