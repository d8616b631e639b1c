"""The table that ships with the package: real, imbalanced, mixed, with missing cells.

Source, citation and licence (CC BY 4.0) stand in advaug/data/README.md.
"""

from importlib.resources import as_file, files
from typing import Any

from advaug.containers import read_table

NUMBERS = ("age", "TSH", "T3", "TT4", "T4U", "FTI")


def load_thyroid_sick() -> tuple[Any, Any]:
    """Thyroid records of 3772 patients, 231 of them sick (Quinlan, UCI, CC BY 4.0).

    Returns
    -------
    X : pandas DataFrame (3772, 28)
        6 numeric columns with missing cells (`age` is Int64, the others are floats), 22
        categories.
    y : pandas Series of category (3772,), "negative" or "sick"

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
