"""What is attacked: a committee of small nets, the user's own module, or any fitted estimator."""

from advaug.surrogates.cnn import TextCNN, TextCNNs
from advaug.surrogates.ensemble import Committee, Ensemble
from advaug.surrogates.features import Features, Flat
from advaug.surrogates.frozen import Frozen
from advaug.surrogates.grams import Grams
from advaug.surrogates.linear import Linears, NGramLinear
from advaug.surrogates.queried import Asked, Queried
from advaug.surrogates.signals import Signals
from advaug.surrogates.strangers import Strangers
from advaug.surrogates.training import SmallNet, Training
from advaug.surrogates.trees import Trees

__all__ = [
    "Asked",
    "Committee",
    "Ensemble",
    "Features",
    "Flat",
    "Frozen",
    "Grams",
    "Linears",
    "NGramLinear",
    "Queried",
    "Signals",
    "SmallNet",
    "Strangers",
    "TextCNN",
    "TextCNNs",
    "Training",
    "Trees",
]
