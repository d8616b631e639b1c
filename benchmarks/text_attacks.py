"""Attacks on texts beside TextAttack's recipes of the same kind, on the same rows and models.

    python -m benchmarks.text_attacks --data FOLDER

Two models, TF-IDF of words and pairs with logistic regression, and a small convolutional net on
an embedding. Rows are held-out ones that the model gets right, as many of each class, cut to
lower-case words with one blank between (DNA: 3-mers), so that both count words alike. Both sides
may put in the same candidates: for each word the twelve words of the nearest contexts (a
truncated SVD of the training rows' neighbor counts), or a word that no model knows, as a
misspelling is one (DeepWordBug). At most 15 % of a row's words are edited, rounded up.

success: share of rows whose prediction leaves the label within that budget, judged here on the
texts; over budget: those that leave it with more edits. queries: texts a row that the model is
asked (ours with the one that finds the label). ms: CPU time a row of the whole attack; one
thread; wall time stands in the JSON file. The recipes are TextAttack's own parts (searches,
goal, constraints, AttackedText, its cache); new are the candidate table as a `WordSwap`, and for
HotFlip the table's words ranked by its gradient formula. TextAttack is installed without its
heavy requirements (benchmarks/README.md): what it imports but these recipes never call (flair,
bert_score, datasets and others in `UNUSED`, the stop words of NLTK) is an empty module here.
Where it is not installed, only our rows are printed.
"""

import argparse
import importlib.util
import json
import math
import platform
import random
import re
import sys
import time
import types
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import distributions
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from torch import Tensor, nn

from advaug import AdversarialTransformer
from advaug.adapters import SequenceAdapter
from advaug.attacks import Greedy, HotFlip, Noise
from advaug.domains.sequences.levenshtein import edit_distance
from benchmarks.tables import save

SEED = 0
SHARE = 0.15
NEAR = 12
BLOT = "qqq"  # a word that no model knows
PACKAGES = ("advaug", "numpy", "scikit-learn", "textattack", "torch", "transformers")
SETS = ("sms_spam", "trec_coarse", "splice_dna")
Table = dict[str, list[str]]

# ---------------------------------------------------------------- rows and models


def normal(row: Any) -> str:
    """Lower-case words with one blank between; of DNA 3-mers."""
    if isinstance(row, str) and len(row.split()) > 1:
        return " ".join(re.findall(r"[a-z]+", row.lower()))
    letters = "".join(row).lower()
    return " ".join(letters[k : k + 3] for k in range(0, len(letters), 3))


def loaded(folder: Path, name: str) -> tuple[list[str], np.ndarray]:
    """Texts of four words and more, each once, in a random order; their labels as numbers."""
    spec = importlib.util.spec_from_file_location("read", folder / "read.py")
    reader = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reader)
    rows, target, _ = reader.load(name)
    texts = [normal(row) for row in rows]
    first = dict(zip(reversed(texts), reversed(range(len(texts))), strict=True))
    kept = [k for text, k in first.items() if 4 <= len(text.split()) <= 60]
    kept = np.random.default_rng(SEED).permutation(sorted(kept))
    codes = np.unique(target, return_inverse=True)[1]
    return [texts[k] for k in kept], codes[kept]


def neighbors(texts: list[str]) -> Table:
    """For each word that occurs twice or more the words of the nearest contexts."""
    words = CountVectorizer(token_pattern=r"\S+", min_df=2).fit(texts)
    index, names = words.vocabulary_, words.get_feature_names_out()
    counts = np.zeros((len(names), 2 * len(names)), np.float32)
    for text in texts:
        known = [index.get(word, -1) for word in text.split()]
        for left, right in pairwise(known):
            if left >= 0 and right >= 0:
                counts[left, right] += 1
                counts[right, len(names) + left] += 1
    share = counts.sum(1, keepdims=True) * counts.sum(0) / counts.sum() + 1e-9
    ppmi = np.log((counts / share).clip(1))
    vector = TruncatedSVD(min(50, len(names) - 1), random_state=SEED).fit_transform(ppmi)
    vector /= np.linalg.norm(vector, axis=1, keepdims=True) + 1e-9
    near = np.argsort(-(vector @ vector.T), axis=1, kind="stable")[:, : NEAR + 1]
    return {
        names[k]: [names[j] for j in row if j != k][:NEAR] for k, row in enumerate(near.tolist())
    }


class CNN(nn.Module):
    """Numbers of words -> logits: windows of three embedded words, the strongest of each filter."""

    def __init__(self, words: int, classes: int) -> None:
        super().__init__()
        self.vectors = nn.Embedding(words + 1, 32, padding_idx=0)
        self.filters = nn.Conv1d(32, 64, 3, padding=1)
        self.out = nn.Linear(64, classes)
        self.asked = 0

    def forward(self, x: Tensor) -> Tensor:
        self.asked += len(x)
        return self.out(self.filters(self.vectors(x.long()).mT).relu().amax(2))


@dataclass
class Numbers:
    """Words of a text to their numbers from 1 on; 0: unknown, and padding."""

    index: dict[str, int]
    pad_token_id: int = 0
    words: list[str] = field(default_factory=list)

    def __call__(self, texts: list[str]) -> Tensor:
        rows = [[self.index.get(word, 0) for word in text.split()] or [0] for text in texts]
        x = torch.zeros(len(rows), max(max(map(len, rows)), 3), dtype=torch.long)
        for to, row in zip(x, rows, strict=True):
            to[: len(row)] = torch.tensor(row)
        return x


def trained(net: CNN, numbers: Numbers, texts: list[str], y: np.ndarray) -> CNN:
    optimizer, target = torch.optim.Adam(net.parameters(), lr=3e-3), torch.from_numpy(y)
    for _ in range(400):
        rows = torch.randint(len(texts), (64,))
        optimizer.zero_grad()
        logits = net(numbers([texts[k] for k in rows]))
        nn.functional.cross_entropy(logits, target[rows]).backward()
        optimizer.step()
    return net.eval().requires_grad_(False)


class Counted:
    """A fitted pipeline that counts the texts it is asked."""

    def __init__(self, pipeline: Any) -> None:
        self.pipeline, self.classes_, self.asked = pipeline, pipeline.classes_, 0

    def predict_proba(self, texts: list[str]) -> np.ndarray:
        self.asked += len(texts)
        return self.pipeline.predict_proba(texts)

    def predict(self, texts: list[str]) -> np.ndarray:
        return self.pipeline.predict(texts)


@dataclass
class Task:
    """Rows that the model gets right, their labels, candidates, and the model."""

    name: str
    seen: list[str]
    rows: list[str]
    y: np.ndarray
    table: Table
    model: Any  # `Counted` or `CNN`
    numbers: Numbers

    def probability(self, texts: list[str]) -> np.ndarray:
        if isinstance(self.model, CNN):
            with torch.no_grad():
                return self.model(self.numbers(texts)).softmax(1).numpy()
        return self.model.predict_proba(texts)


def adapter(table: Table) -> SequenceAdapter:
    return SequenceAdapter(
        tokens="word", moves=table, only_listed_moves=True, max_edit_share=SHARE, max_edits=60
    )


def blotted(table: Table) -> Table:
    return {word: [BLOT] for word in table}


def alike_many(places: np.ndarray, y: np.ndarray, rows: int) -> np.ndarray:
    """The first places of each class, as many of each where there are so many."""
    turn, seen = dict[int, int](), dict[int, int]()
    for k in places:
        turn[int(k)] = seen[y[k]] = seen.get(y[k], -1) + 1
    return np.sort(sorted(places, key=lambda k: (turn[int(k)], k))[:rows])


def tasks(folder: Path, name: str, rows: int) -> list[Task]:
    texts, y = loaded(folder, name)
    seen, seen_y = texts[:2000], y[:2000]
    new, new_y = texts[2000:], y[2000:]
    table = neighbors(seen)
    # One vocabulary: the adapter's own, whose words carry the blank before them.
    known = [*seen, *new, f"{BLOT} {BLOT}"]
    names = [*adapter(table).fit(known).words]
    pipeline = make_pipeline(
        TfidfVectorizer(token_pattern=r"\S+", ngram_range=(1, 2)), LogisticRegression(C=30)
    ).fit(seen, seen_y)
    torch.manual_seed(SEED)
    numbers = Numbers({}, words=names)
    for place, word in enumerate(names):
        numbers.index.setdefault(word.strip(), place + 1)
    net = trained(CNN(len(names), len(np.unique(y))), numbers, seen, seen_y)
    twins = torch.tensor([numbers.index[word.strip()] for word in names])
    net.vectors.weight.data[1:] = net.vectors.weight.data[twins]  # "the" and " the" are one
    net.vectors.weight.data[1:][twins == numbers.index[BLOT]] = 0.0
    found = []
    for kind, model in (("TF-IDF + logistic regression", Counted(pipeline)), ("CNN", net)):
        task = Task(f"{name}, {kind}", known, new, new_y, table, model, numbers)
        right = task.probability(new).argmax(1) == new_y
        some = alike_many(np.flatnonzero(right), new_y, rows)
        task.rows, task.y = [new[k] for k in some], new_y[some]
        print(f"{task.name}: accuracy {right.mean():.3f}, {len(some)} rows")
        found.append(task)
    return found


# ---------------------------------------------------------------- ours

Attack = Callable[[], list[str]]


def ours(attack: Any, moves: Callable[[Table], Table] = dict) -> Callable[[Task], Attack]:
    def make(task: Task) -> Attack:
        transformer = AdversarialTransformer(
            attack=attack, radius=1000 if isinstance(attack, Noise) else np.inf,
            surrogate=task.model, adapter=adapter(moves(task.table)), random_state=SEED,
            device="cpu",
        ).fit(task.seen)  # fmt: skip
        return lambda: transformer.transform(task.rows)

    return make


# ---------------------------------------------------------------- TextAttack


class Hollow(types.ModuleType):
    """A module in which every name is an empty class."""

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


UNUSED = (
    *("flair", "flair.data", "flair.models", "Levenshtein", "OpenHowNet", "bert_score", "datasets"),
    *("editdistance", "jieba", "langdetect", "language_tool_python", "lemminflect", "num2words"),
    *("pinyin", "terminaltables", "word2number"),
)


def textattack() -> Any:
    """TextAttack, with empty modules in the place of those that it imports but never calls here."""
    if "textattack" not in sys.modules:
        importlib.import_module("nltk").corpus.stopwords = types.SimpleNamespace(
            words=lambda language: []
        )
        for name in UNUSED:
            if name not in sys.modules:
                sys.modules[name] = Hollow(name)
                sys.modules[name].__path__ = []
        sys.modules["flair"].data = sys.modules["flair.data"]
    return importlib.import_module("textattack")


def wrapped(task: Task) -> Any:
    ta = textattack()

    class Wrapper(ta.models.wrappers.ModelWrapper):
        def __init__(self) -> None:
            self.model, self.tokenizer = task.model, task.numbers

        def __call__(self, texts: list[str]) -> np.ndarray:
            return task.probability(list(texts))

        def get_grad(self, text: str) -> dict[str, Any]:
            """The loss's gradient at the embedded words."""
            x = task.numbers([text])
            vector = task.model.vectors(x).detach().requires_grad_(True)
            logits = task.model.out(task.model.filters(vector.mT).relu().amax(2))
            task.model.asked += 1
            loss = nn.functional.cross_entropy(logits, logits.argmax(1))
            (gradient,) = torch.autograd.grad(loss, vector)
            return {"ids": x[0].numpy(), "gradient": gradient[0].numpy()}

    return Wrapper()


def theirs(kind: str, moves: Callable[[Table], Table] = dict) -> Callable[[Task], Attack]:
    def make(task: Task) -> Attack:
        ta = textattack()
        from textattack.constraints.overlap import MaxWordsPerturbed
        from textattack.constraints.pre_transformation import RepeatModification
        from textattack.goal_functions import UntargetedClassification
        from textattack.search_methods import BeamSearch, GreedyWordSwapWIR
        from textattack.transformations import WordSwap

        table = moves(task.table)

        class OfTable(WordSwap):
            def _get_replacement_words(self, word: str) -> list[str]:
                return table.get(word, [])

        class ByGradient(WordSwap):
            """The table's words, the eight of the largest E[new] . g - E[old] . g."""

            def _get_transformations(self, text: Any, places: Any) -> list[Any]:
                grad = model.get_grad(text.tokenizer_input)
                index = task.numbers.index
                slope = task.model.vectors.weight @ torch.from_numpy(grad["gradient"]).T
                pairs = [
                    (
                        float(slope[index[new], at] - slope[grad["ids"][at], at]),
                        at,
                        new,
                    )
                    for at in places
                    for new in table.get(text.words[at], [])
                ]
                return [text.replace_word_at_index(at, new) for _, at, new in sorted(pairs)[-8:]]

        model = wrapped(task)
        is_ranked = kind == "gradient"
        swap = ByGradient() if is_ranked else OfTable()
        search = BeamSearch(4) if is_ranked else GreedyWordSwapWIR("delete")
        budget = MaxWordsPerturbed(max_percent=SHARE)
        goal = UntargetedClassification(model)
        attack = ta.Attack(goal, [RepeatModification(), budget], swap, search)

        def run() -> list[str]:
            pairs = zip(task.rows, task.y.tolist(), strict=True)
            return [attack.attack(text, y).perturbed_text() for text, y in pairs]

        return run

    return make


Rivals = dict[str, Callable[[Task], Attack]]
ASKING: dict[str, Rivals] = {
    "substitutes, places by deletion (TextFooler's search)": {
        "advaug Greedy": ours(Greedy(n_candidates=NEAR, patience=60)),
        "advaug Greedy, default": ours(Greedy()),
        "TextAttack GreedyWordSwapWIR": theirs("table"),
        "random edits (control)": ours(Noise()),
    },
    "words blotted out, places by deletion (DeepWordBug's search)": {
        "advaug Greedy": ours(Greedy(n_candidates=1, patience=60), blotted),
        "TextAttack GreedyWordSwapWIR": theirs("table", blotted),
    },
}
WITH_GRADIENT: Rivals = {
    "advaug HotFlip, 8 asked, beam 4": ours(HotFlip(n_candidates=8, beam_width=4)),
    "advaug HotFlip, 24 asked, beam 8": ours(HotFlip(n_candidates=24, beam_width=8)),
    "TextAttack BeamSearch(4), words by gradient": theirs("gradient"),
}

# ---------------------------------------------------------------- measuring


def edits(before: list[str], after: list[str]) -> np.ndarray:
    """Levenshtein's edits between words of two lists of texts."""
    names: dict[str, int] = {}
    numbers = [
        [[names.setdefault(word, len(names)) for word in text.split()] for text in texts]
        for texts in (before, after)
    ]
    width = max(len(row) for rows in numbers for row in rows)
    a, b = (torch.tensor([row + [-1] * (width - len(row)) for row in rows]) for rows in numbers)
    return edit_distance(a, b, (a >= 0).sum(1), (b >= 0).sum(1)).numpy()


def measured(task: Task, make: Callable[[Task], Attack]) -> dict[str, float]:
    """One rival once."""
    np.random.seed(SEED)  # noqa: NPY002  (the peer's own source of chance)
    torch.manual_seed(SEED)
    random.seed(SEED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run = make(task)
        task.model.asked, wall, start = 0, time.perf_counter(), time.process_time()
        moved = run()
        seconds, wall = time.process_time() - start, time.perf_counter() - wall
    asked, count = task.model.asked, len(task.rows)
    size = edits(task.rows, moved)
    most = np.array([math.ceil(SHARE * len(row.split())) for row in task.rows])
    turned = task.probability(moved).argmax(1) != task.y
    beyond, turned = turned & (size > most), turned & (size <= most)
    return {
        "success": float(turned.mean()),
        "beyond": float(beyond.mean()),
        "edits": float(size[turned].mean()) if turned.any() else math.nan,
        "queries": asked / count,
        "ms": 1000 * seconds / count,
        "wall_ms": 1000 * wall / count,
    }


def markdown(results: dict[str, Any]) -> str:
    machine = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    lines = [
        "# Attacks on texts beside TextAttack's recipes of the same kind",
        f"At most {SHARE:.0%} of a row's words edited, the same candidates and rows; one run, seed "
        f"{results['seed']}, one thread, CPU time. {machine['platform']}, Python "
        f"{machine['python']}, {versions}. The last column is CPU time a row over that of "
        "the table's first attack. How: `python -m benchmarks.text_attacks`.",
    ]
    for task in results["tasks"]:
        for kind, found in task["results"].items():
            first = next(iter(found.values()))["ms"]
            lines.append(f"## {task['task']}, {task['rows']} rows: {kind}")
            lines.append(
                "\n".join(
                    [
                        "| | success | over budget | edits | queries a row | ms a row | ratio |",
                        "|---|---|---|---|---|---|---|",
                        *(
                            f"| {name} | {r['success']:.3f} | {r['beyond']:.3f} | "
                            f"{r['edits']:.1f} | {r['queries']:.0f} | {r['ms']:.2f} | "
                            f"{r['ms'] / first:.1f} |"
                            for name, r in found.items()
                        ),
                    ]
                )
            )
    return "\n\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the sets")
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--sets", nargs="*", default=SETS)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/text_attacks.json"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    results: dict[str, Any] = {
        "machine": {
            "platform": platform.platform(),
            "python": platform.python_version(),
            "versions": {d.name: d.version for d in distributions() if d.name in PACKAGES},
        },
        "seed": SEED,
        "tasks": [],
    }
    for name in args.sets:
        for task in tasks(args.data, name, args.rows):
            kinds = dict(ASKING)
            if isinstance(task.model, CNN):
                kinds["substitutes by gradient (HotFlip)"] = WITH_GRADIENT
            found: dict[str, Any] = {}
            for kind, rivals in kinds.items():
                found[kind] = {}
                for rival, make in rivals.items():
                    try:
                        found[kind][rival] = one = measured(task, make)
                    except ImportError as error:
                        print(f"{rival} is left out: {error}")
                        continue
                    print(
                        " ", kind, "|", rival, {k: round(v, 3) for k, v in one.items()}, flush=True
                    )
            results["tasks"].append({"task": task.name, "rows": len(task.rows), "results": found})
            args.out.parent.mkdir(parents=True, exist_ok=True)
            args.out.write_text(json.dumps(results, indent=1) + "\n")
            save(markdown(results), args.out.with_suffix(".md"))


if __name__ == "__main__":
    main()
