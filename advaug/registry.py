"""Names that the estimators take as strings, each written "module:Name" as in an entry point.

This is the only module that names classes of a domain. Another package adds a name by an entry
point in the group of its table: `advaug.attacks`, `advaug.adapters`, `advaug.recipes` and so on.

A type checker knows the names that the library brings (`AttackName` and its siblings) and finds a
misspelt one. What another package adds passes it as an object: `RECIPES["theirs"]()`.
"""

from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Literal

from advaug.core.known_names import did_you_mean


class Registry(Mapping[str, Any]):
    """A table of names whose classes are imported when they are first looked up.

    Parameters
    ----------
    parameter : str
        The parameter that takes the names; errors name it.
    names : dict of name -> "module:Name"
        What the library itself brings.

    See Also
    --------
    advaug.AdversarialOverSampler : Takes names of attacks, adapters, recipes, judges and voters.

    Examples
    --------
    >>> from advaug.registry import ATTACKS
    >>> ATTACKS["pgd"]().steps
    10
    >>> ATTACKS["pdg"]
    Traceback (most recent call last):
    KeyError: "attack='pdg' is not known; did you mean 'pgd'?"
    """

    def __init__(self, parameter: str, names: dict[str, str]) -> None:
        self.parameter = parameter
        self._own: dict[str, Any] = dict(names)

    @cached_property
    def _names(self) -> dict[str, Any]:
        """Names of other packages come first, but none of them hides a name of the library."""
        group = entry_points(group=f"advaug.{self.parameter}s")
        return {point.name: point for point in group if point.name not in self._own} | self._own

    def register(self, name: str, factory: Any) -> None:
        """Add a class, or another callable that builds an object; it is asked before all others.

        Parameters
        ----------
        name : str
            What the parameter will take.
        factory : callable
            A class, or another callable that builds an object without arguments.
        """
        others = {known: entry for known, entry in self._names.items() if known != name}
        self.__dict__["_names"] = {name: factory} | others

    def remove(self, name: str) -> None:
        """Take away a name that was added by `register`.

        Parameters
        ----------
        name : str
            The added name.
        """
        del self._names[name]

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            raise KeyError(self.unknown(name))
        entry = self._names[name]
        if isinstance(entry, str):
            module, _, attribute = entry.partition(":")
            self._names[name] = getattr(import_module(module), attribute)
        elif hasattr(entry, "load"):
            self._names[name] = entry.load()
        return self._names[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def unknown(self, name: Any) -> str:
        """What to say of a name that is not in the table.

        Parameters
        ----------
        name : object
            What was given.

        Returns
        -------
        str
            The text of an error, with the nearest known name.
        """
        return f"{self.parameter}={name!r} is not known; {did_you_mean(name, sorted(self))}"


# Errors propose names in this order: the controls come last.
ATTACKS = Registry(
    "attack",
    {
        "fgsm": "advaug.attacks.gradient:FGSM",
        "rfgsm": "advaug.attacks.gradient:RFGSM",
        "bim": "advaug.attacks.gradient:BIM",
        "pgd": "advaug.attacks.gradient:PGD",
        "mifgsm": "advaug.attacks.gradient:MIFGSM",
        "nifgsm": "advaug.attacks.gradient:NIFGSM",
        "apgd": "advaug.attacks.apgd:APGD",
        "deepfool": "advaug.attacks.min_norm:DeepFool",
        "cw": "advaug.attacks.carlini_wagner:CarliniWagner",
        "ead": "advaug.attacks.carlini_wagner:EAD",
        "jsma": "advaug.attacks.min_norm:JSMA",
        "uap": "advaug.attacks.universal:UAP",
        "patch": "advaug.attacks.universal:Patch",
        "vat": "advaug.attacks.vat:VAT",
        "square": "advaug.attacks.square:Square",
        "hopskipjump": "advaug.attacks.hopskipjump:HopSkipJump",
        "nes": "advaug.attacks.score_based:NES",
        "spsa": "advaug.attacks.score_based:SPSA",
        "crossover": "advaug.attacks.crossover:Crossover",
        "leaves": "advaug.attacks.leaf_search:LeafSearch",
        "autoattack": "advaug.attacks.autoattack:AutoAttack",
        "capgd": "advaug.attacks.caa:CAPGD",
        "moeva": "advaug.attacks.moeva:MOEVA",
        "caa": "advaug.attacks.caa:CAA",
        "instrument": "advaug.domains.signals.instrument:Instrument",
        "warp": "advaug.domains.signals.warp:Warp",
        "greedy": "advaug.domains.sequences.attacks.greedy:Greedy",
        "hotflip": "advaug.domains.sequences.attacks.hotflip:HotFlip",
        "trigger": "advaug.domains.sequences.attacks.trigger:Trigger",
        "noise": "advaug.attacks.noise:Noise",
        "uniform": "advaug.attacks.noise:Uniform",
        "direction": "advaug.attacks.noise:Direction",
    },
)
AttackName = Literal[
    "auto",
    "fgsm",
    "rfgsm",
    "bim",
    "pgd",
    "mifgsm",
    "nifgsm",
    "apgd",
    "deepfool",
    "cw",
    "ead",
    "jsma",
    "uap",
    "patch",
    "vat",
    "square",
    "hopskipjump",
    "nes",
    "spsa",
    "crossover",
    "leaves",
    "autoattack",
    "capgd",
    "moeva",
    "caa",
    "instrument",
    "warp",
    "greedy",
    "hotflip",
    "trigger",
    "noise",
    "uniform",
    "direction",
]

# In the order in which they are asked whether they accept a container: sequences come before
# tables, which would read token lists of one length.
ADAPTERS = Registry(
    "adapter",
    {
        "image": "advaug.domains.images.adapter:ImageAdapter",
        "signal": "advaug.domains.signals.adapter:SignalAdapter",
        "sequence": "advaug.domains.sequences.adapter:SequenceAdapter",
        "tabular": "advaug.domains.tables.adapter:TabularAdapter",
    },
)
AdapterName = Literal[
    "auto",
    "image",
    "signal",
    "sequence",
    "tabular",
]

RECIPES = Registry(
    "recipe",
    {
        "interpolate": "advaug.sampling.recipes:Interpolate",
        "distill": "advaug.sampling.candidate_recipes:Distill",
        "harden": "advaug.sampling.recipes:Harden",
        "translate": "advaug.sampling.recipes:Translate",
        "match": "advaug.sampling.recipes:Match",
        "boundary": "advaug.sampling.recipes:Boundary",
        "explore": "advaug.sampling.recipes:Explore",
        "paraphrase": "advaug.domains.sequences.recipes:Paraphrase",
        "recombine": "advaug.domains.sequences.recipes:Recombine",
        "bag": "advaug.domains.sequences.recipes:Bag",
    },
)
RecipeName = Literal[
    "auto",
    "interpolate",
    "distill",
    "harden",
    "translate",
    "match",
    "boundary",
    "explore",
    "paraphrase",
    "recombine",
    "bag",
]

JUDGES = Registry(
    "judge",
    {
        "conformal": "advaug.sampling.judges.conformal:ConformalJudge",
        "panel": "advaug.sampling.judges.panel:PanelJudge",
        "bigram": "advaug.domains.sequences.judge:BigramJudge",
        "language": "advaug.domains.sequences.language_judge:LanguageJudge",
    },
)
JudgeName = Literal[
    "auto",
    "conformal",
    "panel",
    "bigram",
    "language",
]

SURROGATES = Registry(
    "surrogate",
    {
        "committee": "advaug.models.committee:Ensemble",
        "ngram_ridge": "advaug.domains.sequences.ngram_ridge:NGramRidge",
    },
)

# Functions, not classes: (x, y, n_classes, generator) -> (rows -> probabilities).
VOTERS = Registry(
    "voter",
    {
        "extra_trees": "advaug.sampling.voters:extra_trees",
        "boosting": "advaug.sampling.voters:boosting",
    },
)
VoterName = Literal[
    "extra_trees",
    "boosting",
]
