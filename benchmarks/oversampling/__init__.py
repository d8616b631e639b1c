"""The over-sampling benchmark: which training rows help learners of tables, signals and texts most?

Every fold of every set is grown by every method, fed to every learner and judged on its own real
test rows. Imputing, scaling, encoding and growing see training rows only; all methods share folds.
"""
