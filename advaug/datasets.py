"""The sets that ship with the package: real and imbalanced, a mixed table and two-lead signals.

Sources, citations and licences (CC BY 4.0, ODC-By 1.0) stand in advaug/data/README.md.
"""

from importlib.resources import as_file, files
from typing import Any

import numpy as np

from advaug.containers.files import read_table

NUMBERS = ("age", "TSH", "T3", "TT4", "T4U", "FTI")
ECG_RATE = 360.0  # samples a second
ECG_GAIN, ECG_ZERO = 200, 1024  # steps of the converter: a millivolt, and no voltage


def load_thyroid_sick() -> tuple[Any, Any]:
    """Thyroid records of 3772 patients, 231 of them sick (Quinlan, UCI, CC BY 4.0).

    Returns
    -------
    X : pandas DataFrame (3772, 28)
        6 numeric columns with missing cells (`age` is Int64, the others are floats), 22
        categories.
    y : pandas Series of category (3772,)
        "negative" or "sick".

    See Also
    --------
    advaug.datasets.load_ecg_beats :
        433 heart beats of one patient, 33 of them premature (MIT-BIH record 100, ODC-By 1.0).
    imblearn.datasets.make_imbalance : Drops rows until the classes have the wanted numbers.

    Examples
    --------
    >>> from advaug.datasets import load_thyroid_sick
    >>> X, y = load_thyroid_sick()
    >>> X.shape, int((y == "sick").sum())
    ((3772, 28), 231)
    """
    with as_file(files("advaug") / "data" / "thyroid_sick.csv.gz") as path:
        table = read_table(path)
    table = table.astype({name: "category" for name in table.columns if name not in NUMBERS})
    return table.drop(columns="target"), table["target"]


def load_ecg_beats() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """433 heart beats of one patient, 33 of them premature (MIT-BIH record 100, ODC-By 1.0).

    Returns
    -------
    X : ndarray of int16 (433, 2, 252)
        Leads MLII and V5 from .25 s before the R peak to .45 s after it, `ECG_RATE` = 360 samples
        a second, as the converter gave them: (X - `ECG_ZERO`) / `ECG_GAIN` are millivolts.
        In the order of the record; no two beats share a sample.
    y : ndarray of str (433,)
        "normal" or "premature" (an atrial premature beat).

    See Also
    --------
    advaug.datasets.load_thyroid_sick :
        Thyroid records of 3772 patients, 231 of them sick (Quinlan, UCI, CC BY 4.0).
    imblearn.datasets.make_imbalance : Drops rows until the classes have the wanted numbers.

    References
    ----------
    Moody, Mark. The impact of the MIT-BIH Arrhythmia Database. IEEE Engineering in Medicine and
    Biology 20(3), 2001. Goldberger et al. PhysioBank, PhysioToolkit, and PhysioNet. Circulation
    101(23), 2000.

    Examples
    --------
    >>> from advaug.datasets import load_ecg_beats
    >>> X, y = load_ecg_beats()
    >>> X.shape, int((y == "premature").sum())
    ((433, 2, 252), 33)
    """
    with (
        as_file(files("advaug") / "data" / "ecg_beats.npz") as path,
        np.load(path) as held,
    ):
        return held["X"], np.where(held["is_premature"], "premature", "normal")
