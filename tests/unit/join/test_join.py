"""The join case by case: what the conventions say about ties, repeats, corrections, actions and silence."""

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

import fbkit as fb
from fbkit.errors import ArgumentError, InputError

T0 = datetime(2024, 5, 6, tzinfo=UTC)
HOUR = timedelta(hours=1)
TICK = timedelta(microseconds=1)


def contract(**tables: Any) -> fb.Contract:
    base = {"model": {"name": "m"}, "predictions": {}, "outcomes": {}, "label": {"window": "2h"}}
    return fb.Contract.from_dict(base | {"decision": {"threshold": 0.5}} | tables)


def predictions(count: int = 3, **columns: Any) -> pl.DataFrame:
    rows = {"prediction_id": [f"p{i}" for i in range(count)], "ts_pred": [T0 + i * HOUR for i in range(count)]}
    return pl.DataFrame(rows | {"score": [0.5] * count} | columns)


def outcomes(*rows: tuple[str | None, timedelta, timedelta, float], **columns: Any) -> pl.DataFrame:
    names = {"prediction_id": pl.String, "event": pl.Duration("us"), "arrival": pl.Duration("us"), "label": pl.Float64}
    frame = pl.DataFrame(list(rows), schema=names, orient="row")
    frame = frame.select(
        "prediction_id", (T0 + pl.col("event")).alias("ts_event"), (T0 + pl.col("arrival")).alias("ts_arrival"), "label"
    )
    return frame.with_columns(**columns)


def joined(
    left: pl.DataFrame, right: pl.DataFrame, *, as_of: datetime | None = None, actions: Any = None, **tables: Any
) -> fb.Joined:
    loop = fb.open_loop(contract=contract(**tables), predictions=left, outcomes=right, actions=actions)
    return loop.join(as_of=as_of)


def column(table: fb.Joined, name: str) -> list[Any]:
    return table.frame[name].to_list()


def rows_of(table: fb.Joined, rule: str) -> int:
    return int(table.audit.filter(pl.col("rule") == rule)["rows"].sum())


def test_both_ends_of_the_window_are_closed() -> None:
    right = outcomes(("p0", 0 * HOUR, HOUR, 1), ("p1", 3 * HOUR, 4 * HOUR, 1), ("p2", 4 * HOUR + TICK, 5 * HOUR, 1))
    table = joined(predictions(), right)
    assert column(table, "state") == ["positive", "positive", "missing" if table.as_of >= T0 + 4 * HOUR else "pending"]
    assert rows_of(table, "after_window") == 1


def test_leakage_is_never_a_label_and_is_counted() -> None:
    table = joined(predictions(1), outcomes(("p0", -TICK, 9 * HOUR, 1)))
    assert (column(table, "state"), rows_of(table, "before_prediction")) == (["missing"], 1)


def test_mature_is_closed_at_window_plus_grace() -> None:
    right = outcomes(("p0", HOUR, HOUR, 1))
    label = {"window": "2h", "grace": "1h"}
    assert column(joined(predictions(1), right, as_of=T0 + 3 * HOUR, label=label), "mature") == [True]
    assert column(joined(predictions(1), right, as_of=T0 + 3 * HOUR - TICK, label=label), "mature") == [False]


def test_a_late_label_counts_from_its_arrival_on() -> None:
    right = outcomes(("p0", HOUR, 5 * HOUR, 1))
    before = joined(predictions(1), right, as_of=T0 + 4 * HOUR)
    after = joined(predictions(1), right, as_of=T0 + 5 * HOUR)
    assert (column(before, "state"), column(before, "late")) == (["missing"], [False])
    assert (column(after, "state"), column(after, "late"), rows_of(after, "late")) == (["positive"], [True], 1)
    assert column(after, "arrival_lag") == [5 * HOUR]
    assert column(after, "lag") == [HOUR]


def test_the_newest_arrival_is_the_default_moment_and_later_predictions_are_counted() -> None:
    table = joined(predictions(), outcomes(("p0", HOUR, HOUR, 1)))
    assert table.as_of == T0 + HOUR
    assert column(table, "prediction_id") == ["p0", "p1"]
    assert rows_of(table, "after_as_of") == 1


def test_a_prediction_that_was_logged_late_is_not_known_before() -> None:
    left = predictions(2, ts_logged=[T0 + 9 * HOUR, T0 + HOUR])
    table = joined(left, outcomes(("p0", HOUR, HOUR, 1)), as_of=T0 + 2 * HOUR)
    assert column(table, "prediction_id") == ["p1"]
    assert rows_of(table, "orphan") == 1


def test_an_id_that_clashes_later_still_stood_alone_before() -> None:
    """What was a good row yesterday stays one in yesterday's view, whatever was logged since."""
    left = pl.concat([predictions(3), predictions(1).with_columns(ts_pred=T0 + 8 * HOUR, score=pl.lit(0.9))])
    right = outcomes(
        ("p0", HOUR, HOUR, 1),
        ("p1", HOUR, HOUR, 1),
        ("p1", HOUR, 9 * HOUR, 0),
        ("p2", 9 * HOUR, 9 * HOUR, 0),
        outcome_id=pl.Series(["a", "b", "b", None]),
    )
    actions = [("p0", "allow", T0), ("p1", "allow", T0), ("p0", "block", T0 + 9 * HOUR), ("x", "allow", T0)]
    acted = pl.DataFrame(actions, schema=["prediction_id", "action", "ts_action"], orient="row")
    loop = fb.open_loop(
        contract=contract(actions={"blocked": "block"}), predictions=left, outcomes=right, actions=acted
    )
    before = loop.join(as_of=T0 + 2 * HOUR)
    assert column(before, "prediction_id") == ["p0", "p1", "p2"]
    assert column(before, "label") == [1.0, 1.0, None]
    assert column(before, "action") == ["allow", "allow", None]
    assert rows_of(before, "clash_still_unknown") == 3
    after = loop.join(as_of=T0 + 9 * HOUR)
    assert column(after, "prediction_id") == ["p1", "p2"]
    assert column(after, "state") == ["missing", "missing"]
    assert (column(after, "action"), rows_of(after, "clash_still_unknown")) == (["allow", None], 0)


def test_a_statement_that_clashes_has_arrived_all_the_same() -> None:
    """It says nothing about its prediction, but that the feed was alive, and when the log ends."""
    rows = [
        ("p1", HOUR, HOUR, 1),
        ("p2", 2 * HOUR, 9 * HOUR, 1),
        ("p2", 2 * HOUR, 9 * HOUR, 0),
        ("p1", HOUR, 2 * HOUR, 1),
    ]
    right = outcomes(*rows, outcome_id=pl.Series(["a", "b", "b", "c"]))
    table = joined(predictions(), right, label={"window": "2h", "silence": "negative"})
    assert table.as_of == T0 + 9 * HOUR
    assert table.data_through["feed_complete"] == "2024-05-06T09:00:00Z"
    assert column(table, "state") == ["negative", "positive", "negative"]


def test_join_keys_that_clash_are_judged_as_known_then() -> None:
    """At 1 h "a" has no clash of its id yet, so it shares its keys with "b"; later its id clashes, and "b" is alone."""
    keys = ["request_id", "item_id"]
    left = predictions(3, prediction_id=["a", "b", "a"], request_id=["r", "r", "s"], item_id=["i", "i", "i"])
    left = pl.concat([left, predictions(1, prediction_id=["c"], request_id=["t"], item_id=["i"])])
    right = pl.DataFrame({"request_id": ["r"], "item_id": ["i"], "ts_event": [T0 + HOUR], "label": [1]})
    then = joined(left, right, as_of=T0 + HOUR, join={"keys": keys})
    assert (column(then, "prediction_id"), rows_of(then, "clash_then")) == (["c"], 1)
    now = joined(left, right, as_of=T0 + 2 * HOUR, join={"keys": keys})
    assert (column(now, "prediction_id"), column(now, "label")) == (["c", "b"], [None, 1.0])


def test_a_correction_wins_by_arrival_and_keep_first_refuses_it() -> None:
    right = outcomes(("p0", HOUR, 2 * HOUR, 1), ("p0", HOUR, 3 * HOUR, 0))
    assert column(joined(predictions(1), right), "label") == [0.0]
    assert column(joined(predictions(1), right, label={"window": "2h", "corrections": "keep_first"}), "label") == [1.0]
    assert rows_of(joined(predictions(1), right), "superseded") == 1


def test_simultaneous_statements_that_disagree_settle_nothing() -> None:
    right = outcomes(("p0", HOUR, 3 * HOUR, 1), ("p0", HOUR, 3 * HOUR, 0))
    table = joined(predictions(1), right)
    assert (column(table, "state"), column(table, "n_outcomes"), rows_of(table, "conflicting_label")) == (
        ["missing"],
        [2],
        2,
    )
    silent = joined(predictions(1), right, label={"window": "2h", "silence": "negative"})
    assert column(silent, "state") == ["missing"]


def test_a_preferred_source_decides_a_tie() -> None:
    right = outcomes(("p0", HOUR, 3 * HOUR, 1), ("p0", HOUR, 3 * HOUR, 0), source=pl.Series(["backfill", "auto"]))
    table = joined(predictions(1), right)
    assert (column(table, "label"), column(table, "source"), rows_of(table, "superseded")) == ([0.0], ["auto"], 1)


def test_audit_rows_never_set_the_label() -> None:
    table = joined(predictions(1), outcomes(("p0", HOUR, 3 * HOUR, 1), source=pl.lit("audit")))
    assert (column(table, "state"), rows_of(table, "audit_row")) == (["missing"], 1)


def test_silence_is_a_negative_only_where_the_feed_is_complete() -> None:
    label = {"window": "2h", "silence": "negative"}
    right = outcomes(
        ("p2", 3 * HOUR, 3 * HOUR, 1), ("p2", 3 * HOUR, 9 * HOUR, 1), source=pl.Series(["auto", "backfill"])
    )
    table = joined(predictions(), right, label=label)
    # The backfill arrives at 9 h but does not say that the feed is complete: that is 3 h, when p0 and p1 have closed.
    assert column(table, "state") == ["negative", "negative", "positive"]
    assert column(table, "ts_arrival")[:2] == [T0 + 2 * HOUR, T0 + 3 * HOUR]
    assert column(table, "rule") == [None, None, "by_id"]
    stated = joined(predictions(), right, label=label, outcomes={"complete_through": T0 + 2 * HOUR})
    assert column(stated, "state") == ["negative", "pending", "positive"]
    only = joined(predictions(), right.filter(pl.col("source") == "backfill"), label=label)
    assert column(only, "state")[:2] == ["pending", "pending"]


def test_an_action_that_hides_the_outcome_censors_it() -> None:
    actions = pl.DataFrame({"prediction_id": ["p0", "p1"], "action": ["block", "allow"], "propensity": [0.5, 1.0]})
    right = outcomes(("p0", HOUR, 3 * HOUR, 1), ("p1", HOUR, 3 * HOUR, 1))
    table = joined(predictions(), right, actions=actions)
    assert column(table, "blocked") == [False, False, False]
    loop = fb.open_loop(
        contract=contract(actions={"blocked": "block"}), predictions=predictions(), outcomes=right, actions=actions
    )
    table = loop.join()
    assert column(table, "state") == ["censored", "positive", "pending"]
    assert column(table, "label")[0] is None
    assert (column(table, "n_rivals"), column(table, "propensity")) == ([0, 0, 0], [0.5, 1.0, None])
    assert rows_of(table, "contradicts_action") == 1


def test_an_action_logged_later_is_not_known_before() -> None:
    actions = pl.DataFrame({"prediction_id": ["p0"], "action": ["block"], "ts_action": [T0 + 5 * HOUR]})
    loop = fb.open_loop(
        contract=contract(actions={"blocked": ["block"]}),
        predictions=predictions(1),
        outcomes=outcomes(("p0", HOUR, HOUR, 1)),
        actions=actions,
    )
    assert column(loop.join(), "state") == ["positive"]
    assert column(loop.join(as_of=T0 + 5 * HOUR), "state") == ["censored"]


@pytest.mark.parametrize(
    ("rule", "labelled", "rivals"),
    [("earliest", ["p0"], 1), ("latest", ["p1"], 1), ("unique", [], 0), ("all", ["p0", "p1"], 1)],
)
def test_the_fallback_serves_only_outcomes_without_a_key(rule: str, labelled: list[str], rivals: int) -> None:
    left = predictions(3, account=[" a ", "a", "b"])
    right = outcomes((" ", HOUR + TICK, 3 * HOUR, 1), ("nobody", HOUR, 3 * HOUR, 1), account=pl.lit("a"))
    table = joined(left, right, join={"fallback": {"entity": "account", "rule": rule}})
    known = table.frame.filter(pl.col("label").is_not_null())
    assert known["prediction_id"].to_list() == labelled
    assert set(known["rule"]) <= {"by_fallback"}
    assert set(known["n_rivals"]) == ({rivals} if labelled else set())
    assert rows_of(table, "orphan") == 1
    assert rows_of(table, "ambiguous") == (2 if rule == "unique" else 0)


def test_an_id_is_text_and_keeps_its_zeros() -> None:
    left = predictions(2, prediction_id=[123, 7])
    right = outcomes(("00123", HOUR, 3 * HOUR, 1), ("7", 2 * HOUR, 3 * HOUR, 1))
    table = joined(left, right)
    assert column(table, "state") == ["pending" if table.as_of < T0 + 2 * HOUR else "missing", "positive"]
    assert rows_of(table, "orphan") == 1
    assert "prediction_id: Int64 -> String" in table.audit["detail"].to_list()


@pytest.mark.parametrize(
    ("combine", "label", "state"),
    [
        ("first", 1.0, "positive"),
        ("last", 0.0, "negative"),
        ("any", 1.0, "positive"),
        ("max", 1.0, "positive"),
        ("sum", 2.0, "labelled"),
        ("count", 3.0, "labelled"),
    ],
)
def test_separate_events_are_combined(combine: str, label: float, state: str) -> None:
    right = outcomes(("p0", HOUR, HOUR, 1), ("p0", HOUR + TICK, 2 * HOUR, 1), ("p0", 2 * HOUR, 2 * HOUR, 0))
    table = joined(predictions(1), right, label={"window": "2h", "combine": combine})
    assert (column(table, "label"), column(table, "state")) == ([label], [state])


def test_a_ranking_joins_by_request_item_and_position() -> None:
    keys = ["request_id", "item_id", "position"]
    left = pl.DataFrame(
        {"request_id": ["r", "r"], "item_id": ["i", "i"], "position": [1, 2], "ts_pred": [T0, T0], "score": [3.0, 2.0]}
    )
    right = pl.DataFrame(
        {
            "request_id": ["r"],
            "item_id": ["i"],
            "position": [2],
            "prediction_id": ["else"],
            "ts_event": [T0],
            "label": [1],
        }
    )
    model = {"name": "m", "task": "ranking"}
    table = joined(left, right, model=model, join={"keys": keys})
    assert column(table, "prediction_id") == ["r|i|1", "r|i|2"]
    assert column(table, "label") == [None, 1.0]
    assert column(table, "state") == ["pending", "labelled"]
    again = pl.concat([left, left.head(1).with_columns(score=pl.lit(9.0)), left.with_columns(request_id=pl.lit("s"))])
    twice = joined(again, right, model=model, join={"keys": keys})
    assert column(twice, "prediction_id") == ["r|i|2", "s|i|1", "s|i|2"]
    named = joined(again.with_row_index("prediction_id"), right, model=model, join={"keys": keys})
    assert column(named, "prediction_id") == ["1", "3", "4"]
    with pytest.raises(InputError, match="lacks a join key"):
        joined(left.with_columns(prediction_id=pl.lit("x")).drop("position"), right, join={"keys": keys})
    with pytest.raises(InputError, match="no column prediction_id"):
        joined(left.drop("position"), right, join={"keys": keys})


def ranked(requests: list[Any], items: list[Any], positions: list[Any], **columns: Any) -> pl.DataFrame:
    keys = {"request_id": requests, "item_id": items, "position": positions}
    return pl.DataFrame(keys | columns, strict=False)


def by_three_keys(left: pl.DataFrame, right: pl.DataFrame) -> fb.Joined:
    return joined(left, right, as_of=T0 + 9 * HOUR, join={"keys": ["request_id", "item_id", "position"]})


def test_keys_that_hold_the_separator_stay_apart() -> None:
    left = ranked(["a|b", "a", "a\\"], ["c", "b|c", "|b|c"], [1, 1, 1], ts_pred=[T0] * 3, score=[0.5] * 3)
    right = ranked(["a"], ["b|c"], [1], ts_event=[T0], label=[1])
    table = by_three_keys(left, right)
    assert set(column(table, "prediction_id")) == {r"a\|b|c|1", r"a|b\|c|1", r"a\\|\|b\|c|1"}
    assert table.frame.filter(pl.col("request_id") == "a")["label"].to_list() == [1.0]
    assert table.frame["label"].null_count() == 2


@pytest.mark.parametrize("positions", [[1, 2], ["1", "2"], [1.0, 2.0]])
@pytest.mark.parametrize("said", [[2, None], ["2", None], [2.0, None]])
def test_a_key_is_a_number_or_its_text(positions: list[Any], said: list[Any]) -> None:
    """A null makes a column of positions a column of floats in other libraries: 2.0 is position 2."""
    left = ranked(["r", "r"], ["i", "i"], positions, ts_pred=[T0, T0], score=[0.5, 0.5])
    right = ranked(["r", "r"], ["i", "i"], said, ts_event=[T0, T0], label=[1, 1])
    table = by_three_keys(left, right)
    assert column(table, "prediction_id") == ["r|i|1", "r|i|2"]
    assert (column(table, "label"), rows_of(table, "no_key")) == ([None, 1.0], 1)


def test_a_key_of_fractions_is_refused_and_a_null_part_pairs_with_nothing() -> None:
    left = ranked(["r", "r", None], ["i", "j", "i"], [1, 2, 1], ts_pred=[T0] * 3, score=[0.5] * 3)
    right = ranked(["r", " "], ["i", "i"], [1, 1], ts_event=[T0] * 2, label=[1, 1])
    table = by_three_keys(left, right)
    assert (column(table, "label"), rows_of(table, "null_id"), rows_of(table, "no_key")) == ([1.0, None], 1, 1)
    with pytest.raises(InputError, match="holds fractions"):
        by_three_keys(left, right.with_columns(position=pl.Series([1.5, 1.0])))
    named = left.with_columns(prediction_id=pl.Series(["x", "y", "z"]))
    assert column(by_three_keys(named, right), "label") == [1.0, None, None]


def test_a_column_called_as_the_windows_end_keeps_its_values() -> None:
    left = predictions(1, session_id=["s"], closes=["shop"], __closes=["x"])
    table = joined(left, outcomes(("p0", HOUR, HOUR, 1)), label={"window": "session"})
    assert (column(table, "logged_closes"), column(table, "logged___closes")) == (["shop"], ["x"])
    assert column(joined(left, outcomes(("p0", HOUR, HOUR, 1))), "closes") == ["shop"]


def test_columns_of_the_outcome_log_never_stand_in_for_the_kits_own() -> None:
    """An outcome log often carries a copy of the prediction's time, or words like rule and key of its own."""
    right = outcomes(
        ("p0", HOUR, 3 * HOUR, 1), rule=pl.lit("mine"), key=pl.lit("k"), fate=pl.lit("f"), statement=pl.lit(7)
    )
    right = right.with_columns(ts_pred=pl.lit(T0 + 9 * HOUR), n_rivals=pl.lit(3))
    table = joined(predictions(1), right)
    assert (column(table, "label"), column(table, "rule"), column(table, "n_rivals")) == ([1.0], ["by_id"], [0])
    assert table.candidates["logged_rule"].to_list() == ["mine"]


@pytest.mark.parametrize(
    ("values", "flagged"),
    [
        ([True, False, None], [True, False, True]),
        ([1, 0, None], [True, False, True]),
        ([1.0, 0.0, float("nan")], [True, False, True]),
        (["TRUE", " false", ""], [True, False, True]),
    ],
)
def test_a_logged_decision_wins_over_the_threshold(values: list[Any], flagged: list[bool]) -> None:
    table = joined(predictions(3, decision=values), outcomes(("p0", HOUR, 3 * HOUR, 1)))
    assert column(table, "flagged") == flagged
    assert rows_of(table, "decision_disagrees") == 1


@pytest.mark.parametrize("values", [["block", "allow", "review"], [1, 0, 2]])
def test_a_decision_in_other_words_must_be_explained(values: list[Any]) -> None:
    left = predictions(3, decision=values)
    with pytest.raises(InputError, match="neither boolean nor 0/1"):
        joined(left, outcomes(("p0", HOUR, 3 * HOUR, 1)))
    said = joined(left, outcomes(("p0", HOUR, 3 * HOUR, 1)), decision={"positive": [str(values[0]), str(values[2])]})
    assert column(said, "flagged") == [True, False, True]


def test_a_threshold_per_row_wins_and_a_missing_one_falls_back() -> None:
    left = predictions(3, threshold=[0.9, float("nan"), None])
    assert column(joined(left, outcomes(("p0", HOUR, 3 * HOUR, 1))), "flagged") == [False, True, True]
    nothing = joined(predictions(1), outcomes(("p0", HOUR, 3 * HOUR, 1)), decision={})
    assert column(nothing, "flagged") == [None]


def test_a_label_of_another_definition_is_counted() -> None:
    right = outcomes(("p0", HOUR, 3 * HOUR, 1), label_version=pl.lit("1"))
    assert rows_of(joined(predictions(1), right, label={"window": "2h", "version": "2"}), "older_definition") == 1


def test_a_receipt_tells_everything_about_one_prediction() -> None:
    right = outcomes(("p0", HOUR, 2 * HOUR, 1), ("p0", HOUR, 3 * HOUR, 0), ("p0", HOUR, 9 * HOUR, 1))
    left = predictions(2, region=["EU", None])
    table = joined(left, right, as_of=T0 + 4 * HOUR, slices={"columns": ["region"]})
    receipt = table.receipt("p0")
    text = str(receipt)
    assert "superseded" in text
    assert "2 statements" in text
    assert "09:00" not in text
    assert receipt.frame.columns == ["section", "name", "value"]
    assert ("what the model saw", "region", "EU") in receipt.facts
    assert table.receipt("p1").statements.is_empty()
    with pytest.raises(ArgumentError, match="for example p0"):
        table.receipt("p00")


def test_the_receipt_of_a_refused_prediction_names_the_rule() -> None:
    left = predictions(3, score=[0.5, float("nan"), 0.5])
    with pytest.raises(ArgumentError, match="score_not_finite"):
        joined(left, outcomes(("p0", HOUR, 3 * HOUR, 1))).receipt("p1")


SESSION = {"window": "session", "session_gap": "2h", "grace": "1h"}


def test_a_session_window_needs_a_session() -> None:
    with pytest.raises(InputError, match="session_id"):
        joined(predictions(1), outcomes(("p0", HOUR, HOUR, 1)), label={"window": "session"})


def test_the_window_of_a_session_ends_a_gap_after_its_last_prediction() -> None:
    left = predictions(4, session_id=["s", "s", " ", None])
    right = outcomes(("p0", 3 * HOUR, 9 * HOUR, 1), ("p1", 3 * HOUR + TICK, 9 * HOUR, 1), ("p2", 4 * HOUR, 9 * HOUR, 1))
    table = joined(left, right, label=SESSION)
    assert column(table, "closes") == [T0 + hours * HOUR for hours in (3, 3, 4, 5)]
    assert column(table, "state") == ["positive", "missing", "positive", "missing"]
    assert rows_of(table, "after_window") == 1
    assert column(table, "late") == [True, False, True, False]


def test_a_session_that_goes_on_stays_open() -> None:
    """The second prediction is not known at 0 h 59, so the first one's window seems to end at 2 h."""
    left, right = predictions(2, session_id=["s", "s"]), outcomes(("p0", HOUR, HOUR, 1))
    early = joined(left, right, as_of=T0 + HOUR - TICK, label=SESSION)
    assert column(early, "closes") == [T0 + 2 * HOUR]
    later = joined(left, right, as_of=T0 + 3 * HOUR, label=SESSION)
    assert (column(later, "closes"), column(later, "mature")) == ([T0 + 3 * HOUR] * 2, [False, False])
    assert column(joined(left, right, as_of=T0 + 4 * HOUR, label=SESSION), "mature") == [True, True]


def test_the_fallback_looks_for_the_event_inside_the_session() -> None:
    left = predictions(2, session_id=["s", "s"], account=["a", "a"])
    right = outcomes((None, 3 * HOUR, 3 * HOUR, 1), account=pl.lit("a"))
    table = joined(left, right, label=SESSION, join={"fallback": {"entity": "account", "rule": "earliest"}})
    assert (column(table, "label"), column(table, "n_rivals")) == ([1.0, None], [1, 0])


def test_a_fallback_on_an_unknown_column_is_refused() -> None:
    with pytest.raises(InputError, match="fallback names an entity column"):
        joined(
            predictions(1),
            outcomes((None, HOUR, HOUR, 1), account=pl.lit("a")),
            join={"fallback": {"entity": "account"}},
        )


def test_no_outcome_at_all_is_a_table_of_open_and_missing_labels() -> None:
    table = joined(predictions(3), outcomes())
    assert table.as_of == T0 + 2 * HOUR
    assert column(table, "state") == ["missing", "pending", "pending"]
    assert table.data_through == {"predictions": "2024-05-06T02:00:00Z", "outcomes": None, "feed_complete": None}


def test_no_prediction_is_told_with_its_reason() -> None:
    with pytest.raises(InputError, match="2 other_environment"):
        joined(predictions(2, environment=["dev", "dev"]), outcomes(("p0", HOUR, HOUR, 1)))
    with pytest.raises(InputError, match="0 rows in"):
        joined(predictions(0), outcomes())
    with pytest.raises(InputError, match="no prediction at the as-of time"):
        joined(predictions(1), outcomes(("p0", HOUR, HOUR, 1)), as_of=T0 - HOUR)


def test_equal_inputs_have_equal_keys_and_other_moments_other_ones() -> None:
    right = outcomes(("p0", HOUR, HOUR, 1))
    assert joined(predictions(1), right).evaluation_key == joined(predictions(1), right).evaluation_key
    assert (
        joined(predictions(1), right).evaluation_key
        != joined(predictions(1), right, as_of=T0 + 2 * HOUR).evaluation_key
    )
