"""Counts and comparisons of texts that are made at once, beside the plain way."""

import pickle
from difflib import SequenceMatcher

import numpy as np
import pytest
import torch
from scipy import sparse

from advaug.adapters import SequenceAdapter
from advaug.domains.sequences import bigrams, features
from advaug.domains.sequences.adapter import opcodes
from advaug.domains.sequences.bigrams import Bigrams
from advaug.domains.sequences.features import BUCKETS, Occurrences, counted


def test_pairs_are_looked_up_in_a_table_as_in_a_sorted_list(monkeypatch):
    source = torch.Generator().manual_seed(0)
    tokens = torch.randint(-1, 30, (200,), generator=source)
    known = Bigrams.of(tokens, torch.zeros(200, dtype=torch.bool), 30)
    before, after = torch.randint(-3, 30, (2, 5000), generator=source)
    at_once = known.seen(before, after)
    monkeypatch.setattr(bigrams, "LONGEST", 0)
    sorted_pairs = Bigrams.of(tokens, torch.zeros(200, dtype=torch.bool), 30)
    assert torch.equal(at_once, sorted_pairs.seen(before, after))
    assert known.are_seen is not None
    assert sorted_pairs.are_seen is None
    assert at_once.any()
    assert not at_once.all()


@pytest.mark.parametrize("most_cells", [10, features.MOST_CELLS])
@pytest.mark.parametrize("n_grams", [0, 400])
def test_ngrams_are_counted_as_scipy_sums_equal_cells(n_grams, most_cells, monkeypatch):
    monkeypatch.setattr(features, "MOST_CELLS", most_cells)
    rng = np.random.default_rng(0)
    row = np.sort(rng.integers(1, 9, n_grams))
    bucket = rng.integers(0, 40, n_grams) * (BUCKETS // 41)
    found = [Occurrences(row[k::2], bucket[k::2], row[k::2], 1) for k in (0, 1)]
    ones = np.ones(n_grams, np.float32)
    cells = (np.concatenate([row[::2], row[1::2]]), np.concatenate([bucket[::2], bucket[1::2]]))
    known = sparse.csr_matrix((ones, cells), (10, BUCKETS))
    made = counted(found, 10)
    for name in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(made, name), getattr(known, name))
    assert made.data.dtype == np.float32


def test_ngrams_of_the_last_rows_are_remembered(monkeypatch):
    texts = [f"a b{k % 3} c{k} dd{k % 7} e" for k in range(30)]
    coding, source = SequenceAdapter().fit(texts), torch.Generator().manual_seed(0)
    x = coding.encode(texts)
    grams, anew = coding.features(x, source), coding.features(x, source.manual_seed(0))
    others = x[:4].roll(1, 1)
    for rows in (x, x[[7, 3, 3]], others, x[2:9], torch.cat([x[2:3], others]), x[:0]):
        vars(anew).pop("_last", None)
        assert (grams.tfidf(rows) != anew.tfidf(rows)).nnz == 0
        assert torch.equal(grams(rows), anew(rows))
    assert pickle.loads(pickle.dumps(grams))._last["table"] is None
    grams.tfidf(x)
    monkeypatch.setattr(type(grams), "counts", None)
    assert grams.tfidf(x[[5, 2]]).shape[0] == 2


def test_rows_that_go_on_behind_what_is_read_keep_their_end():
    texts = ["one two three four five", "one two three", "two three four"]
    coding = SequenceAdapter(max_tokens=3).fit(texts)
    x = coding.encode(texts)
    moved = x.clone()
    moved[:, 0] = x[2, 0]
    assert coding.decode(moved, x, texts) == ["two two three four five", "two two three", texts[2]]
    unknown = ["seven eight nine ten", "seven eight nine"]
    seed = coding.encode(unknown)
    new = seed.clone()
    new[:, 0] = x[2, 0]
    assert coding.decode(new, seed, unknown) == ["two eight nine ten", "two eight nine"]


def test_edits_are_those_of_difflib_where_nothing_is_common():
    rng = np.random.default_rng(0)
    for _ in range(300):
        a, b = ([int(k) for k in rng.integers(0, 6, rng.integers(0, 6))] for _ in range(2))
        pairs = enumerate(zip(a, b, strict=False))
        head = next((k for k, (x, y) in pairs if x != y), min(len(a), len(b)))
        found = opcodes(a, b)
        assert [one for _, i, j, _, _ in found for one in a[i:j]] == a
        assert [one for *_, k, m in found for one in b[k:m]] == b
        if set(a[head:]).isdisjoint(b[head:]):
            assert found == SequenceMatcher(None, a, b, autojunk=False).get_opcodes()
