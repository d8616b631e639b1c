"""Learners that are taught by a teacher's probabilities, and the controls beside them.

The teacher is fitted and new rows are made once for a fold; all students learn from them. A
student decides for the class that is most probable for the class weights that it has learnt.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.validation import has_fit_parameter

from benchmarks.oversampling.samplers import Fold


@dataclass(frozen=True)
class Answer:
    """Probabilities of the test rows, and those whose largest names the class decided for."""

    p: np.ndarray
    decision: np.ndarray


@dataclass(frozen=True)
class Lesson:
    """What students learn from.

    `soft` holds encoded rows, real ones first. The weight of each class is divided by `factor`.
    Seconds are of the CPU.
    """

    teacher: Any
    soft: Any
    factor: np.ndarray
    seed: int
    teacher_seconds: float
    row_seconds: float


@lru_cache(maxsize=1)
def lesson_of(fold: Fold) -> Lesson:
    """Fit the library's teacher, and make its rows, as `DistilledClassifier` does."""
    from advaug import CommitteeClassifier
    from advaug.estimators.committee_classifier import checked_data, fit_teacher_dataset
    from advaug.robust.soft_labels import BALANCE, soft_rows

    start = time.process_time()
    teacher = CommitteeClassifier(random_state=fold.seed)
    data = checked_data(teacher, fold.X, fold.y)
    dataset = fit_teacher_dataset(data, "auto", "auto")
    teacher.fit_encoded(data, dataset)
    fitted = time.process_time()
    soft = soft_rows(data, dataset, teacher.held_out_probability_, teacher.predict_proba)
    soft = replace(soft, rows=fold.encode(soft.rows))
    factor = soft.share**BALANCE
    return Lesson(teacher, soft, factor, data.seed, fitted - start, time.process_time() - fitted)


def softened(lesson: Lesson, model: Any, fold: Fold) -> Any:
    """Real rows only, their labels half softened."""
    soft, n = lesson.soft, len(fold.y)
    parts = {name: getattr(soft, name)[:n] for name in ("rows", "probability", "parents", "weight")}
    few = replace(soft, **parts)
    return few.fit(model, np.random.RandomState(lesson.seed))


def distilled(lesson: Lesson, model: Any, fold: Fold) -> Any:
    """Each row once for each label, with the probabilities as weights where the learner has any; a
    learner that repeats labels gets those on which teacher and parent agree."""
    return lesson.soft.fit(model, np.random.RandomState(lesson.seed))


def distilled_without_weights(lesson: Lesson, model: Any, fold: Fold) -> Any:
    """Each row with one label, in proportion to the probabilities around it: what a sampler can."""
    from advaug.robust.soft_labels import Student

    soft, random = lesson.soft, np.random.RandomState(lesson.seed)
    copies = soft.copies(random, is_weighted=False)
    model.fit(soft.rows[copies.place], copies.label)
    return Student(model, soft.classes, lesson.factor, len(copies.place))


def hard(lesson: Lesson, model: Any, fold: Fold) -> Any:
    """The rows of `distilled` as heavy as there, but real rows with their own labels and new ones
    with the teacher's most probable class, as its students decide."""
    from advaug.models.stacking import balanced
    from advaug.robust.soft_labels import Student

    soft, random = lesson.soft, np.random.RandomState(lesson.seed)
    label = balanced(soft.probability, lesson.factor).argmax(1)
    label[: len(fold.y)] = fold.y
    weight = (soft.probability / lesson.factor).sum(1)
    order = random.permutation(len(label))
    takes_weights = has_fit_parameter(model, "sample_weight")
    weights = {"sample_weight": (weight / weight.mean())[order]} if takes_weights else {}
    model.fit(soft.rows[order], label[order], **weights)
    return Student(model, soft.classes, lesson.factor, len(label))


STUDENTS: dict[str, Callable[[Lesson, Any, Fold], Any]] = {
    "softened": softened,
    "distilled": distilled,
    "distilled:copies": distilled_without_weights,
    "hard": hard,
}
TAUGHT = (*STUDENTS, "teacher", "gated")


def taught(
    method: str, fold: Fold, X_test: Any, model_of: Callable[[str], Any]
) -> tuple[Callable[[str], Answer], float]:
    """From a learner to its answer; and what teacher and rows cost, as if the method were alone."""
    if method == "gated":
        return lambda learner: gated(model_of(learner), fold, X_test), 0.0
    lesson = lesson_of(fold)
    makes_rows = method not in ("teacher", "softened")
    seconds = lesson.teacher_seconds + makes_rows * lesson.row_seconds

    def answer(learner: str) -> Answer:
        from advaug.models.stacking import balanced

        if method == "teacher":
            p = lesson.teacher.predict_proba(X_test)
            return Answer(p, balanced(p, lesson.factor))
        student = STUDENTS[method](lesson, model_of(learner), fold)
        p = student.predict_proba(fold.encode(X_test))
        return Answer(p, student.decided(p))

    return answer, seconds


@lru_cache(maxsize=1)
def gate_of(fold: Fold) -> Any:
    """What the gate learns from a fold's rows. All learners share it."""
    from advaug.estimators.committee_classifier import checked_data
    from advaug.robust import AugmentedClassifier
    from advaug.robust.gate import Lesson

    gate = AugmentedClassifier(None, sampler="auto", random_state=fold.seed)
    return Lesson.of(checked_data(gate, fold.X, fold.y))


def gated(model: Any, fold: Fold, X_test: Any) -> Answer:
    """The library's choice for each learner: nothing, softened, distilled or over-sampled."""
    from advaug.robust.gate import choose

    lesson = gate_of(fold)
    chosen = choose(make_pipeline(FunctionTransformer(fold.encode), model), lesson).estimator
    decided = chosen.predict(X_test)[:, None] == lesson.data.classes
    return Answer(chosen.predict_proba(X_test), decided.astype(float))
