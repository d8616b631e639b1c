"""Sparse matrices of thousands of columns: what is learnt, what nets see, and what may change."""

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.datasets import make_classification

from advaug import AdversarialOverSampler, containers
from advaug.adapters import TabularAdapter
from advaug.core.box import Box, SpecialValues
from advaug.domains.tables.amounts import learn_amounts, moved_amounts
from advaug.domains.tables.wide_features import WideFeatures, leading_components
from advaug.models.committee import principal_components
from advaug.sampling.cut_rows import CutRows

KINDS = (sparse.csr_matrix, sparse.csc_array, sparse.coo_matrix)


def amounts(rows=60, columns=30, density=0.3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((rows, columns)) * (rng.random((rows, columns)) < density)


def words(rows=126, columns=1500, seed=0):
    """Weights of words, of which the rare class uses few."""
    rng = np.random.default_rng(seed)
    y = (np.arange(rows) < rows // 6).astype(int)
    share = np.full((rows, columns), 20 / columns)
    share[y == 1, :30], share[y == 1, columns // 2 :] = 0.5, 0
    return sparse.csr_matrix(rng.random((rows, columns)) * (rng.random(share.shape) < share)), y


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_cells_are_put_as_in_an_array(kind, dtype):
    whole = amounts(7, 5).astype(dtype)
    rows, columns, values = containers.nonzeros(kind(whole))
    np.testing.assert_array_equal(whole[rows, columns], values)
    assert len(values) == np.count_nonzero(whole)
    at = np.array([0, 3, 6]), np.array([4, 0, 2])
    new = containers.put_values(kind(whole), *at, np.array([0.0, 2.0, 3.5]))
    whole[at] = 0.0, 2.0, 3.5
    np.testing.assert_array_equal(new.toarray(), whole)
    assert type(new) is kind
    assert new.dtype == dtype
    assert new.nnz == np.count_nonzero(whole)


def test_columns_of_counts_decimals_signs_and_few_values_are_read_one_by_one():
    X = amounts(columns=8)
    X[:, 1] = np.ceil(3 * X[:, 1])  # counts
    X[:, 2] = X[:, 2].round(2)  # decimals
    X[:, 3] -= 0.5 * (X[:, 3] > 0)  # signs
    X[:, 4] += 0.1  # no zero
    X[:, 5] = np.where(X[:, 5] > 0, 1 / 3, 0)  # one value many times
    X[:, 6] = 0
    found = learn_amounts(sparse.csr_matrix(X), frozen=[7])
    assert sorted(found) == [0, 6, 7]
    assert [found[place].is_free for place in (0, 6, 7)] == [True, False, False]
    weights = X[:, 0][X[:, 0] > 0]
    assert found[0].values.ends == (weights.min(), weights.max())
    assert found[0].scale == pytest.approx(X[:, 0].std())


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_amounts_are_encoded_in_their_scales(dtype):
    X = amounts().astype(dtype)
    coding = TabularAdapter().fit(sparse.csr_matrix(X))
    assert len(coding.layout.amounts) == X.shape[1]
    x = coding.encode(sparse.csr_matrix(X))
    np.testing.assert_allclose(x.numpy(), X / X.std(0, dtype=np.float64), rtol=1e-5)
    assert len(coding.findings) == 1


def test_infinity_in_a_sparse_column_is_named():
    X = amounts()
    coding = TabularAdapter().fit(sparse.csr_matrix(X))
    X[5, 3] = np.inf
    with pytest.raises(ValueError, match="infinity: column 3, row 5"):
        coding.encode(sparse.csr_matrix(X))


def test_amounts_stay_within_their_bounds_or_come_to_zero():
    weights = np.append(np.random.default_rng(0).uniform(0.2, 0.4, 20), np.zeros(9))
    number = learn_amounts(sparse.csr_matrix(weights[:, None]), [])[0]
    least, most = number.values.ends
    before = np.array([0.3, 0.3, 0.3, 0.3])
    by = np.array([0.05, 1.0, -0.15, -0.25]) / number.scale
    after = moved_amounts(before, by, [number] * 4)
    np.testing.assert_allclose(after, [0.35, most, least, 0.0])


def test_new_rows_of_a_sparse_matrix_are_zero_where_their_parents_are():
    X, y = words()
    sampler = AdversarialOverSampler(random_state=0)
    X_new, y_new = sampler.fit_resample(X, y)
    assert np.ptp(np.bincount(y_new)) == 0
    new, parent = X_new[len(y) :].toarray(), X[sampler.provenance_["parent"]].toarray()
    assert not new[parent == 0].any()
    assert (new != parent).any(1).all()
    least, most = (np.where(X.toarray() > 0, X.toarray(), fill) for fill in (np.inf, 0.0))
    there = new > 0
    assert (new >= least.min(0) - 1e-9)[there].all()
    assert (new <= most.max(0) + 1e-9)[there].all()
    some = sampler.generator_.rows(1, 3, 11)
    np.testing.assert_array_equal(some.toarray(), new[3:11])


def test_components_of_wide_rows_are_their_principal_components():
    rows = torch.randn(40, 25, generator=torch.Generator().manual_seed(0)) * torch.arange(1, 26)
    found, known = leading_components(rows, 6), principal_components(rows, 6)
    sign = (found * known).sum(0).sign()
    torch.testing.assert_close(found * sign, known, rtol=1e-3, atol=1e-5)


def test_wide_rows_are_seen_by_components_and_by_the_columns_most_used():
    X, _ = words()
    coding = TabularAdapter().fit(X)
    x = coding.encode(X)
    seen = coding.features(x, torch.Generator())
    assert isinstance(seen, WideFeatures)
    used = (X != 0).sum(0).A1.argsort(kind="stable")[::-1][:10]
    assert set(used.tolist()) <= set(seen.columns.tolist())
    torch.testing.assert_close(seen(x), torch.cat([seen(row[None]) for row in x]))
    few = TabularAdapter().fit(X[:, :900])
    assert not isinstance(few.features(few.encode(X[:, :900]), torch.Generator()), WideFeatures)


def box(width, atoms):
    """Numbers of which those at `atoms` may be a special 0."""
    ends = torch.full((width,), -9.0), torch.full((width,), 9.0)
    values = [[0.0] if k in atoms else [] for k in range(width)]
    special = SpecialValues.of(values, [[]] * width, [[]] * width, *ends)
    return Box(*ends, norm=2.0, special=special).hold_special_values()


def test_a_cut_space_moves_the_cells_that_are_left_as_the_whole_one_does():
    width, atoms = 1200, set(range(100, 1200))
    own = torch.randn(30, width, generator=torch.Generator().manual_seed(0))
    own[:, 101:] = 0.0
    cut = CutRows.of(box(width, atoms), own)
    assert cut is not None
    assert cut.columns.tolist() == [*range(101)]
    assert cut.space.n_cut == width - 101
    torch.testing.assert_close(cut.undone(cut(own)), own)
    noise = torch.rand(30, width, generator=torch.Generator().manual_seed(1))
    size, scale = torch.full((30,), 3.0), torch.ones(width)
    whole = box(width, atoms).scatter(own, size, scale, noise) - own
    part = cut.space.scatter(cut(own), size, scale[cut.columns], cut(noise)) - cut(own)
    assert not whole[:, 101:].any()
    share = part.norm(dim=1) / whole.norm(dim=1)
    assert (share - 1).abs().max() < 0.1


def test_rows_are_not_cut_where_no_column_is_held_or_few_are_there():
    own = torch.zeros(5, 1200)
    assert CutRows.of(Box(own[0] - 1, own[0] + 1), own) is None
    assert CutRows.of(box(50, set(range(50))), own[:, :50]) is None


def test_a_dense_table_of_many_columns_is_seen_by_components():
    X, y = make_classification(
        90, 1100, n_informative=20, weights=[0.8], class_sep=2.0, random_state=0
    )
    sampler = AdversarialOverSampler(random_state=0)
    _, y_new = sampler.fit_resample(X, y)
    assert np.ptp(np.bincount(y_new)) == 0
    assert sampler.surrogate_.center.shape == (128,)
