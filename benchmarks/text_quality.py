"""How new texts read: to a language model of another family, and to people who do not know them.

    python -m benchmarks.text_quality --data FOLDER [--sets NAME ...] [--reading FOLDER]
    python -m benchmarks.text_quality --verdicts FOLDER

FOLDER holds parquet files with the columns `text` and `target`, one for each set. Of each set the
texts of four words and more are taken once each, at most 6000, and cut at random: .4 of them are
the sampler's rows, .25 train the language model, .35 are the real texts that new ones are compared
with. So neither the sampler nor the model has seen those. Every class gets as many new texts. Real
ones of the same classes and lengths stand beside them. Copies ("copied" in the provenance) are left
out.

perplexity: the median over texts of exp(mean surprise of a word), by trigrams of lower-case words
with Witten-Bell smoothing (Witten, Bell. The zero-frequency problem. IEEE Transactions on
Information Theory 1991); the library itself judges by Kneser-Ney models of its own tokens. Words
that the model's texts hold less than twice are one word. unseen: the share of trigrams that the
model's texts do not hold. copied: the share of new rows of which no new one was accepted. crossed:
the share of new rows with a second parent. CPU s: of one `fit_resample`, one thread.

`--reading` writes files for a blind reading: SET_RECIPE.txt has 60 new texts and 60 real ones of
the same classes and lengths, shuffled and numbered, below the names of the classes; keys/ says
which of them are new, and the labels. A reader writes SET_RECIPE.verdict.tsv beside them, without a
header: number, "accept" or "reject", label. `--verdicts` compares both: the share of new and of
real texts that the reader accepted and whose label the reader gave, and new over real.
"""

import argparse
import math
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from advaug import AdversarialOverSampler
from benchmarks.tables import machine, markdown, save

SEED = 0
MOST_TEXTS, FEWEST_WORDS = 6000, 4
SHARES = (0.4, 0.25)  # For the sampler and the model; the rest are real texts to compare with.
RECIPES = ("paraphrase", "recombine", "bag")
READ_RECIPES = ("paraphrase", "recombine")
N_NEW, N_READ = 300, 60
WORD = re.compile(r"\w+(?:['\u2019]\w+)*|[^\w\s]")
START, END, RARE = "<s>", "</s>", "<rare>"
Trigram = tuple[str, str, str]


# ---------------------------------------------------------------- a model of another family


@dataclass
class WittenBell:
    """Interpolated trigrams of words: p(w | h) = (c(h w) + t(h) p(w | h')) / (c(h) + t(h)).

    c counts, t(h) is how many different words follow h, h' is h without its first word.
    """

    counts: dict[tuple[str, ...], Counter[str]]
    words: frozenset[str]
    trigrams: frozenset[Trigram]

    @classmethod
    def of(cls, texts: Iterable[str]) -> "WittenBell":
        rows = [WORD.findall(text.lower()) for text in texts]
        often = Counter(word for row in rows for word in row)
        words = frozenset(word for word, count in often.items() if count > 1)
        counts: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
        for row in rows:
            for first, second, third in trigrams_of(known(row, words)):
                for history in ((first, second), (second,), ()):
                    counts[history][third] += 1
        seen = frozenset(run for row in rows for run in trigrams_of(row))
        return cls(dict(counts), words | {RARE, END}, seen)

    def perplexity(self, text: str) -> float:
        """exp of the mean surprise of a text's words and its end."""
        row = known(WORD.findall(text.lower()), self.words)
        surprise = [-math.log(self.probability(*run)) for run in trigrams_of(row)]
        return math.exp(sum(surprise) / len(surprise))

    def probability(self, first: str, second: str, third: str) -> float:
        """Of the third word after the other two."""
        probability = 1 / len(self.words)
        for history in ((), (second,), (first, second)):
            after = self.counts.get(history)
            if after:
                total, kinds = after.total(), len(after)
                probability = (after[third] + kinds * probability) / (total + kinds)
        return probability

    def unseen(self, texts: Iterable[str]) -> float:
        """The share of the texts' trigrams that the model's texts do not hold."""
        runs = [run for text in texts for run in trigrams_of(WORD.findall(text.lower()))]
        return sum(run not in self.trigrams for run in runs) / len(runs)


def known(row: list[str], words: frozenset[str]) -> list[str]:
    return [word if word in words else RARE for word in row]


def trigrams_of(row: list[str]) -> list[Trigram]:
    """The runs of three words, with the text's ends."""
    padded = [START, START, *row, END]
    return list(zip(padded, padded[1:], padded[2:], strict=False))


# ---------------------------------------------------------------- texts


@dataclass(frozen=True)
class Split:
    """A set's texts: the sampler's, those of the language model, and real ones to compare with."""

    name: str
    rows: pd.DataFrame
    model: pd.DataFrame
    held_out: pd.DataFrame

    @classmethod
    def of(cls, path: Path) -> "Split":
        frame = pd.read_parquet(path, columns=["text", "target"]).dropna()
        frame["text"] = frame["text"].str.strip()
        frame = frame[frame["text"].str.split().str.len() >= FEWEST_WORDS].drop_duplicates("text")
        order = np.random.default_rng(SEED).permutation(len(frame))[:MOST_TEXTS]
        parts = np.split(order, (np.cumsum(SHARES) * len(order)).astype(int))
        return cls(path.stem, *(frame.iloc[part].reset_index(drop=True) for part in parts))


@dataclass(frozen=True)
class NewTexts:
    """What a recipe has made of a set, without copies, with its cost."""

    frame: pd.DataFrame
    copied: float
    crossed: float
    cpu_seconds: float


def made(split: Split, recipe: str) -> NewTexts:
    """As many new texts of each class, but no more than there are real ones to compare with."""
    counts, real = (part["target"].value_counts() for part in (split.rows, split.held_out))
    each = min(N_NEW // len(counts), real.min())
    wanted = {label: count + each for label, count in counts.items()}
    sampler = AdversarialOverSampler(sampling_strategy=wanted, recipe=recipe, random_state=SEED)
    texts, labels = split.rows["text"].tolist(), split.rows["target"].to_numpy()
    start = time.process_time()
    X, y = sampler.fit_resample(texts, labels)
    seconds = time.process_time() - start
    new = pd.DataFrame({"text": X[len(texts) :], "target": y[len(texts) :]})
    is_copied = (sampler.provenance_["status"] == "copied").to_numpy()
    is_crossed = (sampler.provenance_["second_parent"] >= 0).mean()
    return NewTexts(new[~is_copied].reset_index(drop=True), is_copied.mean(), is_crossed, seconds)


def alike(new: pd.DataFrame, real: pd.DataFrame) -> pd.DataFrame:
    """For each new text an own real one of its class, as near in length as there still is."""
    places = []
    for label, texts in new.groupby("target", sort=True)["text"]:
        own = real[real["target"] == label]
        length = own["text"].str.len().to_numpy().astype(float)
        for wanted in texts.str.len().sort_values(ascending=False):
            if np.isinf(length).all():
                break
            at = int(np.abs(length - wanted).argmin())
            places.append(own.index[at])
            length[at] = np.inf
    return real.loc[places]


# ---------------------------------------------------------------- tables and files


def quality(split: Split, texts: dict[str, NewTexts]) -> list[dict[str, Any]]:
    """A line for each recipe, beside real texts of the same classes and lengths."""
    model, lines = WittenBell.of(split.model["text"]), []
    for recipe, one in texts.items():
        groups = (one.frame["text"], alike(one.frame, split.held_out)["text"])
        new, real = (np.median([model.perplexity(text) for text in group]) for group in groups)
        unseen = [model.unseen(group) for group in groups]
        lines.append(
            {
                "set": split.name,
                "recipe": recipe,
                "perplexity": new,
                "of real": real,
                "ratio": new / real,
                "unseen": unseen[0],
                "unseen of real": unseen[1],
                "copied": one.copied,
                "crossed": one.crossed,
                "CPU s": one.cpu_seconds,
                "of bag": one.cpu_seconds / texts["bag"].cpu_seconds,
            }
        )
    return lines


def write_reading(folder: Path, split: Split, recipe: str, new: pd.DataFrame) -> pd.DataFrame:
    """Files for a reading of one recipe's texts; returns the real texts that are left."""
    rng = np.random.default_rng([SEED, *map(ord, f"{split.name} {recipe}")])
    real_texts = {*split.rows["text"], *split.model["text"], *split.held_out["text"]}
    fresh = new.drop_duplicates("text")
    fresh = fresh[~fresh["text"].isin(real_texts)]
    fresh = fresh.iloc[rng.permutation(len(fresh))]
    share = -(-N_READ // new["target"].nunique())
    chosen = fresh.groupby("target", sort=True).head(share).head(N_READ)
    real = alike(chosen, split.held_out)
    both = pd.concat([chosen.assign(source="new"), real.assign(source="real")])
    both = both.iloc[rng.permutation(len(both))]
    name, keys = f"{split.name}_{recipe}", folder / "keys"
    keys.mkdir(parents=True, exist_ok=True)
    classes = ", ".join(sorted(map(str, new["target"].unique())))
    lines = [
        f"{number}\t{' '.join(text.split())}" for number, text in enumerate(both["text"], start=1)
    ]
    (folder / f"{name}.txt").write_text("\n".join([f"classes: {classes}", *lines]) + "\n")
    key = both[["source", "target"]].assign(number=range(1, len(both) + 1))
    key[["number", "source", "target"]].to_csv(keys / f"{name}.key.tsv", sep="\t", index=False)
    return split.held_out.drop(real.index)


def reading_table(folder: Path) -> pd.DataFrame:
    """What readers said of each file of a reading that has verdicts."""
    lines = []
    for path in sorted(folder.glob("*.verdict.tsv")):
        name = path.name.removesuffix(".verdict.tsv")
        key = pd.read_csv(folder / "keys" / f"{name}.key.tsv", sep="\t", dtype=str)
        columns = ["number", "verdict", "label"]
        said = pd.read_csv(path, sep="\t", names=columns, dtype=str)
        both = key.merge(said, on="number", how="left", validate="one_to_one")
        both["accepted"] = both["verdict"].str.strip() == "accept"
        both["label"] = both["label"].str.strip() == both["target"]
        share = both.groupby("source")[["accepted", "label"]].mean()
        line: dict[str, Any] = dict(zip(("set", "recipe"), name.rsplit("_", 1), strict=True))
        for what in ("accepted", "label"):
            new, real = share.loc["new", what], share.loc["real", what]
            line |= {f"{what}, new": new, f"{what}, real": real, f"{what}, new / real": new / real}
        lines.append(line)
    return pd.DataFrame(lines).set_index("set")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path, help="folder of parquet files")
    source.add_argument("--verdicts", type=Path, help="folder of a reading that was done")
    parser.add_argument("--sets", nargs="+", help="names of files, without .parquet")
    parser.add_argument("--reading", type=Path, help="folder for the files of a blind reading")
    parser.add_argument("--out", type=Path, help="file for the table")
    args = parser.parse_args()
    if args.verdicts:
        show(reading_table(args.verdicts), args.out)
        return
    names = args.sets or sorted(path.stem for path in args.data.glob("*.parquet"))
    lines: list[dict[str, Any]] = []
    for name in names:
        split = Split.of(args.data / f"{name}.parquet")
        texts = {recipe: made(split, recipe) for recipe in RECIPES}
        lines += quality(split, texts)
        held_out = split.held_out
        for recipe in READ_RECIPES if args.reading else ():
            left = Split(split.name, split.rows, split.model, held_out)
            held_out = write_reading(args.reading, left, recipe, texts[recipe].frame)
    show(pd.DataFrame(lines).set_index("set"), args.out)


def show(found: pd.DataFrame, out: Path | None) -> None:
    """Print a table, and write it where that is asked for."""
    table = markdown(found, 3)
    print(table)
    if out:
        save(f"{table}\n\n{machine()}", out)


if __name__ == "__main__":
    main()
