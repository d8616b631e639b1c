"""A user's own torch module as a fitted classifier, so that scikit-learn's scorers can score it."""

from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from torch import nn

from advaug import containers
from advaug.estimators.attacked_model import attacked_net
from advaug.models.protocol import Array
from advaug.models.torch_model import TorchModel, refuse_nan
from advaug.sampling.domain import Coding

BATCH_SIZE = 1024


def is_net(model: Any) -> bool:
    """Whether a model is a torch module that is no classifier itself."""
    return isinstance(model, nn.Module) and not hasattr(model, "classes_")


class NetClassifier(ClassifierMixin, BaseEstimator):
    """A net whose logits stand for classes; a fitted coding reads its rows."""

    def __init__(self, net: TorchModel, coding: Coding, classes: Array) -> None:
        self.net = net
        self.coding = coding
        self.classes = classes

    @classmethod
    def of(cls, module: nn.Module, coding: Coding, X: Any, y: Any) -> Self:
        """The classes are those of y in sorted order; X shows in which layout the net reads rows.

        ValueError says what the net cannot read.
        """
        classes = containers.classes_of(containers.labels(y))[0]
        net = attacked_net(module, coding, containers.owned(X), len(classes))
        return cls(net, coding, classes)

    @property
    def classes_(self) -> Array:
        """The classes in the order of the columns of `predict_proba`."""
        return self.classes

    def predict_proba(self, X: Any) -> Array:
        """The softmax of the net's logits."""
        encoded = self.coding.encode(containers.owned(X))
        with self.net.frozen(), torch.no_grad():
            parts = [
                self.net.logits(self.net.rows_for(self.coding, part))
                for part in encoded.split(BATCH_SIZE)
            ]
        logits = torch.cat(parts)
        if logits.isnan().any():
            refuse_nan(logits, self.coding.native(encoded), "the net")
        return logits.softmax(1).numpy()

    def predict(self, X: Any) -> Array:
        """The most probable class."""
        predicted: Array = self.classes[np.argmax(self.predict_proba(X), axis=1)]
        return predicted
