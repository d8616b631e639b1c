"""A table of results: scores as parquet, the means and tests as Markdown, and the pictures."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from benchmarks.oversampling import data, pictures
from benchmarks.oversampling.cells import Plan, parted
from benchmarks.oversampling.domains import DOMAINS
from benchmarks.oversampling.methods import CLASSIFIERS, KEEPS_ROWS, code_of
from benchmarks.oversampling.scores import IS_BETTER_LOW, metrics_of
from benchmarks.oversampling.significance import (
    ROPE,
    against,
    gains_by_knowledge,
    gains_by_learner,
    mean_ranks,
    per_base,
    share_below,
)
from benchmarks.tables import machine, markdown, save

TESTED = ("AP", "AUC", "F1", "macro F1")  # those of them that a table has
BY_LEARNER = ("AP", "macro F1")


def summary(scores: pd.DataFrame, metrics: tuple[str, ...]) -> pd.DataFrame:
    """A row per method: means over sets and learners, also without the tree, mean ranks over base
    sets, the share of cells (set, learner) whose AP is below nothing's, cost."""
    means = scores.groupby("method", sort=False)[[*metrics]].mean()
    ranked = ranked_of(scores)
    for metric in tested(scores):
        means[f"rank {metric}"] = mean_ranks(per_base(ranked, metric))
        if has_tree(scores):
            rest = without_tree(scores).groupby("method")[metric].mean()
            means[f"{metric} without the tree"] = rest
    if "nothing" in means.index:
        for head, by in (("below nothing", 0.0), (f"by more than {ROPE}", ROPE)):
            share = share_below(ranked, "AP", "nothing", by)
            means[head] = share.map(lambda part: f"{part:.0%}").drop("nothing")
    own = scores.groupby(["method", "set"], sort=False)[["seconds", "fell_back"]].first()
    fits = scores.groupby(["method", "set"], sort=False)["fit_seconds"].sum()
    cost = own.join(fits).groupby("method").mean()
    means["grow, s"], means["fit, s"] = cost["seconds"], cost["fit_seconds"]
    means["fell back"] = cost["fell_back"].map(lambda share: f"{share:.0%}" if share else "")
    return means


def ranked_of(scores: pd.DataFrame) -> pd.DataFrame:
    """Without those that fit no learner, but are classifiers of their own."""
    return scores[~scores["method"].isin(CLASSIFIERS)]


def has_tree(scores: pd.DataFrame) -> bool:
    """Whether a single tree, which gains from almost anything, is among the learners."""
    return "tree" in {*scores["learner"]}


def without_tree(scores: pd.DataFrame) -> pd.DataFrame:
    """The other learners' scores."""
    return scores[scores["learner"] != "tree"]


def gains(scores: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Mean gain over nothing: a row per method, a column per learner and their means."""
    each = gains_by_learner(ranked_of(scores), metric, "nothing").T
    means = {"all": each.mean(axis=1)}
    if has_tree(scores):
        means["without the tree"] = each.drop(columns="tree").mean(axis=1)
    return each.assign(**means)


def by_learner(scores: pd.DataFrame) -> list[str]:
    """Markdown: what each learner gains over nothing in ranking, and in decisions where told."""
    return [
        part
        for metric in BY_LEARNER
        if metric in scores
        for part in (f"**{metric} over nothing, by learner**", markdown(gains(scores, metric)))
    ]


def costs(scores: pd.DataFrame) -> pd.DataFrame:
    """CPU seconds of a fold: what comes before the learners, and each learner's."""
    before = scores.groupby("method", sort=False)["seconds"].mean().rename("rows and teacher")
    keys = {"index": "method", "columns": "learner", "values": "fit_seconds"}
    return pd.concat([before, scores.pivot_table(**keys, sort=False)], axis=1).rename_axis("method")


def tested(scores: pd.DataFrame) -> list[str]:
    """The metrics that are ranked and tested."""
    return [metric for metric in TESTED if metric in scores]


def knowledge(scores: pd.DataFrame, plan: Plan) -> list[str]:
    """Markdown: gains over nothing by how much there was to know."""
    if not {"nothing", "committee"} <= {*plan.methods}:
        return []
    tables = {m: markdown(gains_by_knowledge(scores, m, "nothing")) for m in TESTED[:2]}
    text = [
        [f"**{metric} over nothing, by the committee's own AUC on the set (sets)**", "", table, ""]
        for metric, table in tables.items()
    ]
    return [line for lines in text for line in lines]


def is_rival(method: str) -> bool:
    """Whether it is a sampler of somebody else's."""
    return method not in KEEPS_ROWS and not method.startswith("advaug")


def tests(scores: pd.DataFrame, metric: str) -> list[str]:
    """Markdown: every method against SMOTE, doing nothing and the best other sampler."""
    table = per_base(scores, metric)
    means = scores.groupby("method")[metric].mean()
    rivals = [name for name in table if is_rival(name)]
    best = max(rivals, key=lambda method: means[method]) if rivals else "nothing"
    text = []
    for rival in sorted({"nothing", "smote", "random_under", best} & {*table.columns}):
        note = " (the best other sampler)" if rival == best else ""
        text += [f"**{metric} against {rival}**{note}", "", markdown(against(table, rival)), ""]
    if "nothing" in table and has_tree(scores):
        rest = markdown(against(per_base(without_tree(scores), metric), "nothing"))
        text += [f"**{metric} against nothing, without the tree**", "", rest, ""]
    return text


def facts_of(plan: Plan, names: list[str]) -> pd.DataFrame:
    """Rows, rare rows and imbalance of each set, and what its domain tells of it; where training
    folds are made imbalanced, rare rows and imbalance are those of the first."""
    domain, lines = DOMAINS[plan.domain], []
    for name in names:
        table = data.load(plan.folder, name, plan.task, domain.shelf)
        seen = table
        if domain.share is not None:
            seen = replace(table, y=table.y[parted(plan, table, seed=0, fold=0)[0]])
        lines.append(
            {
                "set": name,
                "base": table.base,
                "rows": len(table.y),
                **domain.facts(table.X),
                "minority": seen.smallest,
                "imbalance": round(seen.imbalance, 2),
            }
        )
    return pd.DataFrame(lines).set_index("set")


def stale(scores: pd.DataFrame, domain: str) -> pd.Series:
    """Sets of each method whose cells were made by other code than the present."""
    now = {method: code_of(method, domain) for method in scores["method"].unique()}
    other = scores[scores["code"] != scores["method"].map(now)]
    return other.groupby("method")["set"].nunique()


def heading(plan: Plan, facts: pd.DataFrame) -> str:
    """What was compared, on what, and how."""
    cut = f"cut to {plan.most_rows} rows" if plan.most_rows else "whole"
    domain = DOMAINS[plan.domain]
    if domain.share is not None and plan.task == "binary":
        cut = f"thinned to {domain.share:.0%} rare rows ({domain.least} at least), {cut}"
    return (
        f"{len(facts)} sets of {facts['base'].nunique()} bases; strategy {plan.strategy}; "
        f"training folds {cut}; {settings_of(plan)} `worse`, `same`, `better`: Bayesian "
        f"signed-rank, region of practical equivalence {ROPE}."
    )


def settings_of(plan: Plan) -> str:
    """Folds, what means and tests are taken over, and the machine."""
    return (
        f"{plan.seeds} x stratified {plan.folds}-fold. Means over sets and learners; tests pair "
        f"the base sets (mean over learners). {machine()}."
    )


def write(plan: Plan, scores: pd.DataFrame, title: str, out: Path, command: str) -> str:
    """Parquet, Markdown and pictures named after the table; returns the Markdown of the means,
    the gains by learner (ranking, and decisions where the table has macro F1) and the costs."""
    out.mkdir(parents=True, exist_ok=True)
    slug = title.replace(" ", "_")
    metrics = metrics_of(plan)
    scores.round(6).to_parquet(out / f"{slug}.parquet")
    facts = facts_of(plan, [*dict.fromkeys(scores["set"])])
    shown = [markdown(summary(scores, metrics))]
    if "nothing" in plan.methods:
        shown += by_learner(scores)
    shown += ["**CPU seconds of a fold**", markdown(costs(scores), digits=2)]
    old = stale(scores, plan.domain)
    absent = [name for name in plan.sets if name not in facts.index]
    text = [
        f"# {title}",
        "",
        f"`{command}`",
        "",
        heading(plan, facts),
        "",
        *([f"Left out, a method has not finished them: {', '.join(absent)}", ""] if absent else []),
        *([f"Made by other code than the present: {old.to_dict()}", ""] if len(old) else []),
        "\n\n".join(shown),
        "",
        *(line for metric in tested(scores) for line in tests(scores, metric)),
        *knowledge(scores, plan),
        "**The sets**",
        "",
        markdown(facts.astype(str)),
        "",
    ]
    save("\n".join(text), out / f"{slug}.md")
    draw(plan, scores, facts, out, slug)
    return "\n\n".join(shown)


def draw(plan: Plan, scores: pd.DataFrame, facts: pd.DataFrame, out: Path, slug: str) -> None:
    """All pictures of a table."""
    ranked = ranked_of(scores)
    names = [name for name in ranked["method"].unique() if name != "nothing"]
    ours = [name for name in names if name.startswith("advaug")]
    for metric in tested(scores):
        table = per_base(ranked, metric)
        low = metric in IS_BETTER_LOW
        pictures.rank_diagram(
            table, metric, out / f"{slug}_ranks_{metric.replace(' ', '_')}.png", low_is_good=low
        )
    means = ranked.groupby("method")["AP"].mean()
    shown = [*sorted(ours, key=lambda m: -means[m])[:3]]
    shown += [*sorted(set(names) - set(ours), key=lambda m: -means[m])[: 8 - len(shown)]]
    if "nothing" in plan.methods and shown:
        pictures.learner_bars(ranked, "AP", shown, "nothing", out / f"{slug}_learners.png")
        by_base = facts.groupby("base")[["minority", "imbalance"]].mean()
        of = "advaug:auto" if "advaug:auto" in names else shown[0]
        pictures.regime_map(ranked, by_base, "AP", of, "nothing", out / f"{slug}_regimes.png")
