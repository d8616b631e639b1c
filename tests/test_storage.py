"""Generators in files: the same rows in another process, and no code in any file."""

import hashlib
import json
import os
import pickle
import struct
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from pandas.testing import assert_frame_equal, assert_series_equal
from scipy import sparse
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
from torch import nn

from advaug import AdversarialOverSampler, RowGenerator, containers, grow
from advaug.adapters import SequenceAdapter
from advaug.core.storable import storable
from advaug.core.storage import Packer, Unpacker
from advaug.models import NGramRidge
from advaug.models.read_trees import read_trees
from advaug.sampling.balanced_boosting import BalancedBoosting
from tests.test_row_generator import CONTAINERS, TABLE_RECIPES, same, table

pytestmark = pytest.mark.filterwarnings("ignore:column 'order_id' only tells rows apart")


def fit(name="array", **settings):
    return AdversarialOverSampler(random_state=0, **settings).fit(*CONTAINERS[name]).generator_


def again(generator, folder):
    generator.save(folder / "one.advaug")
    return RowGenerator.load(folder / "one.advaug", device="cpu")


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A generator and its file."""
    path = tmp_path_factory.mktemp("stored") / "one.advaug"
    generator = fit()
    generator.save(path)
    return generator, path


# ---------------------------------------------------------------- the same rows


@pytest.mark.parametrize("name", CONTAINERS)
def test_every_container_comes_back(tmp_path, name):
    generator = fit(name)
    twin, label = again(generator, tmp_path), generator.classes.tolist()[-1]
    assert (twin.counts, repr(twin)) == (generator.counts, repr(generator))
    for rows, expected in ((one.rows(label, 3, 40), one) for one in (twin, generator)):
        assert type(rows) is type(CONTAINERS[name][0])
        same(rows, expected.rows(label, 3, 40))
    assert type(twin.labels(label, 2)) is type(CONTAINERS[name][1])
    assert list(twin.labels(label, 2)) == list(generator.labels(label, 2))


CODE = """
import hashlib, sys
from advaug import RowGenerator
for path in sys.argv[1:]:
    generator = RowGenerator.load(path, device="cpu")
    rows = generator.rows(generator.classes.tolist()[-1], 5, 45)
    rows = rows.tolist() if hasattr(rows, "tolist") else rows
    print(hashlib.sha256(repr(rows).encode()).hexdigest())
"""


def test_a_fresh_process_makes_the_same_rows_to_the_bit(tmp_path):
    digests, paths = [], []
    for name in ("array", "texts", "signals"):
        generator = fit(name)
        paths.append(tmp_path / f"{name}.advaug")
        generator.save(paths[-1])
        rows = generator.rows(generator.classes.tolist()[-1], 5, 45)
        plain = rows.tolist() if hasattr(rows, "tolist") else rows
        digests.append(hashlib.sha256(repr(plain).encode()).hexdigest())
    command = [sys.executable, "-c", CODE, *map(str, paths)]
    found = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    assert found.stdout.split() == digests


SETTINGS = {
    **{name: {"recipe": name} for name in TABLE_RECIPES},
    "panel": {"recipe": "match", "judge": "panel"},
    "no judge": {"judge": None},
    "no voters": {"voters": None},
    "boosting": {"voters": "boosting"},
    "rule": {"constraints": "total >= price"},
    "no rules": {"constraints": None},
    "radius": {"recipe": "harden", "radius": 0.3},
    "noise": {"attack": "noise"},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_of_a_table_comes_back(tmp_path, name):
    X, y = table()
    sampler = AdversarialOverSampler(sampling_strategy=grow(1.1), random_state=0, **SETTINGS[name])
    generator = sampler.fit(X, y).generator_
    twin = again(generator, tmp_path)
    for one, other in zip(
        twin.rows_with_provenance("b", 0, 40),
        generator.rows_with_provenance("b", 0, 40),
        strict=True,
    ):
        assert_frame_equal(one, other)


@pytest.mark.parametrize(
    "settings",
    [
        {"recipe": "paraphrase"},
        {"recipe": "recombine"},
        {"surrogate": NGramRidge(), "recipe": "match"},
        {"adapter": SequenceAdapter(tokens=3)},
        {"adapter": SequenceAdapter(tokens="character")},
        {"adapter": SequenceAdapter(protected=r"\bis\b")},
        {"judge": "bigram"},
    ],
    ids=str,
)
def test_every_setting_of_sequences_comes_back(tmp_path, settings):
    generator = fit("texts", **settings)
    assert again(generator, tmp_path).rows("b", 0, 20) == generator.rows("b", 0, 20)


def test_images_and_dates_that_are_spelt_come_back(tmp_path):
    rng = np.random.default_rng(0)
    y = (np.arange(60) % 4 == 0).astype(int)
    images = rng.integers(0, 256, (60, 6, 6)).astype(np.uint8)
    days = pd.Series(pd.date_range("2020-01-01", periods=900))[rng.permutation(900)[:60]]
    spelt = pd.DataFrame(
        {
            "day": days.dt.strftime("%Y%m%d").astype(int).to_numpy(),
            "moment": days.to_numpy(),
            "zoned": days.dt.tz_localize("Europe/Berlin").array,
            "value": rng.normal(size=60) + y,
            "whole": pd.array(rng.integers(0, 30, 60), dtype="Int64"),
            "word": rng.choice(["a", "b"], 60),
        }
    )
    for X in (images, spelt):
        generator = AdversarialOverSampler(random_state=0).fit(X, y).generator_
        found, expected = (g.rows(1, 0, 30) for g in (again(generator, tmp_path), generator))
        if X is images:
            assert found.dtype == np.uint8
            assert (found == expected).all()
        else:
            assert_frame_equal(found, expected)


def test_a_generator_of_another_device_is_loaded_on_the_cpu(stored):
    generator, path = stored
    device = RowGenerator.load(path, device="cpu").entries[0].maker.value.config.device
    assert device == torch.device("cpu")
    with pytest.raises(ValueError, match="device='tpu' cannot be used here"):
        RowGenerator.load(path, device="tpu")
    with pytest.raises(ValueError, match="cannot be used here"):
        generator.to("tpu")


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_generator_that_was_made_on_a_gpu_comes_back_on_both(tmp_path):
    generator = fit(device="cuda")
    generator.save(tmp_path / "one")
    rows = [RowGenerator.load(tmp_path / "one", d).rows("b", 0, 40) for d in ("cpu", "cuda")]
    np.testing.assert_allclose(rows[0], rows[1], atol=1e-4)
    np.testing.assert_allclose(rows[1], generator.rows("b", 0, 40), atol=1e-4)


# ---------------------------------------------------------------- what cannot be stored


def even(X):
    return X[:, 0] > 0


def blind_net():
    """A net that knows one class only, which is warned of."""
    net = nn.Linear(3, 2)
    nn.init.zeros_(net.weight)
    return net


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"constraints": even}, "cannot hold even of"),
        ({"surrogate": blind_net(), "recipe": "match"}, "cannot hold .* use joblib.dump"),
        ({"voters": "stacked"}, "cannot hold \\w+ of sklearn.* use joblib.dump"),
    ],
)
def test_a_part_that_cannot_be_stored_is_named_with_the_mend(tmp_path, settings, said):
    path = tmp_path / "one.advaug"
    path.write_bytes(b"an older file")
    X, y = CONTAINERS["array"]
    with pytest.warns() if "surrogate" in settings else nullcontext():
        generator = AdversarialOverSampler(random_state=0, **settings).fit(X, y).generator_
    with pytest.raises(TypeError, match=said):
        generator.save(path)
    assert [one.read_bytes() for one in tmp_path.iterdir()] == [b"an older file"]


# ---------------------------------------------------------------- damaged and foreign files


def damaged(data, rng):
    """The bytes with a random damage."""
    data, at = bytearray(data), int(rng.integers(len(data)))
    match int(rng.integers(6)):
        case 0:
            data[at] ^= int(rng.integers(1, 256))
        case 1:
            del data[at:]
        case 2:
            del data[at : at + int(rng.integers(1, 99))]
        case 3:
            data[at:at] = rng.bytes(int(rng.integers(1, 99)))
        case 4:
            data[at : at + 64] = rng.bytes(64)
        case 5:
            data += rng.bytes(int(rng.integers(1, 99)))
    return bytes(data)


@pytest.fixture
def no_pickle(monkeypatch):
    """A process in which nothing can be unpickled."""

    def refused(*args, **kwargs):
        raise AssertionError("unpickled")

    for name in ("load", "loads", "Unpickler", "_Unpickler"):
        monkeypatch.setattr(pickle, name, refused)


def test_a_thousand_damaged_files_are_refused(stored, tmp_path, no_pickle):
    data, rng = stored[1].read_bytes(), np.random.default_rng(0)
    path = tmp_path / "damaged.advaug"
    for _ in range(1000):
        broken = damaged(data, rng)
        path.write_bytes(broken)
        if broken == data:
            continue
        with pytest.raises(ValueError, match="is damaged, or no file of RowGenerator"):
            RowGenerator.load(path)
    assert RowGenerator.load(stored[1]).rows("b", 0, 3).shape == (3, 3)


def signed(data):
    return data + hashlib.sha256(data).digest()


def test_damaged_headers_that_are_signed_again_are_refused_or_make_rows(
    stored, tmp_path, no_pickle
):
    data, rng = stored[1].read_bytes()[:-32], np.random.default_rng(0)
    length = struct.unpack("<Q", data[:8])[0]
    path, refused = tmp_path / "damaged.advaug", 0
    for _ in range(300):
        broken = bytearray(data)
        at = 8 + int(rng.integers(length))
        broken[at] = int(rng.integers(32, 127))
        path.write_bytes(signed(bytes(broken)))
        try:
            RowGenerator.load(path, device="cpu")
        except ValueError as error:
            refused += "damaged.advaug holds" in str(error)
    assert refused > 100


def changed(path, change):
    """The file with another header, signed."""
    data = path.read_bytes()[:-32]
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    change(header["__metadata__"])
    text = json.dumps(header).encode()
    return signed(struct.pack("<Q", len(text)) + text + data[8 + length :])


def setting(name, value):
    return lambda about: about.update({name: value})


def an_object(packed):
    return lambda about: about.update(objects=json.dumps([packed]), root='["same", 0]')


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (setting("format", "2"), "in format 2 of advaug .* is asked for: load it with that"),
        (setting("kind", "Sampler"), "holds a Sampler in format 1"),
        (an_object(["object", "os:PathLike", ["dict", []]]), "no class or function of advaug"),
        (an_object(["object", "advaug.cli:main", ["dict", []]]), "no class or function of advaug"),
        (an_object(["object", "advaug.core.nothing:X", ["dict", []]]), "does not know"),
        (an_object(["object", "advaug.core.box:Tensor", ["dict", []]]), "may not be stored"),
        (an_object(["function", "advaug.core.storage:save"]), "may not be stored"),
        (an_object(["function", "builtins:eval"]), "no class or function of advaug"),
        (an_object(["method", "advaug.sampling.row_generator:RowGenerator.save", 1]), "may not"),
        (an_object(["array", 0, "|O", [1]]), "an array of object"),
        (an_object(["pickle", "x"]), "is not known"),
        (an_object(["container", "pickle", 1]), "does not know"),
        (an_object(["object", "advaug.core.box:Box", ["dict", []]]), "Box has other fields: "),
        (setting("root", "7"), "does not know .a int"),
    ],
)
def test_a_file_that_names_what_it_must_not_is_refused(stored, tmp_path, change, said):
    path = tmp_path / "foreign.advaug"
    path.write_bytes(changed(stored[1], change))
    with pytest.raises(ValueError, match=said):
        RowGenerator.load(path)


def test_trees_that_lead_out_of_their_nodes_are_refused():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(90, 3)).astype(np.float32), np.arange(90) % 2
    for model in (ExtraTreesClassifier(5, random_state=0), HistGradientBoostingClassifier()):
        plain = read_trees(model.fit(X, y))
        inner = int(np.flatnonzero(plain.nodes.column >= 0)[0])
        for name, value in (("left", 10**6), ("right", inner), ("column", 3), ("left", -1)):
            column = getattr(plain.nodes, name).copy()
            column[inner] = value
            broken = replace(plain, nodes=replace(plain.nodes, **{name: column}))
            with pytest.raises(ValueError, match=r"nodes of a tree lead out|a column that"):
                broken.predict_proba(X)


# ---------------------------------------------------------------- the parts


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize(
    "model",
    [
        ExtraTreesClassifier(20, min_samples_leaf=3, random_state=0),
        HistGradientBoostingClassifier(max_iter=20),
        BalancedBoosting(max_iter=20, max_bins=16, class_weight="balanced"),
    ],
)
def test_plain_trees_predict_as_their_models_do(model, n_classes):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 5)).astype(np.float32), rng.integers(0, n_classes, 300)
    plain = read_trees(model.fit(X, y))
    np.testing.assert_array_equal(plain.predict_proba(X), model.predict_proba(X))
    twin = pickle.loads(pickle.dumps(plain))
    np.testing.assert_array_equal(twin.predict_proba(X), model.predict_proba(X))


def through(value):
    packer = Packer()
    root = json.loads(json.dumps(packer.pack(value)))
    return Unpacker(json.loads(json.dumps(packer.objects)), packer.arrays).unpack(root)


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, 7, -(2**70), "ü", 0.1, (1, [2.5, ()]), {"a": {1: (2,)}}, {3, 4}),
        *(frozenset("a"), slice(1, None), b"\x00\xff", np.float32(0.1), np.str_("x")),
        (float("inf"), -0.0),
    ],
    ids=repr,
)
def test_values_come_back_with_their_types(value):
    found = through(value)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6).reshape(2, 3),
        np.zeros((0, 3), "U4"),
        np.array(["a", "bcd"]),
        np.array(["2020-01-01", "NaT"], "M8[ns]"),
        np.array([1, "a", None], dtype=object),
        np.array(3.5),
        np.array([1.5, 2.5], ">f8"),
        np.array([True, False])[::-1],
        np.arange(6).reshape(2, 3).T,
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_arrays_come_back(array):
    found = through(array)
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(found, array)


def test_what_two_hold_is_stored_once():
    one = torch.arange(3)
    assert through(torch.tensor(1.5)).shape == ()
    found = through([one, {"x": one}])
    assert found[0] is found[1]["x"]
    assert torch.equal(found[0], one)


@storable
def doubled(x):
    return 2 * x


def test_marked_functions_of_other_packages_are_not_loaded():
    with pytest.raises(ValueError, match="no class or function of advaug"):
        through(doubled)


FRAME = pd.DataFrame(
    {
        "number": [1.5, np.nan],
        "whole": pd.array([1, None], dtype="Int64"),
        "text": ["a", None],
        "object": np.array(["a", 3], dtype=object),
        "level": pd.Categorical(["x", None], ["y", "x"], ordered=True),
        "day": pd.to_datetime(["2020-01-01", None]),
        "zoned": pd.to_datetime(["2020-01-01", None]).tz_localize("Europe/Berlin"),
        "flag": pd.array([True, None], dtype="boolean"),
        "string": pd.array(["a", None], dtype="string"),
        "sparse": pd.arrays.SparseArray([0.0, 1.0]),
    }
)


def test_frames_come_back_with_their_dtypes():
    assert_frame_equal(through(FRAME), FRAME)
    many = FRAME[["number"]].set_axis(
        pd.MultiIndex.from_tuples([("a", 1)], names=["x", None]), axis=1
    )
    assert_frame_equal(through(many), many)
    by_number = FRAME[["number", "text"]].set_axis(range(2), axis=1)
    assert_frame_equal(through(by_number), by_number, check_column_type=False)
    assert_series_equal(through(FRAME["level"]), FRAME["level"])


def test_other_containers_come_back():
    frame = pl.DataFrame({"a": [1, None], "b": ["x", "y"]})
    assert through(frame).equals(frame)
    assert through(frame["b"]).equals(frame["b"])
    assert through(frame["b"]).name == "b"
    tab = pa.table({"a": [1, 2], "b": ["x", None]})
    assert through(tab).equals(tab)
    assert through(tab.column("b")).equals(tab.column("b"))
    for kind in ("csr", "csc", "coo"):
        matrix = sparse.random(5, 4, 0.5, kind, random_state=0)
        found = through(matrix)
        assert type(found) is type(matrix)
        assert (found != matrix).nnz == 0
    assert containers.kind_of_packed(object()) is None
