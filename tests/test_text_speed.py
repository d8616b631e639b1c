"""Counts and comparisons of texts that are made at once, beside the plain way."""

from difflib import SequenceMatcher

import numpy as np
import pytest
import torch
from scipy import sparse

from advaug.domains.sequences import bigrams
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


@pytest.mark.parametrize("n_grams", [0, 400])
def test_ngrams_are_counted_as_scipy_sums_equal_cells(n_grams):
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
