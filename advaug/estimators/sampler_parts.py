"""The recipe and the attack of an over-sampler, and whether all of its parts fit each other.

All is checked before anything is trained.
"""

from typing import Any

from advaug.core.parameters import is_auto
from advaug.core.problem import Attack
from advaug.estimators.attacked_model import is_given
from advaug.estimators.choices import (
    choose_attack,
    choose_judge,
    choose_recipe,
    choose_voters,
    is_stacked,
    provided,
    refuse_unfit,
    take_one_that_fits,
)
from advaug.models.committee import Ensemble
from advaug.models.protocol import AttackedModel, Surrogate
from advaug.registry import ATTACKS, JUDGES, RECIPES, SURROGATES
from advaug.sampling.domain import Coding
from advaug.sampling.recipes import Explore, Match, Recipe

# A user's own model, or the settings of one that is not trained yet.
Source = AttackedModel | Surrogate


def recipe_of(sampler: Any) -> Recipe:
    """The recipe named or given; "auto" depends on the surrogate."""
    if not is_auto(sampler.recipe):
        return choose_recipe(sampler.recipe)
    return Match() if is_given(sampler.surrogate) else Explore()


def has_domains_recipe(sampler: Any) -> bool:
    """Whether the domain chooses the recipe by the AUC of the committee."""
    return is_auto(sampler.recipe) and not is_given(sampler.surrogate)


def attack_of(sampler: Any, recipe: Recipe, coding: Coding, source: Source) -> Attack | None:
    """The attack named, given, or the recipe's own as such rows and such a model can follow it."""
    if not is_auto(sampler.attack):
        return choose_attack(sampler.attack)
    is_queried = "gradient" not in provided(coding, source)
    own = recipe.attack
    return None if own is None else coding.defaults().attack(own, is_queried=is_queried)


def refuse_unfit_parts(sampler: Any, coding: Coding, source: Source) -> None:
    """ValueError for parts that do not fit each other, and for a parameter without effect."""
    recipe = recipe_of(sampler)
    if isinstance(source, Surrogate):
        refuse_unfit("surrogate", source, coding, source, SURROGATES)
    refuse_unfit("recipe", recipe, coding, source, RECIPES)
    if recipe.relabels:
        refuse_models_without_effect(sampler, recipe, source)
    refuse_unfit_voters(sampler.voters, recipe, source)
    if sampler.judge is not None and not is_auto(sampler.judge):
        refuse_unfit("judge", choose_judge(sampler.judge), coding, source, JUDGES)
    attack = attack_of(sampler, recipe, coding, source)
    if not is_auto(sampler.attack) and not recipe.takes_attack:
        raise ValueError(
            f"attack has no effect with recipe {type(recipe).__name__}, which makes no move: leave "
            "attack='auto', or take recipe='explore'"
        )
    if attack is not None:
        refuse_unfit_attack(attack, coding, source)
    domains = coding.defaults().recipe(0.0).attack if has_domains_recipe(sampler) else None
    if not is_auto(sampler.radius) and attack is None and domains is None:
        raise ValueError(
            f"radius={sampler.radius} has no effect: recipe {type(recipe).__name__} makes no "
            "attack. Leave radius='auto'"
            + (", or name an attack, such as attack='noise'" if recipe.takes_attack else "")
        )


def refuse_models_without_effect(sampler: Any, recipe: Recipe, source: Source) -> None:
    """ValueError for an attacked model, or a judge, where a teacher says the labels."""
    name = type(recipe).__name__
    if not isinstance(source, Ensemble):
        raise ValueError(
            f"surrogate has no effect: recipe {name} attacks no model, and its teacher is a "
            "CommitteeClassifier. Leave surrogate='auto'; for a teacher of your own take "
            "advaug.robust.DistilledClassifier(estimator, teacher)"
        )
    if sampler.judge is not None and not is_auto(sampler.judge):
        raise ValueError(
            f"judge has no effect: recipe {name} leaves the labels to its teacher; leave "
            "judge='auto'"
        )


def refuse_unfit_voters(voters: Any, recipe: Recipe, source: Source) -> None:
    """ValueError for voters without effect, and for a recipe that finds no model to vote."""
    if voters is not None and not is_auto(voters):
        if not is_stacked(voters):
            choose_voters(voters)  # An unknown name is refused.
        if not (recipe.redraws or recipe.relabels):
            raise ValueError(
                f"voters has no effect: recipe {type(recipe).__name__} leaves the label to the "
                "judge. Take recipe='explore', or leave voters='auto'"
            )
    if isinstance(source, Ensemble) and source.n_repeats < 2 and not recipe.redraws:
        raise ValueError(
            f"surrogate {source} leaves no model to judge what the others made, which recipe "
            f"{type(recipe).__name__} needs: set n_repeats to 2 or more"
        )


def refuse_unfit_attack(attack: Attack, coding: Coding, source: Source) -> None:
    """ValueError for an attack that such rows and such a model, or an over-sampler, cannot use."""
    refuse_unfit("attack", attack, coding, source, ATTACKS, moves_single_rows)
    if not moves_single_rows(attack):
        mend = take_one_that_fits(ATTACKS, provided(coding, source), moves_single_rows)
        raise ValueError(
            f"attack {type(attack).__name__} learns one move for all rows, which the over-sampler "
            f"does not: use AdversarialTransformer, or {mend}"
        )


def moves_single_rows(attack: Attack) -> bool:
    """Whether an attack needs nothing that is learnt from many rows first."""
    return not attack.is_universal
