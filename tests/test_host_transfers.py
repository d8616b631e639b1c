"""The device is asked for nothing but once a batch: a GPU would stand still meanwhile."""

import torch

from tests.host_transfers import counted


def test_waits_are_counted(monkeypatch):
    x = torch.arange(3.0)
    with counted(monkeypatch) as counts:
        _ = float(x[0]), x.tolist(), x.cpu().numpy(), x[x > 1], x.nonzero(), bool((x > 1).any())
    assert counts == {"_local_scalar_dense": 2, "tolist": 1, "cpu": 1, "numpy": 1, "nonzero": 2}
    with counted(monkeypatch) as counts:
        _ = x * 2, x.sum(), x[[0, 1]], torch.where(x > 1, x, 0.0)
    assert not counts
