from collections import Counter
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from fbkit.errors import ArgumentError
from fbkit.join.join import join
from fbkit.join.joined import Joined
from fbkit.load.loop import load_logs
from fbkit.samples import Simulation, WorldConfig, simulate
from fbkit.samples.audit import answered, audited
from fbkit.samples.evidence import PARTS, without
from fbkit.samples.faults import ImmatureWindow, LabelLossNonrandom
from fbkit.schema.contract import Contract

CONFIG = WorldConfig(reference_weeks=2, per_day=300, actions=True, blocked_share=0.2)


@pytest.fixture(scope="module")
def whole() -> Simulation:
    return simulate(CONFIG, seed=5)


def opened(simulation: Simulation, folder: Path) -> Joined:
    root = simulation.write(folder)
    contract = Contract.from_toml((root / "contract.toml").read_text())
    return join(load_logs(contract, root=root), contract=contract, as_of=simulation.as_of)


@pytest.mark.parametrize("part", PARTS)
def test_a_loop_without_one_kind_of_evidence_opens_and_does_not_have_it(
    part: str, whole: Simulation, tmp_path: Path
) -> None:
    bare = without(whole, part)
    joined = opened(bare, tmp_path)
    assert joined.frame.height == whole.predictions["prediction_id"].n_unique()
    assert joined.frame["label"].is_not_null().any()
    gone = {
        "actions": bare.actions is None and not joined.frame["blocked"].any(),
        "changes": bare.changes is None and joined.contract.changes is None,
        "features": joined.contract.features.columns == () and "ip_risk" not in joined.frame.columns,
        "entities": "entity_id" not in {*bare.predictions.columns, *bare.outcomes.columns},
        "arrival": "ts_arrival" not in bare.outcomes.columns,
        "versions": joined.frame["label_version"].is_null().all(),
        "propensity": joined.frame["propensity"].is_null().all() and joined.frame["blocked"].any(),
        "ids": set(joined.frame["rule"].drop_nulls()) == {"by_fallback"},
    }
    assert gone[part]
    assert bare.truth == whole.truth


def test_several_parts_may_go_one_after_the_other(whole: Simulation) -> None:
    at_once = without(whole, "features", "arrival", "actions")
    one_by_one = without(without(without(whole, "actions"), "features"), "arrival")
    assert at_once.contract_toml == one_by_one.contract_toml
    assert at_once.predictions.equals(one_by_one.predictions)
    assert at_once.outcomes.equals(one_by_one.outcomes)
    assert without(whole).contract_toml == whole.contract_toml


def test_what_cannot_be_left_out_is_refused(whole: Simulation) -> None:
    with pytest.raises(ArgumentError, match="no such evidence"):
        without(whole, "hope")
    with pytest.raises(ArgumentError, match="belong to no prediction"):
        without(without(whole, "entities"), "ids")
    with pytest.raises(ArgumentError, match="belong to no prediction"):
        without(simulate(replace(CONFIG, outcome_accounts=False), seed=1), "ids")


def test_an_audit_sets_no_label_and_arrives_last(whole: Simulation, tmp_path: Path) -> None:
    joined, before = opened(audited(whole, flagged=40, unflagged=60), tmp_path / "a"), opened(whole, tmp_path / "b")
    assert joined.frame["label"].equals(before.frame["label"])
    audit = joined.candidates.filter(pl.col("source") == "audit")
    assert Counter(audit["fate"]) == {"audit_row": 100}
    assert audit["ts_arrival"].unique().to_list() == [whole.as_of]


def test_an_audit_draws_unlabelled_rows_of_the_window_with_the_stated_chance(whole: Simulation) -> None:
    made = audited(whole, flagged=20, unflagged=30, labelled=(6, 4))
    audit = made.outcomes.filter(pl.col("source") == "audit").join(
        whole.final, on="prediction_id", suffix="_true", maintain_order="left"
    )
    assert audit["prediction_id"].is_unique().all()
    assert (audit["label"] == audit["label_true"]).all()
    assert (audit["ts_pred"] >= CONFIG.current_start).all()
    counts = Counter(audit.select("stated", "decision").iter_rows())
    assert counts == {(False, True): 20, (False, False): 30, (True, True): 6, (True, False): 4}
    strata = whole.final.filter(pl.col("ts_pred") >= CONFIG.current_start).group_by("stated", "decision").len()
    for stated, decision, size in strata.iter_rows():
        rows = audit.filter((pl.col("stated") == stated) & (pl.col("decision") == decision))
        assert rows["audit_prob"].unique().to_list() == pytest.approx([counts[stated, decision] / size])
    assert made.outcomes.filter(pl.col("source") != "audit").drop("audit_prob").equals(whole.outcomes)


def test_what_is_stated_is_what_the_join_finds_labelled(whole: Simulation, tmp_path: Path) -> None:
    frame = opened(whole, tmp_path).frame.join(whole.final.select("prediction_id", "stated"), on="prediction_id")
    assert (frame["stated"] == frame["label"].is_not_null()).all()


def test_an_audit_finds_what_the_labels_hide() -> None:
    config = replace(CONFIG, per_day=2000, actions=False, blocked_share=0.0)
    hurt = simulate(config, [LabelLossNonrandom(severity=0.6, where={"decision": "flagged"})], seed=2)
    current = hurt.final.filter(pl.col("ts_pred") >= config.current_start)
    audit = audited(hurt, flagged=10**6, unflagged=1500).outcomes.filter(pl.col("source") == "audit")
    missed = audit.join(hurt.final.select("prediction_id", "decision"), on="prediction_id").filter(pl.col("label") == 1)
    found = {True: 0.0, False: 0.0}
    for decision in found:
        stated = current.filter("stated", pl.col("decision") == decision)["label"].sum()
        found[decision] = float(stated) + float((1 / missed.filter(pl.col("decision") == decision)["audit_prob"]).sum())
    recall = found[True] / (found[True] + found[False])
    observed = current.filter("stated", pl.col("label") == 1)["decision"].mean()
    full = current.filter(pl.col("label") == 1)["decision"].mean()
    assert isinstance(observed, float)
    assert isinstance(full, float)
    assert observed < full - 0.1
    assert recall == pytest.approx(full, abs=0.03)


def test_an_audit_seed_draws_other_rows_and_both_windows_can_be_asked_for(whole: Simulation) -> None:
    ids = [
        audited(whole, flagged=5, unflagged=20, seed=seed).outcomes.filter(pl.col("source") == "audit")["prediction_id"]
        for seed in (1, 1, 2)
    ]
    assert ids[0].equals(ids[1])
    assert not ids[0].equals(ids[2])
    old = audited(whole, flagged=3, unflagged=3, window="reference")
    drawn = old.outcomes.filter(pl.col("source") == "audit").join(whole.final, on="prediction_id")
    assert (drawn["ts_pred"] < CONFIG.current_start).all()
    everything = audited(whole, flagged=10**6, unflagged=10**6, window="both").outcomes
    assert everything.filter(pl.col("source") == "audit").height == whole.final.filter(~pl.col("stated")).height
    assert everything["audit_prob"].drop_nulls().unique().to_list() == [1.0]


def test_an_audit_of_open_windows_is_not_from_the_future(tmp_path: Path) -> None:
    early = simulate(CONFIG, [ImmatureWindow(severity=10.0)], seed=4)
    made = audited(early, flagged=10**6, unflagged=10**6)
    audit = made.outcomes.filter(pl.col("source") == "audit")
    assert (audit["ts_event"] <= early.as_of).all()
    fates = opened(made, tmp_path).candidates.filter(pl.col("source") == "audit")["fate"]
    assert set(fates) == {"audit_row"}


def test_rows_that_somebody_chose_are_answered_and_strangers_refused(whole: Simulation) -> None:
    chosen = whole.final.head(3).select("prediction_id", pl.lit(0.5).alias("audit_prob"))
    outcomes = answered(whole, chosen).outcomes
    assert outcomes.tail(3)["label"].to_list() == whole.final.head(3)["label"].to_list()
    twice = answered(answered(whole, chosen), chosen)
    assert twice.outcomes.height == whole.outcomes.height + 6
    with pytest.raises(ArgumentError, match="does not hold"):
        answered(whole, chosen.with_columns(prediction_id=pl.lit("p9999999")))
