"""The over-sampling benchmark: which training rows help learners of tables, signals and texts most?

Every fold of every set is grown by every method, fed to every learner and judged on its own real
test rows. Imputing, scaling, encoding and growing see training rows only; all methods share folds.
"""

import os

# Before numpy is imported: each process counts as one core.
for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[threads] = "1"
