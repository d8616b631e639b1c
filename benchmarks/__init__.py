"""One module or package for each question: `python -m benchmarks.<name>` in the repository's root.

Each process counts as one core. The threads are set here, before numpy or torch is imported.
"""

import os

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[threads] = "1"
