"""The score explained by features, and models that are handed in: they have to prove themselves."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import r2_score

from fbkit.diagnose.features import Feature
from fbkit.diagnose.handed import handed, one_per_row, reproduced
from fbkit.diagnose.link import Link
from fbkit.diagnose.surrogate import GOOD_FIT, fit, r_squared
from fbkit.errors import ArgumentError, MissingPartError
from tests.unit.diagnose.replay_world import make, model, played

RNG = np.random.default_rng(5)
N = 6000
ALL = np.ones(N, dtype=bool)


def columns(*, text=True):
    found = [Feature(name, RNG.normal(size=N), (), ALL) for name in "ab"]
    return [*found, Feature("t", RNG.integers(0, 3, N).astype(float), ("x", "y", "z"), ALL)] if text else found


@pytest.mark.parametrize(
    "truth",
    [
        lambda a, b, t: a - 2 * b,
        lambda a, b, t: a * b + 0.5 * t,
        lambda a, b, t: np.abs(a) + np.tanh(2 * b),
        lambda a, b, t: np.exp(a / 2) + (t == 1),
    ],
)
def test_functions_of_the_features_are_explained(truth):
    features = columns()
    target = truth(*(f.values for f in features))
    found = fit(features, target, rows=np.arange(N))
    assert found is not None
    assert found.r2 >= GOOD_FIT
    fresh = {"a": RNG.normal(size=500), "b": RNG.normal(size=500), "t": RNG.integers(0, 3, 500).astype(float)}
    assert r2_score(truth(*fresh.values()), found.predict(fresh)) > 0.97


def test_what_the_features_do_not_hold_is_not_explained():
    features = columns(text=False)
    target = features[0].values + RNG.normal(size=N)
    found = fit(features, target, rows=np.arange(N))
    assert found is not None
    assert found.r2 == pytest.approx(0.5, abs=0.05)


def test_nulls_and_another_unit_are_learnt_from_rows_that_have_them():
    features = columns(text=False)
    a = features[0].values
    target = np.clip(a, -4, 4) + features[1].values
    target[:2000] = 1.7 + features[1].values[:2000]
    a[:2000] = np.nan
    a[2000:4000] *= 100
    target[2000:4000] = np.clip(a[2000:4000], -4, 4) + features[1].values[2000:4000]
    found = fit(features, target, rows=np.arange(N))
    assert found is not None
    answer = found.predict({"a": np.array([np.nan, 150.0, -150.0, 1.0]), "b": np.zeros(4)})
    assert answer == pytest.approx([1.7, 4.0, -4.0, 1.0], abs=0.35)


def test_too_few_rows_or_no_features_are_not_fitted():
    assert fit(columns(), np.zeros(N), rows=np.arange(100)) is None
    assert fit([], np.zeros(N), rows=np.arange(N)) is None


def test_constant_and_empty_features_do_no_harm():
    features = [Feature("k", np.full(N, 3.0), (), ALL), Feature("n", np.full(N, np.nan), (), ALL), *columns(text=False)]
    found = fit(features, features[2].values.copy(), rows=np.arange(N))
    assert found is not None
    assert found.r2 > 0.999


def test_r2_of_a_constant():
    assert r_squared(np.zeros(3), np.ones(3)) == 1.0
    assert r_squared(np.array([0.0, 0.1, 0.0]), np.ones(3)) == 0.0


def test_the_link_is_its_own_inverse_and_leaves_untouched_scores_exactly():
    score = np.array([0.0, 0.001, 0.5, 1.0])
    link = Link.of(score)
    assert link.least == pytest.approx(0.0005)
    moved = link.moved(score, np.array([0.0, 0.0, 1.0, 0.0]))
    assert (moved[[0, 1, 3]] == score[[0, 1, 3]]).all()
    assert moved[2] == pytest.approx(1 / (1 + np.exp(-1)))
    values = Link.of(np.array([-3.0, 20.0]))
    assert values.least is None
    assert values.moved(np.array([-3.0, 20.0]), np.ones(2)) == pytest.approx([-2.0, 21.0])


def log(rows=1000):
    x = RNG.normal(size=(rows, 3))
    return pl.DataFrame({**{name: x[:, k] for k, name in enumerate("abc")}, "score": model(x)})


def by_function(frame):
    return model(frame.select("a", "b", "c").to_numpy())


class Session:
    """What onnxruntime hands out, as far as triage asks."""

    def __init__(self, names, answer):
        self.names, self.answer = names, answer

    def get_inputs(self):
        return [SimpleNamespace(name=name) for name in self.names]

    def run(self, outputs, feed):
        return [np.zeros(1), self.answer(feed)]


def with_classes(feed):
    p = model(feed["input"])
    return [{0: 1 - one, 1: one} for one in p]


def by_names(feed):
    assert feed["a"].dtype == np.float32
    return model(np.hstack([feed[name] for name in "abc"]))[:, None]


@pytest.mark.parametrize(
    "given",
    [
        by_function,
        lambda frame: pl.Series(by_function(frame)),
        SimpleNamespace(predict_proba=lambda x: np.column_stack([1 - model(x), model(x)])),
        SimpleNamespace(predict=model),
        Session(["input"], with_classes),
        Session(["a", "b", "c"], by_names),
    ],
)
def test_every_kind_of_model_is_called_and_checked(given):
    frame = log()
    found = handed(given, frame=frame, features=["a", "b", "c"])
    proof = reproduced(found, frame, rows=np.arange(1000), link=Link.of(frame["score"].to_numpy()))
    assert proof.r2 > 0.9999
    assert (proof.same, proof.rows) == (1.0, 1000)


def test_an_estimator_with_names_gets_its_own_columns():
    frame = log().with_columns(d=pl.lit(0.0))
    names = ["c", "a"]
    target = (frame["a"] > 0).to_numpy()
    estimator = LogisticRegression().fit(frame.select(names), target)
    found = handed(estimator, frame=frame, features=["a", "b", "c"])
    assert found.columns == ("c", "a")
    assert found.score(frame) == pytest.approx(estimator.predict_proba(frame.select(names))[:, 1])


@pytest.mark.parametrize("answer", [np.zeros((5, 3)), np.zeros(4), np.array([1.0, np.nan, 1, 1, 1]), "no", None])
def test_another_shape_is_refused(answer):
    with pytest.raises(ArgumentError, match="one finite score per row"):
        one_per_row(answer, rows=5)


def test_what_is_no_model_or_lacks_its_inputs_is_refused(tmp_path):
    frame = log(10)
    with pytest.raises(ArgumentError, match="no model"):
        handed(3, frame=frame, features=["a"])
    with pytest.raises(ArgumentError, match="does not have"):
        handed(by_function, frame=frame, features=["a", "q"])
    with pytest.raises(ArgumentError, match="no features"):
        handed(by_function, frame=frame, features=[])
    with pytest.raises(ArgumentError, match="no such ONNX"):
        handed(tmp_path / "model.onnx", frame=frame, features=["a"])


def test_an_onnx_file_without_the_runtime_says_what_to_install(tmp_path, monkeypatch):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"")
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(MissingPartError, match="onnxruntime"):
        handed(str(path), frame=log(10), features=["a"])


def nulls(c, rng):
    c["x"][c["now"] & (c["u"] < 0.4), 0] = np.nan


def test_a_model_that_reproduces_the_scores_takes_the_place_of_the_surrogate():
    logs = make(served=nulls, seed=2)

    def given(frame):
        return model(frame.select("a", "b", "c").fill_null(0.0).to_numpy())

    by_model, by_surrogate = played(logs, given=given), played(logs)
    assert by_model.surrogate is not None
    assert (by_model.surrogate.by, by_model.surrogate.same) == ("model", 1.0)
    effect = [found.players["feature_corruption"][0] for found in (by_model, by_surrogate)]
    assert effect[0] == pytest.approx(effect[1], abs=0.01)


def test_a_model_that_is_another_one_is_not_believed():
    found = played(make(served=nulls, seed=2), given=lambda frame: np.full(frame.height, 0.3))
    assert found.surrogate is not None
    assert found.surrogate.by == "surrogate"


def test_the_new_version_handed_in_scores_the_reference():
    def worse(c, rng):
        c["version"] = np.where(c["now"], "2", "1")
        c["score_of"] = lambda c: model(np.where(c["now"][:, None], c["x"] * [0, 1, 1], c["x"]))

    logs = make(served=worse, seed=3)

    def new(frame):
        return model(frame.select("a", "b", "c").to_numpy() * [0, 1, 1])

    by_model, by_surrogate = played(logs, given=new), played(logs)
    assert by_model.surrogate is not None
    assert by_model.surrogate.by == "model"
    effect = [found.players["version_regression"][0] for found in (by_model, by_surrogate)]
    assert effect[0] == pytest.approx(effect[1], abs=0.015)
