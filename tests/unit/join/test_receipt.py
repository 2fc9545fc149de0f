"""Receipts: what was seen, done and said, who the rivals were and why they lost, what may leave the machine."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

import fbkit as fb
from fbkit.errors import ArgumentError
from fbkit.join.window import LISTED

T0 = datetime(2024, 5, 6, tzinfo=UTC)
HOUR = timedelta(hours=1)
ACTIONS = pl.DataFrame(
    {
        "prediction_id": ["p0"],
        "action": ["review"],
        "propensity": [0.8],
        "policy_id": ["pol-2"],
        "ts_action": [T0 + HOUR / 6],
    }
)


def table(rule: str = "earliest", *, count: int = 3, keyed: bool = False, **tables: Any) -> fb.Joined:
    """``count`` predictions of one account, an hour apart, and one outcome that all of them could claim."""
    ids = [f"p{i}" for i in range(count)]
    left = pl.DataFrame(
        {
            "prediction_id": ids,
            "ts_pred": [T0 + i * HOUR / count for i in range(count)],
            "score": [0.5] * count,
            "account": ["acc-77"] * count,
            "amount": [12.5] * count,
            "feature_view": ["fv-9"] * count,
        }
    )
    right = pl.DataFrame(
        {
            "prediction_id": ["p0" if keyed else None],
            "account": ["acc-77"],
            "ts_event": [T0 + 2 * HOUR],
            "ts_arrival": [T0 + 3 * HOUR],
            "label": [1.0],
            "label_version": ["3"],
            "amount": [99.5],
        },
        schema_overrides={"prediction_id": pl.String},
    )
    content: dict[str, Any] = {
        "model": {"name": "m"},
        "predictions": {"columns": {"entity_id": ["account"]}},
        "outcomes": {"columns": {"entity_id": ["account"]}},
        "actions": {"blocked": ["block"]},
        "label": {"window": "4h", "version": "3"},
        "join": {"fallback": {"entity": "account", "rule": rule}},
        "decision": {"threshold": 0.5},
        "features": {
            "columns": ["amount"],
            "definitions": {"amount": {"version": "2", "owner": "finance", "definition": "settled"}},
        },
    }
    contract = fb.Contract.from_dict(content | tables)
    return fb.open_loop(contract=contract, predictions=left, outcomes=right, actions=ACTIONS).join()


def facts(receipt: fb.Joined | Any) -> dict[str, str]:
    return {name: value for _, name, value in receipt.facts}


def test_the_model_the_features_and_their_owners_are_told() -> None:
    receipt = table(keyed=True).receipt("p0")
    told = facts(receipt)
    assert (told["score"], told["threshold"], told["feature_view"]) == ("0.5", "0.5", "fv-9")
    assert receipt.features.row(0) == ("amount", "12.5", "2", "finance", "settled")


def test_the_action_its_propensity_and_its_policy_are_told() -> None:
    told = facts(table(keyed=True).receipt("p0"))
    assert (told["flagged"], told["action"], told["propensity"], told["policy_id"], told["blocked"]) == (
        "yes", "review", "0.8", "pol-2", "no",
    )  # fmt: skip
    assert told["ts_action"] == "2024-05-06T00:10:00Z"
    assert "action" not in facts(table(keyed=True).receipt("p1"))


def test_each_statement_says_its_fate_and_why() -> None:
    row = table(keyed=True).receipt("p0").statements.row(0, named=True)
    assert (row["label"], row["source"], row["label_version"], row["rule"], row["fate"]) == (
        1.0,
        "auto",
        "3",
        "by_id",
        "used",
    )
    assert (row["why"], row["amount"]) == ("the label that counts for its prediction", 99.5)


@pytest.mark.parametrize(
    ("rule", "winner", "others"),
    [("earliest", "p0", "later"), ("latest", "p2", "earlier")],
)
def test_the_winner_names_the_losers_and_each_loser_the_winner(rule: str, winner: str, others: str) -> None:
    joined = table(rule)
    won = joined.receipt(winner).rivals
    assert sorted(won["prediction_id"]) == sorted({"p0", "p1", "p2"} - {winner})
    assert all(f"made {others} than the one that claims it" in why for why in won["why"])
    lost = joined.receipt("p1").rivals
    claim = lost.filter(pl.col("prediction_id") == winner).row(0, named=True)
    assert claim["why"] == f"claims it: the {rule} whose window holds the event (rule {rule})"
    assert claim["fate"] == "used"


def test_with_rule_unique_nobody_claims_it_and_with_all_everybody_does() -> None:
    assert set(table("unique").receipt("p0").rivals["why"]) == {
        "nobody claims it: rule unique, and several predictions could"
    }
    shared = table("all").receipt("p0")
    assert set(shared.rivals["why"]) == {"is labelled by it too (rule all)"}
    assert facts(shared)["label"] == "1"


def test_rivals_of_a_busy_entity_are_counted_even_where_they_are_not_listed() -> None:
    receipt = table("latest", count=LISTED + 20).receipt(f"p{LISTED + 19}")
    assert facts(receipt)["n_rivals"] == str(LISTED + 19)
    assert receipt.unlisted == LISTED + 19 - receipt.rivals.height
    assert f"{receipt.unlisted} more that are not listed" in str(receipt)


def test_personal_columns_are_shown_in_the_session_and_hashed_in_what_leaves_it() -> None:
    receipt = table(keyed=True, privacy={"personal": ["account"]}).receipt("p0")
    assert "acc-77" in str(receipt)
    assert "acc-77" in receipt._repr_html_()
    assert "acc-77" not in receipt.to_text()
    assert "acc-77" not in str(receipt.to_dict())
    assert "acc-77" in receipt.to_text(mask=False)
    assert "p0" in receipt.to_text()


def test_a_personal_id_and_a_personal_feature_are_hashed_too() -> None:
    receipt = table("latest", privacy={"personal": ["prediction_id", "amount"]}).receipt("p2")
    masked = receipt.to_text()
    assert "p0" not in masked
    assert "p2" not in masked
    assert "12.5" not in masked


def test_an_unknown_id_is_answered_with_the_nearest_ones() -> None:
    with pytest.raises(ArgumentError) as caught:
        table().receipt("P-0001")
    assert caught.value.allowed == "an id of the log, for example p1"
    with pytest.raises(ArgumentError, match="no prediction has this id") as private:
        table(privacy={"personal": ["prediction_id"]}).receipt("P1")
    assert "p1" not in str(private.value)


def test_feedback_that_is_linked_to_the_prediction_stands_in_its_receipt() -> None:
    joined = table(keyed=True)
    said = pl.DataFrame({"prediction_id": ["p0", "p1"], "ts_feedback": [T0, T0], "rating": [1.0, 5.0]})
    receipt = replace(joined, feedback=said).receipt("p0")
    assert receipt.feedback["rating"].to_list() == [1.0]
    assert "rating 1" in str(receipt)
    assert joined.receipt("p0").feedback.is_empty()


def test_the_receipt_of_a_session_window_says_when_it_closes() -> None:
    left = pl.DataFrame(
        {"prediction_id": ["a", "b"], "ts_pred": [T0, T0 + HOUR / 4], "score": [0.5, 0.5], "session_id": "s"}
    )
    right = pl.DataFrame({"prediction_id": ["b"], "ts_event": [T0 + HOUR / 3], "label": [1.0]})
    content = {"model": {"name": "m"}, "predictions": {}, "outcomes": {}, "label": {"window": "session"}}
    joined = fb.open_loop(contract=fb.Contract.from_dict(content), predictions=left, outcomes=right).join()
    assert facts(joined.receipt("a"))["window closes"] == "2024-05-06T00:45:00Z"
