"""What estimators do with sequences where the user does not say so: chosen by measurement."""

import torch

from advaug.core.problem import Attack
from advaug.domains.sequences.attacks.greedy import Greedy
from advaug.domains.sequences.judge import BigramJudge
from advaug.domains.sequences.language_judge import LanguageJudge
from advaug.domains.sequences.ngram_ridge import NGramRidge
from advaug.domains.sequences.recipes import Bag
from advaug.sampling.defaults import Defaults, conformal_judge
from advaug.sampling.encoded_dataset import EncodedDataset, sample_of_classes
from advaug.sampling.judges.protocol import Judge
from advaug.sampling.jury import EqualVotes, Jury
from advaug.sampling.recipes import Recipe
from advaug.sampling.voters import MAX_ROWS, draw_seed


def bag(auc: float) -> Recipe:
    return Bag()


def ngram_ridge(dataset: EncodedDataset, generator: torch.Generator) -> Jury:
    """Linear models on all n-grams vote: the nets see only leading directions of them."""
    few = sample_of_classes(dataset.y, draw_seed(generator), MAX_ROWS)
    models = NGramRidge().fit(
        dataset.x[few],
        dataset.y[few],
        dataset.n_classes,
        generator,
        dataset.committee.features,
    )
    return EqualVotes(row_voters=(models.probability,))


def judge(n_classes: int, *, redraws: bool, keeps_structure: bool = False) -> Judge:
    """Redrawn rows are also refused where they equal a real row; those that keep the grammar are
    read as well.
    """
    if keeps_structure:
        return LanguageJudge(1 / n_classes)
    if redraws:
        return BigramJudge(1 / n_classes, alpha=0.0)
    return conformal_judge(n_classes, redraws=False)


def edits(attack: Attack, *, is_queried: bool) -> Attack:
    """Sequences move by edits, whatever attack a recipe has for numbers."""
    return Greedy(stop_at=attack.stop_at)


DEFAULTS = Defaults(
    recipe=bag,
    jury=ngram_ridge,
    candidates=Bag,
    # Rare rows are few: members of many folds that learn all of them rank better.
    row_surrogates=(NGramRidge(n_repeats=1, cv=8, alpha=0.5, bootstrap=False),),
    judge=judge,
    attack=edits,
)
