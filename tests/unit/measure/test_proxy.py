"""A proxy's agreement with the final label is scikit-learn's, and the rows it rests on are counted."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import accuracy_score, cohen_kappa_score, matthews_corrcoef, precision_score, recall_score

import fbkit as fb
from fbkit.errors import ArgumentError
from fbkit.measure.proxy import proxy_fidelity
from fbkit.samples.versions import VersionsConfig, versions
from fbkit.schema.contract import Contract
from fbkit.schema.results import ESTIMATE_COLUMNS
from fbkit.testing.frames import FakeJoined, random_joined


def pair(n: int = 600, *, seed: int = 0, entities: int | None = None) -> tuple[FakeJoined, FakeJoined]:
    """One table with the final label, one with a proxy of it (sensitivity 0.8, specificity 0.9, 10 % unknown)."""
    final = random_joined(n, seed=seed, entities=entities)
    rng = np.random.default_rng(seed + 1)
    truth = final.frame["score"].to_numpy() > rng.random(n)
    label = np.where(final.frame["label"].is_null().to_numpy(), truth, final.frame["label"].fill_null(0).to_numpy())
    guess = np.where(label == 1, rng.random(n) < 0.8, rng.random(n) < 0.1).astype(float)
    values = pl.Series(
        "label", [None if hidden else value for value, hidden in zip(guess.tolist(), rng.random(n) < 0.1, strict=True)]
    )
    return final, replace(final, frame=final.frame.with_columns(values))


def values(frame: pl.DataFrame) -> dict[str, float]:
    return {row["metric"]: row["value"] for row in frame.iter_rows(named=True)}


def mature(final: FakeJoined, near: FakeJoined) -> pl.DataFrame:
    return final.frame.select("label", "mature", "group", proxy=near.frame["label"]).filter(pl.col("mature"))


def test_agreement_is_scikit_learns() -> None:
    final, near = pair()
    found = values(proxy_fidelity(final, proxy=near))
    both = mature(final, near).drop_nulls(["label", "proxy"])
    y, p = both["label"].to_numpy(), both["proxy"].to_numpy()
    oracle = {
        "agreement": accuracy_score(y, p),
        "kappa": cohen_kappa_score(y, p),
        "phi": matthews_corrcoef(y, p),
        "sensitivity": recall_score(y, p),
        "specificity": recall_score(1 - y, 1 - p),
        "ppv": precision_score(y, p),
        "npv": precision_score(1 - y, 1 - p),
        "base_rate_final": y.mean(),
        "base_rate_proxy": p.mean(),
    }
    assert {name: found[name] for name in oracle} == pytest.approx(oracle, abs=1e-12)


def test_availability_is_that_of_all_rows_at_the_stage() -> None:
    final, near = pair()
    rows = mature(final, near)
    found = values(proxy_fidelity(final, proxy=near))
    assert found["availability_final"] == pytest.approx(rows["label"].is_not_null().mean())
    assert found["availability_proxy"] == pytest.approx(rows["proxy"].is_not_null().mean())


def test_every_slice_is_what_its_rows_alone_give() -> None:
    final, near = pair()
    whole = proxy_fidelity(final, proxy=near, by="group")
    for group in ("g0", "g3"):
        alone = [replace(side, frame=side.frame.filter(pl.col("group") == group)) for side in (final, near)]
        part = whole.filter(pl.col("group") == group)
        assert values(part) == pytest.approx(values(proxy_fidelity(alone[0], proxy=alone[1])), abs=1e-12)


def test_kappa_has_the_published_standard_error() -> None:
    """Fleiss, Cohen and Everitt 1969 (doi:10.1037/h0028106), as statsmodels computes it."""
    from statsmodels.stats.inter_rater import cohens_kappa

    final, near = pair(2000)
    line = proxy_fidelity(final, proxy=near).row(by_predicate=pl.col("metric") == "kappa", named=True)
    both = mature(final, near).drop_nulls(["label", "proxy"])
    table = [[both.filter((pl.col("label") == i) & (pl.col("proxy") == j)).height for j in (0, 1)] for i in (0, 1)]
    oracle = cohens_kappa(table)
    assert line["value"] == pytest.approx(oracle.kappa, abs=1e-12)
    assert (line["upper"] - line["lower"]) / 2 == pytest.approx(1.96 * oracle.std_kappa, rel=0.005)


def test_intervals_grow_with_entities_and_bounds_hold_the_value() -> None:
    final, near = pair(800, entities=40)
    frame = proxy_fidelity(final, proxy=near)
    assert frame.filter(pl.col("metric") == "agreement")["method"].item() == "cluster-robust (entity)"
    bounded = frame.drop_nulls("bound_lower")
    assert (bounded["bound_lower"] <= bounded["value"]).all()
    assert (bounded["bound_upper"] >= bounded["value"]).all()


def test_a_perfect_and_a_useless_proxy() -> None:
    final, _ = pair()
    assert values(proxy_fidelity(final, proxy=final))["kappa"] == 1
    luck = replace(
        final,
        frame=final.frame.with_columns(
            pl.Series("label", np.random.default_rng(3).integers(0, 2, final.frame.height).astype(float))
        ),
    )
    line = proxy_fidelity(final, proxy=luck).row(by_predicate=pl.col("metric") == "kappa", named=True)
    assert line["lower"] < 0 < line["upper"]


def test_numeric_labels_are_correlated() -> None:
    final, near = pair()
    rng = np.random.default_rng(4)
    amount = pl.Series("label", rng.gamma(2, 10, final.frame.height))
    numeric = [
        replace(final, frame=final.frame.with_columns(amount)),
        replace(near, frame=near.frame.with_columns(label=amount + rng.normal(0, 5, len(amount)))),
    ]
    found = values(proxy_fidelity(numeric[0], proxy=numeric[1]))
    both = mature(numeric[0], numeric[1])
    assert found["correlation"] == pytest.approx(np.corrcoef(both["label"], both["proxy"])[0, 1], abs=1e-12)
    ranks = [both[name].rank().to_numpy() for name in ("label", "proxy")]
    assert found["rank_correlation"] == pytest.approx(np.corrcoef(ranks[0], ranks[1])[0, 1], abs=1e-12)
    assert found["mean_proxy"] == pytest.approx(both["proxy"].mean())


def test_a_loop_is_joined_for_both_labels_at_one_time() -> None:
    made = versions(VersionsConfig(proxy=True, design="split", days=10), seed=1)
    loop = fb.open_loop(
        contract=Contract.from_toml(made.contract_toml), predictions=made.predictions, outcomes=made.outcomes
    )
    frame = proxy_fidelity(loop, proxy="report", every="1w", by="region")
    assert frame.columns == ["region", *ESTIMATE_COLUMNS]
    joined = loop.join()
    near = loop.join(as_of=joined.as_of, label="report")
    assert frame.drop("evaluation_id").equals(
        proxy_fidelity(joined, proxy=near, every="1w", by="region").drop("evaluation_id")
    )
    assert proxy_fidelity(loop).height == 11


def test_what_was_asked_wrongly_is_told() -> None:
    final, near = pair(50)
    made = versions(VersionsConfig(days=3), seed=1)
    loop = fb.open_loop(
        contract=Contract.from_toml(made.contract_toml), predictions=made.predictions, outcomes=made.outcomes
    )
    for given, proxy, what in (
        (loop, None, "which proxy"),
        (loop, "click", "which proxy"),
        (final, "click", "one label only"),
        (final, replace(near, as_of=near.as_of + timedelta(days=1)), "different times"),
        (final, replace(near, frame=near.frame.head(20)), "not about the same predictions"),
    ):
        with pytest.raises(ArgumentError, match=what) as caught:
            proxy_fidelity(given, proxy=proxy)
        assert caught.value.next_step


def test_no_common_rows_is_a_reason_and_no_number() -> None:
    final, near = pair(60)
    empty = replace(near, frame=near.frame.with_columns(label=pl.lit(None, dtype=pl.Float64)))
    frame = proxy_fidelity(final, proxy=empty)
    rates = frame.filter(~pl.col("metric").str.starts_with("availability"))
    assert rates["value"].null_count() == rates.height
    assert rates["reason"].null_count() == 0
