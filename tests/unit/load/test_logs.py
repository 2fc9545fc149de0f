"""The checks of each log: accept, set aside with reason and count, or refuse; nothing else."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from fbkit.errors import InputError
from fbkit.load.loop import Logs, load_logs
from fbkit.schema.contract import Contract

T0 = datetime(2024, 5, 6, tzinfo=UTC)
HOUR = timedelta(hours=1)


def contract(**tables: Any) -> Contract:
    base = {"model": {"name": "m"}, "predictions": {}, "outcomes": {}, "label": {"window": "2h"}}
    return Contract.from_dict(base | tables)


def left(count: int = 5, **columns: Any) -> pl.DataFrame:
    ids = [f"p{i}" for i in range(count)]
    return pl.DataFrame({"prediction_id": ids, "ts_pred": [T0] * count, "score": [0.5] * count} | columns)


def right(count: int = 5, **columns: Any) -> pl.DataFrame:
    ids = [f"p{i}" for i in range(count)]
    return pl.DataFrame({"prediction_id": ids, "ts_event": [T0] * count, "label": [1] * count} | columns)


def load(
    predictions: pl.DataFrame | None = None,
    outcomes: pl.DataFrame | None = None,
    *,
    made: Contract | None = None,
    **frames: Any,
) -> Logs:
    given = {
        "predictions": left() if predictions is None else predictions,
        "outcomes": right() if outcomes is None else outcomes,
    }
    return load_logs(made or contract(), root=Path(), frames=given | frames)


def rules(logs: Logs, table: str) -> dict[str, int]:
    audit = logs.audit.filter((pl.col("table") == table) & (pl.col("rule") != "cast"))
    found = dict(audit.select("rule", "rows").iter_rows())
    found.pop("arrival_is_event_time", None)
    assert found.pop("in") == sum(found.values())
    found.pop("used")
    return found


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("prediction_id", None, "null_id"),
        ("prediction_id", " ", "null_id"),
        ("prediction_id", "p1", "conflicting_id"),
        ("ts_pred", None, "null_time"),
        ("ts_pred", datetime(1970, 1, 20, tzinfo=UTC), "absurd_time"),
        ("score", None, "null_score"),
        ("score", float("nan"), "score_not_finite"),
        ("score", float("inf"), "score_not_finite"),
        ("score", 1.5, "score_out_of_range"),
        ("environment", "staging", "other_environment"),
        ("environment", None, "other_environment"),
    ],
)
def test_a_bad_prediction_is_set_aside_under_its_rule(column: str, value: object, rule: str) -> None:
    frame = left(9, environment=["prod"] * 9)
    frame = frame.with_columns(
        pl.when(pl.int_range(9) == 0).then(pl.lit(value, dtype=frame.schema[column])).otherwise(column).alias(column)
    )
    frame = frame.with_columns(
        score=pl.when(pl.col("prediction_id") == "p1").then(pl.int_range(9) / 10).otherwise("score")
    )
    logs = load(frame)
    assert rules(logs, "predictions") == {rule: 2 if rule == "conflicting_id" else 1}
    assert logs.predictions.rejects["rule"].unique().to_list() == [rule]


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("prediction_id", "", "no_key"),
        ("ts_event", None, "null_time"),
        ("ts_event", datetime(1970, 1, 1, tzinfo=UTC), "absurd_time"),
        ("ts_arrival", T0 - HOUR, "arrival_before_event"),
        ("label", None, "null_label"),
        ("label", float("nan"), "null_label"),
        ("label", 0.5, "label_not_binary"),
        ("outcome_id", "o1", "conflicting_id"),
    ],
)
def test_a_bad_outcome_is_set_aside_under_its_rule(column: str, value: object, rule: str) -> None:
    frame = right(9, label=[1.0] * 9, ts_arrival=[T0] * 9, outcome_id=[f"o{i}" for i in range(7)] + [" ", None])
    frame = frame.with_columns(
        pl.when(pl.int_range(9) == 0).then(pl.lit(value, dtype=frame.schema[column])).otherwise(column).alias(column)
    )
    logs = load(outcomes=frame)
    assert rules(logs, "outcomes") == {rule: 2 if rule == "conflicting_id" else 1}


@pytest.mark.parametrize(
    ("frames", "hint"),
    [
        ({"predictions": left(score=[40.0] * 5)}, "look like percent: divide by 100"),
        ({"predictions": left(score=[-2.0, 3.5, -1.0, 4.0, 0.5])}, "look like logits or margins: map a probability"),
        ({"predictions": left(score=[1.7e9] * 5)}, "look like epoch seconds"),
        ({"predictions": left(score=[5e5] * 5)}, "logits or percent"),
        ({"predictions": left(prediction_id=["a"] * 5, score=[0.1, 0.2, 0.3, 0.4, 0.5])}, "not unique"),
        ({"predictions": left(ts_pred=[datetime(1970, 1, 20, tzinfo=UTC)] * 5)}, "wrong unit"),
        ({"outcomes": right(label=[3] * 5)}, "regression"),
        ({"outcomes": right(ts_arrival=[T0 - HOUR] * 5)}, "swapped"),
        ({"outcomes": right(prediction_id=[None] * 5)}, "column mapping"),
        ({"actions": pl.DataFrame({"prediction_id": ["a"], "action": ["x"], "propensity": [2.0]})}, "column mapping"),
    ],
)
def test_a_log_that_is_mostly_bad_is_refused_with_a_guess_why(frames: dict[str, pl.DataFrame], hint: str) -> None:
    with pytest.raises(InputError, match="more than half") as caught:
        load(**frames)
    assert hint in str(caught.value.next_step)


def test_text_that_is_no_number_is_counted_and_refused_when_it_is_most_of_what_is_there() -> None:
    logs = load(left(threshold=["0.5", "high", "", None, " 0.7 "]))
    noted = logs.audit.filter(pl.col("rule") == "unreadable")
    assert noted.select("table", "rows", "detail").rows() == [
        ("predictions", 1, "threshold: values that are no numbers; they count as missing")
    ]
    assert logs.predictions.frame["threshold"].to_list() == [0.5, None, None, None, 0.7]
    with pytest.raises(InputError, match=r"threshold of the predictions log is text[\s\S]*row 3: 'high'") as caught:
        load(left(threshold=["", None, "high", "low", "0.5"]))
    assert "look like words" in str(caught.value.next_step)
    with pytest.raises(InputError, match="with a decimal comma: write them with a decimal point"):
        load(left(score=["0,5"] * 5))


def test_a_number_that_the_kit_computes_with_is_no_slice() -> None:
    with pytest.raises(InputError, match="a slice is a number or time") as caught:
        load(made=contract(slices={"columns": ["score"]}))
    assert caught.value.got == "score"


def test_swapped_columns_are_named() -> None:
    with pytest.raises(InputError, match="score would fit: are the columns swapped"):
        load(left(score=[str(T0)] * 5, ts_pred=[0.25] * 5))


def test_an_unreadable_arrival_is_set_aside_and_not_taken_as_known_at_the_event() -> None:
    logs = load(outcomes=right(ts_arrival=[*["2024-05-07T00:00:00Z"] * 3, "soon", None]))
    assert rules(logs, "outcomes") == {"absurd_time": 1}


def test_personal_columns_are_hashed_in_messages() -> None:
    private = contract(privacy={"personal": ["score", "who"]}, predictions={"columns": {"threshold": "who"}})
    for column in ("score", "who"):
        with pytest.raises(InputError, match=r"row 1: #[0-9a-f]{8}, row 2: #") as caught:
            load(left(**{"who": [0.5] * 5} | {column: ["Ada", "Bob", "Ada", "Bob", "Eve"]}), made=private)
        assert "Ada" not in str(caught.value)
    with pytest.raises(InputError, match=r"for example score #[0-9a-f]{8}"):
        load(left(who=[0.5] * 5, score=[77.5] * 5), made=private)


def test_personal_columns_of_the_outcomes_are_hashed_too() -> None:
    private = contract(privacy={"personal": ["label"]})
    with pytest.raises(InputError, match=r"for example label #[0-9a-f]{8}") as caught:
        load(outcomes=right(label=[37.125] * 5), made=private)
    assert "37.125" not in str(caught.value)


def test_a_file_separated_by_something_else_is_recognised() -> None:
    for sign, word in ((";", "a semicolon"), ("\t", "a tab"), ("|", "a bar")):
        with pytest.raises(InputError, match=f"looks separated by {word}"):
            load(pl.DataFrame({f"prediction_id{sign}ts_pred{sign}score": ["1;2;3"]}))


def test_a_column_whose_name_is_a_pattern_is_renamed_and_nothing_more() -> None:
    logs = load(left(**{"*": ["a"] * 5, "^score$": ["b"] * 5}))
    assert logs.predictions.frame["logged_*"].to_list() == ["a"] * 5
    assert logs.predictions.frame["logged_^score$"].to_list() == ["b"] * 5
    assert "*: called logged_*" in logs.audit["detail"].to_list()


def test_a_log_of_mostly_other_environments_is_judged_by_its_own_rows() -> None:
    frame = left(10, environment=["dev"] * 8 + ["prod"] * 2)
    assert rules(load(frame), "predictions") == {"other_environment": 8}
    with pytest.raises(InputError, match="2 of 2 rows"):
        load(frame.with_columns(score=pl.lit(99.0)))


def test_identical_rows_keep_one() -> None:
    logs = load(
        pl.concat([left(), left()]), pl.concat([right(), right(2)]), changes=changes([("deploy", "x"), ("deploy", "x")])
    )
    assert [rules(logs, table) for table in ("predictions", "outcomes", "changes")] == [
        {"duplicate_row": 5},
        {"duplicate_row": 2},
        {"duplicate_row": 1},
    ]


def changes(rows: list[tuple[str, str]]) -> pl.DataFrame:
    return pl.DataFrame([{"ts": T0, "kind": kind, "what": what} for kind, what in rows])


def test_actions_are_one_per_prediction() -> None:
    frame = pl.DataFrame(
        {"prediction_id": ["a", "b", "b", "c", "", "d", "e", "f"], "action": ["x", "x", "y", None, "x", "x", "x", "x"]}
    )
    logs = load(actions=frame.with_columns(propensity=pl.Series([1.0, None, None, 1, 1, 0, 0.5, float("nan")])))
    assert rules(logs, "actions") == {"conflicting_id": 2, "null_action": 1, "null_id": 1, "propensity_out_of_range": 2}
    assert logs.actions is not None
    assert logs.actions.frame["prediction_id"].to_list() == ["a", "e"]


@pytest.mark.parametrize(
    ("frames", "said"),
    [
        (
            {"predictions": left().drop("score")},
            r"predictions log has no column score[\s\S]*\[predictions.columns\] score",
        ),
        ({"predictions": left().rename({"score": "scores"})}, r'score = "scores"'),
        ({"predictions": left(prediction_id=[1.0] * 5)}, r"type that cannot be used[\s\S]*Float64"),
        ({"predictions": left(score=["high"] * 5)}, "is text, not numbers"),
        ({"predictions": left(score=[[1]] * 5)}, r"type that cannot be used[\s\S]*List"),
        ({"predictions": left(prediction_id=[b"a"] * 5)}, "type that cannot be used"),
        ({"outcomes": right(prediction_id=pl.Series([object()] * 5, dtype=pl.Object))}, "holds Python objects"),
        ({"predictions": left(entity_id=[1.0] * 5)}, "type that cannot be used"),
        ({"outcomes": right().drop("label")}, "outcomes log has no column label"),
        ({"reactions": left()}, "no such log"),
    ],
)
def test_what_makes_every_number_meaningless_is_refused(frames: dict[str, pl.DataFrame], said: str) -> None:
    with pytest.raises(InputError, match=said):
        load(**frames)


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"predictions": {"columns": {"score": "scor"}}}, r"maps score to a column[\s\S]*did you mean score"),
        ({"predictions": {"columns": {"score": ["score", "ts_pred"]}}}, "needs one column"),
        ({"predictions": {"columns": {"entity_id": []}}}, "needs one column"),
        ({"predictions": {"where": {"market": ["EU"]}}}, r"where\] names a column"),
        ({"slices": {"columns": ["region"]}}, "slice or feature that the prediction log does not have"),
        ({"slices": {"columns": ["state"]}}, "a name that the joined table uses itself"),
        ({"outcomes": {"columns": {"value": "worth"}}}, "maps label to a column"),
    ],
)
def test_a_contract_that_does_not_fit_the_log_is_refused(tables: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        load(left(state=["CA"] * 5), right().drop("label") if "value" in str(tables) else None, made=contract(**tables))


def test_columns_are_mapped_shared_and_never_lost() -> None:
    columns = {
        "prediction_id": "id",
        "ts_pred": "ts_pred",
        "score": "p",
        "ts_logged": "ts_pred",
        "entity_id": ["id", "market"],
        "my_state": "state",
    }
    frame = left(market=[" EU ", "", None, "US", "US"], p=[0.25] * 5, state=["CA"] * 5, logged_score=[9] * 5).rename(
        {"prediction_id": "id"}
    )
    used = load(
        frame, made=contract(predictions={"columns": columns}, slices={"columns": ["my_state"]})
    ).predictions.frame
    assert used["score"].to_list() == [0.25] * 5
    assert used["logged_score_2"].to_list() == [0.5] * 5
    assert used["logged_score"].to_list() == [9] * 5
    assert used["ts_logged"].equals(used["ts_pred"])
    assert used["entity_id"].to_list() == ["p0\x1fEU", None, None, "p3\x1fUS", "p4\x1fUS"]
    assert used["my_state"].to_list() == ["CA"] * 5


def test_only_the_logs_own_columns_are_cast() -> None:
    """A slice called rating or label, an unrelated naive time: none of it is the kit's business."""
    frame = left(rating=["PG"] * 5, label=["cat"] * 5, value=["high"] * 5, ts_event=["never"] * 5, amount=["1,5"] * 5)
    used = load(frame, made=contract(slices={"columns": ["rating", "value"]})).predictions.frame
    assert used["logged_label"].to_list() == ["cat"] * 5
    assert used["amount"].to_list() == ["1,5"] * 5


def test_numbers_and_flags_from_text() -> None:
    frame = left(
        score=["0.5", " 1 ", "NaN", "", "0"],
        f=["1", "2", None, "4", "5"],
        g=["1", "x", None, "4", "5"],
        r=[1.5] * 5,
        n=[1] * 5,
    )
    made = contract(features={"columns": ["f", "g", "r"]}, slices={"columns": ["r", "n"]})
    logs = load(frame, right(label=["true", "False", "1", "0", "0.0"]), made=made)
    assert rules(logs, "predictions") == {"null_score": 1, "score_not_finite": 1}
    assert logs.outcomes.frame["label"].to_list() == [1.0, 0.0, 1.0, 0.0, 0.0]
    schema = logs.predictions.frame.schema
    assert (schema["f"], schema["g"], schema["n"]) == (pl.Float64, pl.String, pl.String)


def test_a_regression_may_call_its_label_value() -> None:
    made = contract(model={"name": "m", "task": "regression"})
    logs = load(left(score=[40.0] * 5), right().rename({"label": "value"}).with_columns(value=pl.lit(7.5)), made=made)
    assert logs.outcomes.frame["label"].to_list() == [7.5] * 5


def test_a_missing_arrival_is_counted_also_when_some_are_there() -> None:
    logs = load(outcomes=right(ts_arrival=[None, T0 + HOUR, None, None, None]))
    noted = logs.audit.filter(pl.col("rule") == "arrival_is_event_time")
    assert noted["rows"].to_list() == [4]


def test_a_fallback_key_of_floats_is_refused() -> None:
    made = contract(join={"fallback": {"entity": "account"}})
    with pytest.raises(InputError, match="type that cannot be used"):
        load(left(account=["1"] * 5), right(account=[1.0] * 5), made=made)
    keyless = load(left(account=["1"] * 5), right(), made=made)
    assert keyless.outcomes.frame["__entity"].null_count() == 5
    mapped = contract(predictions={"columns": {"entity_id": "account"}}, join={"fallback": {"entity": "account"}})
    assert (
        load(left(account=["1"] * 5), right(entity_id=[1] * 5), made=mapped).outcomes.frame["__entity"].to_list()
        == ["1"] * 5
    )


def test_logs_are_read_from_the_contracts_folder(tmp_path: Path) -> None:
    for name, frame in (
        ("predictions", left()),
        ("outcomes", right()),
        ("actions", pl.DataFrame({"prediction_id": ["p1"], "action": ["x"]})),
    ):
        (tmp_path / name).mkdir()
        frame.write_parquet(tmp_path / name / "part.parquet")
    changes([("deploy", "v2")]).write_csv(tmp_path / "changes.csv", datetime_format="%Y-%m-%dT%H:%M:%SZ")
    logs = load_logs(contract(actions={}, changes={}), root=tmp_path)
    assert [source.rows for source in logs.sources] == [5, 5, 1, 1]
    assert len(logs.all) == 4


def test_outcomes_without_any_id_column_live_by_the_fallback() -> None:
    made = contract(join={"fallback": {"entity": "account"}})
    logs = load(left(account=["1"] * 5), right(account=["1"] * 5).drop("prediction_id"), made=made)
    assert logs.outcomes.frame["prediction_id"].null_count() == logs.outcomes.frame.height > 0
    with pytest.raises(InputError, match="no usable id"):
        load(outcomes=right().drop("prediction_id"))
