"""Shim until the tables wing brings its own."""

from typing import Any

import numpy as np

from advaug import containers
from advaug.domains.tables.repair import repairer_for
from advaug.domains.tables.rules.constraints import Constraints, broken
from advaug.sampling.constraints import RowConstraints


class BoundConstraints(RowConstraints):
    def __init__(self, rules: Any, coding: Any, X: Any, places: Any = None) -> None:
        self.rules = Constraints(rules)
        self.shares = {name: float(held.mean()) for name, held in self.rules.check(X).items()}
        parents = X if places is None else containers.take(X, places)
        self.repairer = repairer_for(coding, self.rules, parents)

    @property
    def repair(self) -> Any:
        return self.repairer.mend if self.repairer else None

    def finish(self, new: Any, rows: Any) -> Any:
        if self.repairer:
            new = self.repairer.shipped(new, rows)
        return new, np.asarray(broken(self.rules, rows, new, containers.count(new)))
