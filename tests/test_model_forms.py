"""Models as their users have them: what they return, in which units, precision and framework.

Each is attacked as the same net wrapped by hand would be, or is refused in one line.
"""

import pickle
import warnings
from collections import OrderedDict
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    StandardScaler,
)
from torch import nn

from advaug import AdversarialOverSampler, AdversarialTransformer
from advaug.adapters import ImageAdapter, SequenceAdapter
from advaug.estimators.agreement import places_among
from advaug.models import QueriedEstimator, TorchModel
from advaug.models.training import Training
from advaug.robust import AdversarialClassifier, robustness_table

# ---------------------------------------------------------------- rows and nets by hand


def table(n=90):
    X = np.random.default_rng(0).normal(size=(n, 3)).astype(np.float32)
    return X * np.float32([1, 10, 0.1]), (X @ [1, -1, 0.5] > 0.4).astype(int)


def images(n=60):
    generator = np.random.default_rng(0)
    y = np.arange(n) % 2
    X = generator.integers(60, 150, (n, 3, 6, 6)) + 60 * y[:, None, None, None]
    return X.astype(np.uint8), y


def tokens(n=60):
    """Token ids up to 3000, which half precision rounds: one above 2000 stands for class 1."""
    generator = np.random.default_rng(0)
    y = np.arange(n) % 2
    rows = [generator.integers(3, 40, generator.integers(4, 8)).tolist() for _ in range(n)]
    return [[*row, 2501 + 2 * label] for row, label in zip(rows, y, strict=True)], y


def table_net():
    """The logit of class 1 of a table's rows."""
    net = nn.Linear(3, 1)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[1.0, -0.1, 5.0]]))
        net.bias.fill_(-0.4)
    return net


def image_net():
    """The logit of class 1 of images from 0 to 1."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(108, 1))
    with torch.no_grad():
        net[1].weight.fill_(1 / 10)
        net[1].bias.fill_(-10.8 * 135 / 255)
    return net


class TokenNet(nn.Module):
    """Logits of class 1 of ids; the embedding gets what the net gets."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(3000, 1, padding_idx=0)
        with torch.no_grad():
            self.embedding.weight.zero_()
            self.embedding.weight[2503:] = 2.0
            self.embedding.weight[2490:2503] = -2.0

    def forward(self, ids):
        return self.embedding(ids)[..., 0].sum(1)


def two(z):
    """Two logits of one."""
    z = z.reshape(len(z))
    return torch.stack([-z / 2, z / 2], 1)


class Form(nn.Module):
    """A net whose output, rows or both are wrapped."""

    def __init__(self, net, after=two, before=lambda x: x):
        super().__init__()
        self.net, self.after, self.before = net, after, before

    def forward(self, x):
        return self.after(self.net(self.before(x)))


@dataclass
class Output:
    """What Hugging Face's models return, without a loss."""

    logits: torch.Tensor
    hidden_states: tuple = ()


class ModelOutput(OrderedDict):
    """The same as a dict with attributes."""

    __getattr__ = OrderedDict.__getitem__


class ModuleClassifier(ClassifierMixin, BaseEstimator):
    """What skorch's fitted classifiers have: `module_`, `classes_` and their methods."""

    def __init__(self, module=None):
        self.module = module

    def fit(self, X, y):
        self.module_, self.classes_ = self.module, np.unique(y)
        return self

    def predict_proba(self, X):
        with torch.no_grad():
            output = self.module_(torch.as_tensor(np.asarray(X, dtype=np.float32)))
        output = two(output) if output.dim() == 1 or output.shape[1] == 1 else output
        is_probability = bool((output.sum(1) - 1).abs().max() < 1e-4)
        return np.asarray(output if is_probability else output.softmax(1))

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(1)]


class InPlace(nn.Module):
    """Writes into the rows that it gets."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return two(self.net(x.mul_(2).div_(2)))


class Trains(nn.Module):
    """A net in train mode, with dropout that no attack may see."""

    def __init__(self, net):
        super().__init__()
        self.net, self.drop = net, nn.Dropout(0.9)
        self.train()

    def forward(self, x):
        return two(self.net(self.drop(x)))


def scripted(net):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is deprecated.
        return torch.jit.script(nn.Sequential(net, nn.Flatten()))


def traced(net):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.trace(nn.Sequential(net, nn.Flatten()), torch.zeros(2, 3))


def seen_at(mean, std):
    """An image net for pixels (p - mean) / std."""
    mean, std = (torch.tensor(each)[:, None, None] for each in (mean, std))
    return Form(image_net(), before=lambda x: x * std + mean)


IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


def standardised(X):
    mean, std = (np.array(IMAGENET[name])[:, None, None] for name in ("mean", "std"))
    return ((X / 255 - mean) / std).astype(np.float32)


def unstandardised(X):
    mean, std = (np.array(IMAGENET[name])[:, None, None] for name in ("mean", "std"))
    return (X * std + mean) * 255


class ChannelsLast(nn.Module):
    """Reads images with their channels last, and nothing else."""

    def __init__(self):
        super().__init__()
        self.net, self.mix = image_net(), nn.Conv2d(3, 3, 1, bias=False)
        with torch.no_grad():
            self.mix.weight.copy_(torch.eye(3)[:, :, None, None])

    def forward(self, x):
        return two(self.net(self.mix(x.movedim(-1, 1))))


class Sum(nn.Module):
    """The sum over places."""

    def forward(self, x):
        return x.flatten(1).sum(1)


def scaled_net(scaler):
    """The table's net behind a fitted scaler."""
    net = table_net()
    with torch.no_grad():
        scale, mean = (torch.tensor(each).float() for each in (scaler.scale_, scaler.mean_))
        net.bias += (net.weight * mean).sum()
        net.weight *= scale
    return net


def behind_a_scaler():
    X, y = table()
    scaler = StandardScaler().fit(X)
    return make_pipeline(scaler, ModuleClassifier(scaled_net(scaler)).fit(X, y))


def behind_columns():
    X, y = table()
    columns = make_column_transformer((StandardScaler(), [0, 1, 2])).fit(X)
    net = scaled_net(columns.transformers_[0][1])
    return make_pipeline(columns, ModuleClassifier(net).fit(X, y))


def in_floats(X):
    return (X / 255).astype(np.float32)


def channels_last(X):
    return np.ascontiguousarray(np.moveaxis(X, 1, -1))


def of_table(after):
    """A table's net that returns something else."""
    return lambda: Form(table_net(), after)


class Case(NamedTuple):
    """A model, how rows are passed to it and back, the adapter; how much success may differ."""

    model: Any
    rows: Any = table
    passed: Any = None
    back: Any = None
    adapter: Any = "auto"
    tolerance: float = 0.0


STANDARD = ImageAdapter(
    low=[-m / s for m, s in zip(*IMAGENET.values(), strict=True)],
    high=[(1 - m) / s for m, s in zip(*IMAGENET.values(), strict=True)],
)
FORMS = {
    # what it returns
    "two logits": Case(of_table(two)),
    "one logit, (n, 1)": Case(table_net),
    "one logit, (n,)": Case(of_table(lambda z: z[:, 0])),
    "probabilities": Case(of_table(lambda z: two(z).softmax(1))),
    "one probability": Case(of_table(torch.sigmoid)),
    "log probabilities": Case(of_table(lambda z: two(z).log_softmax(1))),
    "tuple": Case(of_table(lambda z: (two(z), z))),
    "list": Case(of_table(lambda z: [two(z), z])),
    "dict of one": Case(of_table(lambda z: {"out": two(z)})),
    "dict with logits": Case(of_table(lambda z: {"loss": z.sum(), "logits": two(z)})),
    "object": Case(of_table(lambda z: Output(two(z)))),
    "ModelOutput": Case(of_table(lambda z: ModelOutput(logits=two(z), past=(z,)))),
    # precision, and how it was made
    "float64": Case(lambda: Form(table_net()).double()),
    "half": Case(lambda: Form(table_net()).half(), tolerance=0.03),
    "bfloat16": Case(lambda: Form(table_net()).bfloat16(), tolerance=0.05),
    "half, probabilities": Case(
        lambda: Form(table_net(), lambda z: two(z).softmax(1)).half(), tolerance=0.03
    ),
    "in place": Case(lambda: InPlace(table_net())),
    "train mode": Case(lambda: Trains(table_net())),
    "scripted": Case(lambda: scripted(table_net())),
    "traced": Case(lambda: traced(table_net())),
    "compiled": Case(lambda: torch.compile(Form(table_net()), backend="eager")),
    # other frameworks
    "skorch, probabilities": Case(
        lambda: ModuleClassifier(Form(table_net(), lambda z: two(z).softmax(1))).fit(*table())
    ),
    "skorch, one logit": Case(lambda: ModuleClassifier(table_net()).fit(*table())),
    "scaler and skorch": Case(behind_a_scaler),
    "column transformer and skorch": Case(behind_columns),
    # units of images
    "uint8, 0 to 1": Case(image_net, images),
    "uint8, -1 to 1": Case(
        lambda: seen_at([0.5], [0.5]), images, adapter=ImageAdapter(mean=0.5, std=0.5)
    ),
    "uint8, 0 to 255": Case(
        lambda: seen_at([0.0], [1 / 255]), images, adapter=ImageAdapter(mean=0, std=1 / 255)
    ),
    "uint8, standardised": Case(
        lambda: seen_at(**IMAGENET), images, adapter=ImageAdapter(**IMAGENET)
    ),
    "uint8, in place": Case(lambda: InPlace(image_net()), images),
    "uint8, half": Case(lambda: image_net().half(), images, tolerance=0.04),
    "channels last": Case(image_net, images, channels_last, lambda X: np.moveaxis(X, -1, 1)),
    "channels last, in the net too": Case(
        ChannelsLast, images, channels_last, lambda X: np.moveaxis(X, -1, 1)
    ),
    "floats, 0 to 1": Case(image_net, images, in_floats, lambda X: X * 255),
    "floats, -1 to 1": Case(
        lambda: seen_at([0.5], [0.5]),
        images,
        lambda X: in_floats(X) * 2 - 1,
        lambda X: (X + 1) * 127.5,
        ImageAdapter(low=-1, high=1),
    ),
    "floats, standardised": Case(
        lambda: seen_at(**IMAGENET), images, standardised, unstandardised, STANDARD
    ),
    # tokens
    "token ids": Case(TokenNet, tokens),
    "token ids, bfloat16": Case(lambda: TokenNet().bfloat16(), tokens),
    "token ids, object": Case(lambda: Form(TokenNet(), lambda z: Output(two(z))), tokens),
    "token ids, embedding first": Case(lambda: nn.Sequential(TokenNet().embedding, Sum()), tokens),
}


# ---------------------------------------------------------------- attacked


class ByHand(ClassifierMixin, BaseEstimator):
    """The nets above as they were meant, with the rows as `table`, `images` and `tokens` have them.

    `back` brings rows into these units.
    """

    def __init__(self, rows, back):
        self.rows, self.back = rows, back

    def fit(self, X, y):
        self.classes_ = np.array([0, 1])
        return self

    def predict(self, X):
        X = X if self.back is None else self.back(X)
        with torch.no_grad():
            if self.rows is table:
                z = table_net()(torch.as_tensor(X))
            elif self.rows is images:
                z = image_net()(torch.as_tensor(np.array(X), dtype=torch.float32) / 255)
            else:
                z = TokenNet()(nn.utils.rnn.pad_sequence(map(torch.tensor, X), True))
        return (z.flatten() > 0).long().numpy()


def quietly(run):
    """What a function returns, without hints that are no matter here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="surrogate returns probabilities")
        warnings.filterwarnings("ignore", message=".* rows were not moved by")
        warnings.filterwarnings("ignore", message="Guards may run slower on Python 3.13.0")
        return run()


def passed(case):
    X, y = case.rows()
    return (X if case.passed is None else case.passed(X)), y


def transformed(case):
    """The rows after the transformer, and the share of them that the net by hand gets wrong."""
    X, y = passed(case)
    mover = AdversarialTransformer(
        attack=ATTACK[case.rows],
        radius=RADIUS[case.rows],
        surrogate=case.model(),
        adapter=case.adapter,
        random_state=0,
    )
    moved = quietly(lambda: mover.fit(X, y).transform(X, y))
    hand = ByHand(case.rows, case.back).fit(X, y)
    return moved, (hand.predict(moved) != y).mean(), (hand.predict(X) == y).mean()


def measured(case):
    """The score under attack in the table of robustness."""
    X, y = passed(case)
    hand = ByHand(case.rows, case.back).fit(X, y)
    rows = quietly(
        lambda: robustness_table(
            [hand],
            X,
            y,
            attacks=[ATTACK[case.rows]],
            radius=RADIUS[case.rows],
            surrogate=case.model(),
            adapter=case.adapter,
        )
    )
    return rows[ATTACK[case.rows]][0]


def over_sampled(case):
    """The rows and labels of an over-sampler that attacks the model."""
    X, y = passed(case)
    sampler = AdversarialOverSampler(
        sampling_strategy={0: int((y == 0).sum()) + 8, 1: int((y == 1).sum()) + 8},
        surrogate=case.model(),
        adapter=case.adapter,
        random_state=0,
    )
    X_new, y_new = quietly(lambda: sampler.fit_resample(X, y))
    hand = ByHand(case.rows, case.back).fit(X, y)
    return (hand.predict(X_new[len(y) :]) == y_new[len(y) :]).mean()


RADIUS = {table: 0.3, images: 0.12, tokens: 1}
ATTACK = {table: "pgd", images: "pgd", tokens: "greedy"}
BY_HAND = {
    table: Case(of_table(two)),
    images: Case(image_net, images),
    tokens: Case(TokenNet, tokens),
}


@cache
def right_answer(run, name):
    """The same of the net by hand; floats move by other amounts than whole pixels."""
    if name.startswith("floats"):
        return run(Case(lambda: Form(image_net()), images, in_floats, lambda X: X * 255))
    return run(BY_HAND[FORMS[name].rows])


def test_there_are_forty_forms():
    assert len(FORMS) == 40


@pytest.mark.parametrize("name", FORMS)
def test_a_form_is_attacked_as_the_same_net_by_hand(name):
    case = FORMS[name]
    moved, wrong, clean = transformed(case)
    rows, expected, _ = right_answer(transformed, name)
    assert clean == 1 or case.rows is table
    assert 0.1 < expected < 0.95
    assert wrong == pytest.approx(expected, abs=case.tolerance)
    if case.rows is table and not case.tolerance:
        np.testing.assert_allclose(moved, rows, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", FORMS)
def test_the_table_of_robustness_measures_a_form_as_the_same_net_by_hand(name):
    case = FORMS[name]
    expected = right_answer(measured, name)
    assert measured(case) == pytest.approx(expected, abs=case.tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMS)
def test_an_over_sampler_attacks_a_form_as_the_same_net_by_hand(name):
    case = FORMS[name]
    expected = right_answer(over_sampled, name)
    assert over_sampled(case) == pytest.approx(expected, abs=max(case.tolerance, 1 / 16))


# ---------------------------------------------------------------- refused in one line


class LooseTensors(nn.Module):
    def forward(self, x):
        return {"mean": x[:, :2], "spread": x[:, :2]}


class Answers(nn.Module):
    """Returns the class, which has no gradient."""

    def forward(self, x):
        return (x.sum(1) > 0).long()


class Detached(nn.Module):
    def forward(self, x):
        return two(x.sum(1).detach())


REFUSED = {
    "dict without logits": (LooseTensors, r"it returns \['mean', 'spread'\].*name them 'logits'"),
    "a text": (lambda: Form(table_net(), str), "it returns str: return the logits"),
    "classes": (Answers, "let it return logits"),
    "detached": (Detached, "no gradient from its rows to its output"),
    "another width": (lambda: nn.Linear(4, 2), "cannot take rows of shape"),
    "another number of classes": (lambda: nn.Linear(3, 5), "last layer must have 2 outputs"),
    "an embedding": (lambda: nn.Sequential(nn.Embedding(9, 2), Sum()), "adapter='sequence'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_attacked_is_refused_in_one_line(name):
    model, message = REFUSED[name]
    X, y = table()
    with pytest.raises(ValueError, match=message) as refusal:
        AdversarialTransformer(surrogate=model()).fit(X, y)
    assert "\n" not in str(refusal.value)


def test_units_of_images_that_do_not_fit_are_refused():
    X, _ = images()
    for settings in ({"mean": [1, 2]}, {"std": 0}, {"low": [0, 0, 0], "high": [1, 1, 0]}):
        with pytest.raises(ValueError, match=next(reversed(settings)) + "|low must be below"):
            ImageAdapter(**settings).fit(X)
    with pytest.raises(ValueError, match=r"channels='.*' is not known"):
        ImageAdapter(channels="middle").fit(X)


def test_images_with_channels_last_come_back_in_their_own_layout():
    X, _ = images()
    coding = ImageAdapter().fit(channels_last(X))
    x = coding.encode(channels_last(X))
    assert torch.equal(x, ImageAdapter().fit(X).encode(X))
    back = coding.decode((x + 1 / 255).clamp(0, 1), x, channels_last(X))
    assert back.dtype == np.uint8
    assert_array_equal(back, channels_last(X) + 1)


def test_ids_of_tokens_are_the_users_own_and_texts_are_numbered():
    coding = SequenceAdapter().fit([[7, 3000], [7]])
    native = coding.native(coding.encode([[7, 3000], [7]]))
    assert native.dtype == torch.int64
    assert native.tolist() == [[7, 3000], [7, 0]]
    texts = SequenceAdapter(tokens="word").fit(["a b", "b"])
    assert texts.native(texts.encode(["a b"])).tolist() == [[1, 2]]


# ---------------------------------------------------------------- pipelines of mixed tables


def mixed(n=300):
    generator = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "age": generator.integers(18, 80, n),
            "income": generator.lognormal(10, 0.5, n),
            "job": generator.choice(["clerk", "nurse", "smith"], n),
            "city": generator.choice(["x", "y", None], n),
            "debt": np.where(generator.random(n) < 0.1, np.nan, generator.normal(size=n)),
            "owns": generator.random(n) < 0.5,
        }
    )
    score = X.income / 2e4 + 2 * (X.job == "nurse") + X.debt.fillna(0) - X.age / 40
    return X, np.where(score > score.median(), "yes", "no")


NUMBERS, LEVELS = ["age", "income", "debt"], ["job", "city"]
PREPARED = {
    "scaler, one-hot, passthrough": [
        (make_pipeline(SimpleImputer(), StandardScaler()), NUMBERS),
        (OneHotEncoder(), LEVELS),
        ("passthrough", ["owns"]),
    ],
    "flags of missing cells, ranks of levels": [
        (make_pipeline(SimpleImputer(add_indicator=True), MinMaxScaler()), NUMBERS),
        (make_pipeline(SimpleImputer(strategy="most_frequent"), OrdinalEncoder()), LEVELS),
    ],
    "dropped first levels, scaled": [
        (SimpleImputer(strategy="median"), ["debt"]),
        (make_pipeline(OneHotEncoder(drop="first", sparse_output=False), StandardScaler()), LEVELS),
    ],
}
LAST = {
    "logistic": lambda: LogisticRegression(max_iter=2000),
    "net": lambda: MLPClassifier((8,), max_iter=300, random_state=0),
}


def fitted_pipeline(prepared, last):
    X, y = mixed()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # The small net has not converged.
        return make_pipeline(make_column_transformer(*prepared), last).fit(X, y)


@pytest.mark.parametrize("last", LAST)
@pytest.mark.parametrize("prepared", PREPARED)
def test_a_column_transformer_before_a_model_has_exact_gradients(prepared, last):
    X, y = mixed()
    model = fitted_pipeline(PREPARED[prepared], LAST[last]())
    mover = AdversarialTransformer(attack="auto", surrogate=model, random_state=0).fit(X, y)
    assert isinstance(mover.surrogate_, TorchModel)
    x = mover.adapter_.encode(X)
    logits = mover.surrogate_.encoded_logits(mover.adapter_, X, x)
    found = logits(x.requires_grad_(True))
    probability = model.predict_proba(X)
    assert np.abs(found.softmax(1).detach().numpy() - probability).max() < 1e-5
    # A step along the gradient changes the model's own answer by as much as it promises.
    (gradient,) = torch.autograd.grad((found[:, 1] - found[:, 0]).sum(), x)
    step = torch.zeros_like(x)
    step[:, 1] = 1e-3
    rows = mover.adapter_.decode(x.detach() + step, x.detach(), X)
    log_odds = [np.log(p[:, 1] / p[:, 0]) for p in (model.predict_proba(rows), probability)]
    promised = (gradient * step).sum(1).numpy()
    is_inside = (X.income < X.income.max()).to_numpy()  # A cell at its bound does not move.
    found = (log_odds[0] - log_odds[1])[is_inside]
    np.testing.assert_allclose(found, promised[is_inside], rtol=0.05, atol=1e-5)


def test_the_attack_on_a_column_transformer_beats_noise():
    X, y = mixed()
    model = fitted_pipeline(PREPARED["scaler, one-hot, passthrough"], LAST["logistic"]())
    rows = robustness_table([model], X, y, attacks=["pgd"])
    assert rows["pgd"][0] < rows["noise"][0] - 0.2


@pytest.mark.parametrize(
    "step", [FunctionTransformer(np.log1p), PolynomialFeatures(2), MinMaxScaler(clip=True)], ids=str
)
def test_a_preprocessing_that_is_not_affine_is_found_out_and_queried(step):
    X, y = mixed()
    prepared = [
        (make_pipeline(SimpleImputer(), step), ["age", "income"]),
        (OneHotEncoder(), ["job"]),
    ]
    model = fitted_pipeline(prepared, LAST["logistic"]())
    mover = AdversarialTransformer(attack="square", surrogate=model).fit(X.iloc[:150], y[:150])
    expected = TorchModel if isinstance(step, MinMaxScaler) else QueriedEstimator
    assert isinstance(mover.surrogate_, expected)


def test_the_net_of_a_fitted_pipeline_stays_as_it_was():
    model = behind_a_scaler()
    module = model[-1].module_.train()
    X, y = table()
    AdversarialTransformer(surrogate=model).fit(X, y).transform(X)
    assert module.training
    assert all(weight.requires_grad for weight in module.parameters())


def test_a_scaler_before_an_adversarial_classifier_has_its_gradient():
    X, y = table()
    classifier = AdversarialClassifier(training=Training(epochs=8), random_state=0)
    model = make_pipeline(MinMaxScaler(), classifier).fit(X, y)
    mover = AdversarialTransformer(surrogate=model).fit(X, y)
    assert isinstance(mover.surrogate_, TorchModel)
    x = mover.adapter_.encode(X)
    found = mover.surrogate_.encoded_logits(mover.adapter_, X, x)(x).softmax(1)
    np.testing.assert_allclose(found.numpy(), model.predict_proba(X), atol=1e-4)


def test_a_net_that_disagrees_with_its_estimator_is_queried():
    X, y = table()
    model = ModuleClassifier(table_net()).fit(X, y)
    model.predict_proba = lambda X: np.tile([0.9, 0.1], (len(X), 1))
    model.predict = lambda X: np.zeros(len(X), dtype=int)
    mover = AdversarialTransformer(attack="square", surrogate=model).fit(X)
    assert isinstance(mover.surrogate_, QueriedEstimator)


# ---------------------------------------------------------------- the wrong units


def warned(model, X, y, **settings):
    """The one warning about a model's labels; None: there is none."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        AdversarialTransformer(surrogate=model, **settings).fit(X, y)
    said = [str(one.message) for one in caught if "agrees with y" in str(one.message)]
    assert len(said) < 2
    return said[0] if said else None


def test_a_net_on_other_units_of_images_is_noticed_with_the_mend():
    X, y = images()
    said = warned(seen_at([0.5], [0.5]), X, y)
    assert "agrees with y in 50% of 60 rows, and the largest class alone does in 50%" in said
    assert "With adapter=ImageAdapter(mean=0.5, std=0.5) it agrees in 100%" in said
    assert warned(seen_at([0.5], [0.5]), X, y, adapter=ImageAdapter(mean=0.5, std=0.5)) is None
    assert "std=1 / 255" in warned(seen_at([0.0], [1 / 255]), X, y)


def test_a_net_on_standardised_columns_is_noticed_with_the_mend():
    X, y = table()
    net = scaled_net(StandardScaler().fit(X))
    far = X + np.float32([0, 500, 0])
    assert "With StandardScaler().fit_transform(X) it agrees in 100%" in warned(net, far, y)
    assert warned(net, StandardScaler().fit_transform(X), y) is None


def test_an_over_sampler_notices_a_model_that_knows_nothing():
    X, y = table()
    model = LogisticRegression(C=1e-9).fit(X, y)
    model.intercept_[:] = -9
    with pytest.warns(UserWarning, match="agrees with y in .*, and the largest class alone does"):
        AdversarialOverSampler(surrogate=model, random_state=0).fit_resample(X, y)


def test_a_model_of_a_rare_class_that_is_no_chance_is_not_warned_of():
    generator = np.random.default_rng(0)
    X, y = generator.normal(size=(300, 3)), (np.arange(300) < 30).astype(int)
    X[:, 0] += 1.5 * y
    model = LogisticRegression(class_weight="balanced").fit(X, y)
    assert model.score(X, y) < 0.9  # The largest class alone is more often right.
    assert warned(model, X, y) is None


def test_a_model_that_knows_only_the_largest_class_is_warned_of():
    X = np.random.default_rng(0).normal(size=(300, 3))
    y = (np.arange(300) % 10 == 0).astype(int)
    model = LogisticRegression(C=1e-9).fit(X, y)
    for n in (300, 10):
        said = warned(model, X[:n], y[:n])
        assert "agrees with y in 90%" in said
        assert "largest class alone does in 90%" in said
    assert warned(model, X[:9], y[:9]) is None, "so few rows say nothing"


def test_a_class_that_the_model_does_not_know_has_no_place():
    assert places_among(np.array(["a", "b"]), np.array(["a", "b", "c"])).tolist() == [0, 1, -1]


def test_a_model_is_not_warned_of_without_labels():
    X, _ = images()
    assert warned(seen_at([0.5], [0.5]), X, None) is None


def test_a_transformer_with_a_net_of_images_can_be_stored():
    X, y = images()
    for rows in (X, channels_last(X)):
        mover = AdversarialTransformer(surrogate=image_net(), radius=0.1, random_state=0).fit(
            rows, y
        )
        again = pickle.loads(pickle.dumps(mover))
        assert_array_equal(again.transform(rows), mover.transform(rows))


# ---------------------------------------------------------------- the real framework


def test_a_classifier_of_skorch_is_attacked_through_its_module():
    skorch = pytest.importorskip("skorch")
    X, y = table()
    settings = {"max_epochs": 3, "verbose": 0, "train_split": None}
    probabilities = of_table(lambda z: two(z).softmax(1))()
    one_logit = of_table(lambda z: z[:, 0])()
    for model in (
        skorch.NeuralNetClassifier(probabilities, **settings),
        skorch.NeuralNetClassifier(of_table(two)(), criterion=nn.CrossEntropyLoss, **settings),
        skorch.NeuralNetBinaryClassifier(one_logit, **settings),
    ):
        target = y.astype(np.float32) if model.module is one_logit else y
        model.fit(X, target)
        mover = AdversarialTransformer(attack="pgd", surrogate=model, random_state=0).fit(X)
        assert isinstance(mover.surrogate_, TorchModel)
        x = mover.adapter_.encode(X)
        found = mover.surrogate_.encoded_logits(mover.adapter_, X, x)(x).softmax(1)
        np.testing.assert_allclose(found.numpy(), model.predict_proba(X), atol=1e-4)
        moved = mover.transform(X)
        assert (model.predict(moved) != model.predict(X)).mean() > 0.1


def test_a_net_that_is_little_better_in_other_units_is_not_warned_of():
    X = np.random.default_rng(2).normal(0.1, 1.0, size=(400, 2)).astype(np.float32)
    y = (X[:, 0] > X[:, 0].mean()).astype(int)  # Standardized, the net would always be right.
    net = nn.Linear(2, 2)
    with torch.no_grad():
        net.weight[:] = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
        net.bias[:] = 0.0
    assert 0.9 < ((X[:, 0] > 0) == y).mean() < 1
    assert warned(net, X, y) is None
