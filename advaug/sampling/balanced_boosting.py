"""Histogram boosting on balanced classes, whose bins are found by one sort of each column.

With class weights scikit-learn seeks each quantile by itself, which takes nine tenths of a fit.
"""

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from advaug.models.protocol import Array


class BalancedBoosting(HistGradientBoostingClassifier):
    """`HistGradientBoostingClassifier(class_weight="balanced")`, the same trees at less cost.

    No number may be missing.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from advaug.sampling.balanced_boosting import BalancedBoosting
    >>> X, y = make_classification(300, weights=[0.9], random_state=0)
    >>> BalancedBoosting(class_weight="balanced", max_bins=64).fit(X, y).predict(X[:3])
    array([1, 0, 0])
    """

    def _bin_data(self, X: Array, sample_weight: Array, is_training_data: bool) -> Array:
        """The place of each cell among its column's bins."""
        bins = self._bin_mapper
        bins.is_categorical_ = np.zeros(X.shape[1], np.uint8)
        bins.missing_values_bin_idx_ = self.max_bins
        bins.bin_thresholds_ = [edges_of(cells, sample_weight, self.max_bins) for cells in X.T]
        n_bins = [len(edges) + 1 for edges in bins.bin_thresholds_]
        bins.n_bins_non_missing_ = np.array(n_bins, np.uint32)
        return bins.transform(X)


def edges_of(cells: Array, weight: Array, n_bins: int) -> Array:
    """What parts the bins of a column, all of which have rows in them.

    Of few distinct numbers it is the middle between each two. Of many it is their weighted
    quantiles (averaged inverted CDF): a quantile between two numbers is the upper one; on a number
    it is the mean with the next one.
    """
    order = np.argsort(cells)
    ordered = cells[order]
    distinct = ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])]
    if len(distinct) <= n_bins:
        return (distinct[1:] + distinct[:-1]) / 2
    heights = weight[order].cumsum()
    wanted = np.linspace(0, 100, n_bins + 1)[1:-1] / 100 * heights[-1]
    at = np.searchsorted(heights, wanted).clip(max=len(cells) - 1)
    is_between = heights[at] - wanted > np.finfo(np.float64).eps
    after = ordered[np.where(is_between, at, (at + 1).clip(max=len(cells) - 1))]
    edges = np.unique((ordered[at] + after) / 2)
    return edges[np.unique(np.searchsorted(edges, ordered))[:-1]]
