"""The benchmark of new texts: its language model, and the files of a blind reading."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.text_quality import RARE, Split, WittenBell, alike, reading_table, write_reading

TEXTS = ["The cat sat.", "The cat ran.", "A dog sat on the cat.", "A dog ran."] * 2


@pytest.mark.parametrize("history", [("the", "cat"), ("on", "a"), ("no", "such"), (RARE, "sat")])
def test_probabilities_of_all_next_words_add_up_to_one(history):
    model = WittenBell.of(TEXTS)
    total = sum(model.probability(*history, word) for word in model.words)
    assert total == pytest.approx(1)


def test_probabilities_are_those_of_witten_and_bell():
    model = WittenBell.of(["a b", "a b", "a a"])
    after_a, any_word = (2, 1, 1), (4, 2, 3)  # Of b, a and the end; of a, b and the end.
    alone = (any_word[1] + 3 / len(model.words)) / (9 + 3)
    pair = (after_a[0] + 3 * alone) / (4 + 3)
    assert model.probability("x", "a", "b") == pytest.approx(pair)


def test_shuffled_and_unseen_texts_surprise_more():
    model = WittenBell.of(TEXTS)
    assert model.perplexity("The cat sat.") < model.perplexity("Sat cat the.")
    assert model.unseen(["The cat sat."]) == 0
    assert model.unseen(["Sat cat the."]) > 0.5


def test_real_texts_are_of_the_same_classes_and_lengths():
    real = pd.DataFrame({"text": ["a" * k for k in range(1, 21)], "target": ["x", "y"] * 10})
    new = pd.DataFrame({"text": ["b" * 5, "b" * 9, "b" * 10], "target": ["x", "x", "y"]})
    found = alike(new, real)
    assert sorted(found["text"].str.len()) == [5, 9, 10]
    assert found["target"].tolist() == ["x", "x", "y"]
    assert len(alike(pd.concat([new] * 20), real).drop_duplicates()) == 20


def test_files_of_a_reading_do_not_say_which_texts_are_new(tmp_path):
    rng = np.random.default_rng(0)
    words = np.array(["red", "green", "blue", "old", "tall", "cold"])
    texts = [" ".join(rng.choice(words, 6)) + f" {k}" for k in range(400)]
    frame = pd.DataFrame({"text": texts, "target": rng.choice(["x", "y"], 400)})
    parts = [frame[a:b].reset_index(drop=True) for a, b in ((0, 100), (100, 200), (200, 400))]
    new = frame.iloc[:150].assign(text=lambda rows: "new " + rows["text"] + "\n!")
    left = write_reading(tmp_path, Split("set", *parts), "bag", new)
    head, *lines = (tmp_path / "set_bag.txt").read_text().splitlines()
    key = pd.read_csv(tmp_path / "keys" / "set_bag.key.tsv", sep="\t")
    assert head == "classes: x, y"
    assert key["source"].value_counts().to_dict() == {"new": 60, "real": 60}
    assert key.groupby(["source", "target"]).size().nunique() == 1
    for line, source, label in zip(lines, key["source"], key["target"], strict=True):
        text = line.split("\t")[1]
        assert text.startswith("new ") == (source == "new")
        known = new["text"].str.replace("\n", " ") if source == "new" else parts[2]["text"]
        assert label in set((new if source == "new" else parts[2])["target"][known == text])
    assert key["source"].tolist()[:60] != ["new"] * 60
    assert len(left) == 140
    assert not {*left["text"]} & {line.split("\t")[1] for line in lines}


def test_a_set_is_cut_into_parts_without_common_texts(tmp_path):
    texts = [f"text number {k} here" for k in range(200)] * 2 + ["too short"]
    pd.DataFrame({"text": texts, "target": ["x"] * 401}).to_parquet(tmp_path / "set.parquet")
    split = Split.of(tmp_path / "set.parquet")
    parts = [{*part["text"]} for part in (split.rows, split.model, split.held_out)]
    assert [len(part) for part in parts] == [80, 50, 70]
    assert len(set.union(*parts)) == 200


def test_a_reading_is_told_for_new_and_for_real_texts(tmp_path):
    (tmp_path / "keys").mkdir()
    key = ["number source target", "1 new a", "2 real a", "3 new b", "4 real b"]
    said = ["1 accept a", "2 accept b", "3 reject b", "4 accept b"]
    (tmp_path / "keys" / "my_set_bag.key.tsv").write_text("\n".join(key).replace(" ", "\t"))
    (tmp_path / "my_set_bag.verdict.tsv").write_text("\n".join(said).replace(" ", "\t"))
    found = reading_table(tmp_path).loc["my_set"]
    assert found["recipe"] == "bag"
    assert found.drop("recipe").tolist() == [0.5, 1.0, 0.5, 1.0, 0.5, 2.0]
