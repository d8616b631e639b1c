"""The problem of an attack, as the tests write it."""

import torch

from advaug.core.problem import AttackProblem
from advaug.core.row_random import RowRandom


def problem_of(objective, seed, space, radius, number=0, reference_rows=None):
    """The rows numbered from 0, and their random numbers by the number of the seed."""
    random = RowRandom.of(number, 0, torch.arange(len(seed))).to(seed.device)
    return AttackProblem(objective, seed, space, radius, random, reference_rows)
