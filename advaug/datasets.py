"""An imbalanced data set of each domain, all of two classes, for examples and first trials.

===================  ================================  =====  =====  ==============================
loader               rows                              all    rare   origin
===================  ================================  =====  =====  ==============================
load_thyroid_sick    patients: numbers, categories     3772    231   UCI, ships here, CC BY 4.0
load_ecg_beats       heart beats: 2 leads, 252 times    433     33   MIT-BIH, ships here, ODC-By 1.0
load_tickets         texts to a help desk               600     60   generated
load_digit_images    8 x 8 pixels of digits            1797    174   ships with scikit-learn
===================  ================================  =====  =====  ==============================

Each returns X and y. `imblearn.datasets.make_imbalance` makes a rare class rarer. Sources,
citations and licences stand in advaug/data/README.md.
"""

from importlib.resources import as_file, files
from random import Random
from typing import Any

import numpy as np

from advaug.containers.files import read_table

#: Names of the columns of numbers that `load_thyroid_sick` returns; all others are categories.
NUMBERS = ("age", "TSH", "T3", "TT4", "T4U", "FTI")
#: Samples a second of `load_ecg_beats`.
ECG_RATE = 360.0
#: Steps of the converter for a millivolt, in `load_ecg_beats`.
ECG_GAIN = 200
#: The converter's step for no voltage, in `load_ecg_beats`.
ECG_ZERO = 1024

_OPENINGS = "Hello,|Since yesterday|Please help:|After the update|Again|Good morning,|For a week"
_THINGS = "the printer|my laptop|the mail program|our file server|the new phone|the web shop"
_USUAL = (
    "is slow|does not start|shows an error|forgets my settings|asks to log in|is out of paper|"
    "asks for my password|sends every mail twice|shows pages that I did not open"
)
_SUSPICIOUS = (
    "asks for my password|sends mail that I did not write|shows pages that I did not open|"
    "logs in at night|is used by a stranger|asks for money|has new files that nobody knows"
)
_CLOSINGS = "Please call me.|It is urgent.|Thank you.|What shall I do?|I have restarted it twice."


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


def load_tickets() -> tuple[list[str], np.ndarray[Any, Any]]:
    """600 texts to a help desk, 60 of them about a break-in: generated, in plain English.

    A ticket names a thing and two troubles of it. A ticket about a break-in draws its troubles from
    another list, of which some also happen otherwise, so that no single phrase tells the class.

    Returns
    -------
    X : list of str (600,)
        Each begins with the number of the ticket.
    y : ndarray of str (600,)
        "usual" or "break-in".

    See Also
    --------
    advaug.datasets.load_thyroid_sick : A table.
    advaug.adapters.SequenceAdapter : Its `protected` keeps the ticket numbers: ``r"#\\d+"``.

    Examples
    --------
    >>> from advaug.datasets import load_tickets
    >>> X, y = load_tickets()
    >>> len(X), int((y == "break-in").sum())
    (600, 60)
    >>> X[0]
    '#84442 Good morning, the mail program shows an error and asks to log in. Thank you.'
    """
    chance = Random(0)
    y = np.where(np.arange(600) % 10 == 9, "break-in", "usual")
    return [_ticket(chance, label == "break-in") for label in y], y


def _ticket(chance: Random, is_suspicious: bool) -> str:
    def one(phrases: str) -> str:
        options = phrases.split("|")
        return options[int(chance.random() * len(options))]

    number, start = int(chance.random() * 10**5), f"{one(_OPENINGS)} {one(_THINGS)}"
    first = one(_SUSPICIOUS if is_suspicious else _USUAL)
    second = one(_SUSPICIOUS if is_suspicious and chance.random() < 0.5 else _USUAL)
    return f"#{number:05d} {start} {first} and {second}. {one(_CLOSINGS)}"


def load_digit_images() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """1797 images of handwritten digits, 174 of them an eight (Alpaydin, Kaynak, UCI, CC BY 4.0).

    They ship with scikit-learn, which has them as `sklearn.datasets.load_digits`.

    Returns
    -------
    X : ndarray of uint8 (1797, 8, 8)
        17 shades of grey from 0, black, to 255, white.
    y : ndarray of str (1797,)
        "eight" or "other".

    See Also
    --------
    advaug.datasets.load_ecg_beats : Signals.
    sklearn.datasets.load_digits : The same images with all ten classes.

    References
    ----------
    Alpaydin, Kaynak. Cascading classifiers. Kybernetika 34(4), 1998.

    Examples
    --------
    >>> from advaug.datasets import load_digit_images
    >>> X, y = load_digit_images()
    >>> X.shape, int((y == "eight").sum()), int(X.max())
    ((1797, 8, 8), 174, 255)
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    return pixels, np.where(digits.target == 8, "eight", "other")
