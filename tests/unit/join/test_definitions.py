"""Several labels in one log, several versions of one label: what counts, what is set aside, and what is said of it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

import fbkit as fb
from fbkit.errors import ArgumentError, InputError

T0 = datetime(2026, 5, 4, tzinfo=UTC)
HOUR = timedelta(hours=1)
PURCHASE = {
    "name": "purchase",
    "window": "4h",
    "also": [
        {"name": "click", "window": "1h", "combine": "any", "silence": "negative"},
        {"name": "stay", "window": "session", "session_gap": "30m"},
    ],
}
VERSIONED = {
    "name": "chargeback",
    "version": "3",
    "window": "4h",
    "changes": [{"version": "2", "date": "2025-01-01"}, {"version": "3", "date": "2026-03-01"}],
}


def predictions(count: int = 3, **columns: Any) -> pl.DataFrame:
    rows = {"prediction_id": [f"p{i}" for i in range(count)], "ts_pred": [T0 + i * HOUR for i in range(count)]}
    return pl.DataFrame(rows | {"score": [0.5] * count} | columns)


def outcomes(rows: Sequence[tuple[str, float, float, float, str | None]], *, kind: str) -> pl.DataFrame:
    """(prediction, hours of event, hours of arrival, label, name or version)."""
    schema = {"prediction_id": pl.String, "e": pl.Float64, "a": pl.Float64, "label": pl.Float64, kind: pl.String}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    hours = {"ts_event": pl.col("e") * 3.6e9, "ts_arrival": pl.col("a") * 3.6e9}
    return frame.with_columns(
        (pl.lit(T0) + value.cast(pl.Int64).cast(pl.Duration("us"))).alias(name) for name, value in hours.items()
    ).drop("e", "a")


def open_loop(right: pl.DataFrame, *, label: dict[str, Any], left: pl.DataFrame | None = None, **parts: Any) -> fb.Loop:
    base = {"model": {"name": "m"}, "predictions": {}, "outcomes": {}, "decision": {"threshold": 0.5}, "label": label}
    given = predictions() if left is None else left
    return fb.open_loop(contract=fb.Contract.from_dict(base | parts), predictions=given, outcomes=right)


def column(table: fb.Joined, name: str) -> list[Any]:
    return table.frame[name].to_list()


def rows_of(table: fb.Joined, rule: str) -> int:
    return int(table.audit.filter(pl.col("rule") == rule)["rows"].sum())


MIXED = [
    ("p0", 2, 2, 1.0, "purchase"),
    ("p0", 0.5, 0.5, 0.0, "click"),
    ("p1", 1.5, 9, 1.0, " click "),
    ("p2", 3, 9, 0.0, None),
    ("p2", 3, 9, 1.0, "visit"),
]


def test_each_label_has_its_own_rows_and_window() -> None:
    loop = open_loop(outcomes(MIXED, kind="label_name"), label=PURCHASE)
    primary, click = loop.join(), loop.join(label="click")
    assert column(primary, "label") == [1.0, None, 0.0]
    assert (rows_of(primary, "other_label"), rows_of(click, "other_label")) == (3, 3)
    assert column(click, "label") == [0.0, 1.0, 0.0]
    assert column(click, "state") == ["negative", "positive", "negative"]
    assert primary.as_of == click.as_of == T0 + 9 * HOUR
    assert loop.join(label="purchase").frame.equals(primary.frame)


def test_an_arrival_of_one_label_says_nothing_about_the_feed_of_another() -> None:
    """Silence about clicks is believed up to the newest click, not up to the newest purchase."""
    rows = [("p0", 2, 9, 1.0, "purchase"), ("p0", 0.5, 1.5, 0.0, "click")]
    click = open_loop(outcomes(rows, kind="label_name"), label=PURCHASE).join(label="click")
    assert column(click, "state") == ["negative", "pending", "pending"]
    assert click.data_through["feed_complete"] == "2026-05-04T01:30:00Z"


def test_the_labels_are_listed_with_their_statements() -> None:
    labels = open_loop(outcomes(MIXED, kind="label_name"), label=PURCHASE).labels
    assert labels.select("name", "role", "window", "statements").rows() == [
        ("purchase", "primary", "4h", 2),
        ("click", "proxy", "1h", 2),
        ("stay", "proxy", "session", 0),
    ]


def test_an_unknown_label_is_refused_with_the_nearest() -> None:
    loop = open_loop(outcomes(MIXED, kind="label_name"), label=PURCHASE)
    with pytest.raises(ArgumentError, match="did you mean click"):
        loop.join(label="clik")
    with pytest.raises(ArgumentError, match=r"label\.also"):
        loop.join(label="zzz")
    with pytest.raises(InputError, match="no row of the outcome log is about the label stay"):
        loop.join(label="stay")


def test_a_log_without_label_names_holds_the_primary_label_only() -> None:
    loop = open_loop(outcomes(MIXED[:1], kind="label_name").drop("label_name"), label=PURCHASE)
    assert column(loop.join(), "label") == [1.0, None, None]
    with pytest.raises(InputError, match="no column label_name"):
        loop.join(label="click")


def test_a_log_that_is_all_about_unknown_labels_is_refused() -> None:
    rows = [("p0", 2, 2, 1.0, "chargeback")]
    with pytest.raises(InputError, match="label_name is chargeback"):
        open_loop(outcomes(rows, kind="label_name"), label={"window": "4h"})
    clicks = outcomes([("p0", 0.5, 0.5, 1.0, "click")], kind="label_name")
    assert column(open_loop(clicks, label=PURCHASE).join(), "label") == [None]


def test_a_contract_for_a_label_is_another_contract() -> None:
    slo = {"label_availability": {"at": "4h", "minimum": 0.9}, "latency_ms": {"p95": 100}}
    loop = open_loop(outcomes(MIXED, kind="label_name"), label=PURCHASE, slo=slo)
    whole, click = loop.contract, loop.contract.for_label("click")
    assert whole.for_label("purchase") is whole
    assert whole.hash != click.hash
    assert (click.label.name, click.label.role, click.label.silence) == ("click", "proxy", "negative")
    assert (click.slo.label_availability, click.slo.latency_ms) == (None, {"p95": 100})
    assert fb.Contract.from_toml(click.to_toml()) == click
    assert loop.join().evaluation_key != loop.join(label="click").evaluation_key


def test_a_proxy_by_session_reads_the_sessions() -> None:
    rows = [("p0", 1.4, 1.4, 1.0, "stay"), ("p2", 2.6, 2.6, 1.0, "stay")]
    loop = open_loop(outcomes(rows, kind="label_name"), label=PURCHASE, left=predictions(3, session_id=["s", "s", "t"]))
    stay = loop.join(label="stay")
    assert column(stay, "closes") == [T0 + 1.5 * HOUR, T0 + 1.5 * HOUR, T0 + 2.5 * HOUR]
    assert column(stay, "state") == ["positive", "missing", "missing"]


def test_the_contracts_version_wins_whatever_its_arrival() -> None:
    rows = [("p0", 1, 2, 1.0, "3"), ("p0", 1, 9, 0.0, "2"), ("p1", 2, 9, 1.0, "2"), ("p2", 3, 9, 1.0, None)]
    table = open_loop(outcomes(rows, kind="label_version"), label=VERSIONED).join()
    assert column(table, "label") == [1.0, 1.0, 1.0]
    assert column(table, "label_version") == ["3", "2", None]
    assert column(table, "n_outcomes") == [2, 1, 1]
    assert [rows_of(table, name) for name in ("other_definition", "older_definition", "unknown_definition")] == [
        1,
        1,
        1,
    ]
    early = open_loop(outcomes(rows, kind="label_version"), label=VERSIONED).join(as_of=T0 + HOUR)
    assert column(early, "state") == ["pending", "pending"]


def test_an_unknown_version_is_not_taken_for_an_older_one() -> None:
    rows = [("p0", 1, 2, 1.0, " "), ("p0", 1, 9, 0.0, "2")]
    table = open_loop(outcomes(rows, kind="label_version"), label=VERSIONED).join()
    assert (column(table, "label")[0], rows_of(table, "other_definition")) == (1.0, 1)


@pytest.mark.parametrize(("combine", "label"), [("sum", 1.0), ("count", 1.0), ("any", 1.0), ("last", 1.0)])
def test_definitions_are_not_mixed_within_one_prediction(combine: str, label: float) -> None:
    rows = [("p0", 1, 2, 1.0, "3"), ("p0", 2, 9, 0.0, "2"), ("p0", 3, 9, 1.0, "1")]
    table = open_loop(outcomes(rows, kind="label_version"), label=VERSIONED | {"combine": combine}).join()
    assert (column(table, "label")[0], rows_of(table, "other_definition")) == (label, 2)


def test_a_strict_view_counts_the_contracts_version_only() -> None:
    rows = [("p0", 1, 2, 1.0, "3"), ("p1", 2, 9, 1.0, "2"), ("p2", 3, 9, 1.0, None)]
    loop = open_loop(outcomes(rows, kind="label_version"), label=VERSIONED)
    strict = loop.join(label_versions="current")
    assert column(strict, "state") == ["positive", "missing", "missing"]
    assert rows_of(strict, "other_definition") == 2
    assert strict.evaluation_key != loop.join().evaluation_key
    with pytest.raises(ArgumentError, match="choice of label versions"):
        loop.join(label_versions="newest")
    with pytest.raises(ArgumentError, match="needs a version"):
        open_loop(outcomes(rows, kind="label_version"), label={"window": "4h"}).join(label_versions="current")


def test_labels_of_another_definition_are_told_with_the_day_it_ended() -> None:
    rows = [("p0", 1, 2, 1.0, "3"), ("p1", 2, 9, 1.0, "2"), ("p2", 3, 9, 1.0, None), ("p0", 1, 9, 1.0, "4")]
    loop = open_loop(outcomes(rows, kind="label_version"), label=VERSIONED)
    other, unknown, aside = loop.join().warnings
    assert "1 of 3 labels follow another definition than version 3 of chargeback" in other
    assert "version 2 until 2026-03-01: 1" in other
    assert unknown.startswith("1 of 3 labels do not say")
    assert aside.startswith("1 statement of another definition")
    later = open_loop(outcomes([("p0", 1, 2, 1.0, "4")], kind="label_version"), label=VERSIONED).join()
    assert "(version 4: 1)" in later.warnings[0]


def test_nothing_is_said_where_there_is_nothing_to_say() -> None:
    rows = [("p0", 1, 2, 1.0, "3"), ("p1", 2, 9, 1.0, "3")]
    assert open_loop(outcomes(rows, kind="label_version"), label=VERSIONED).join().warnings == ()
    unversioned = outcomes(rows, kind="label_version").drop("label_version")
    assert open_loop(unversioned, label=VERSIONED).join().warnings == ()
    mixed = outcomes([("p0", 1, 2, 1.0, "3"), ("p1", 2, 9, 1.0, "2")], kind="label_version")
    (said,) = open_loop(mixed, label={"window": "4h"}).join().warnings
    assert "2 definitions (version 2: 1, version 3: 1)" in said


def test_labels_of_another_definition_stand_on_the_card_and_fail_the_checklist() -> None:
    rows = [("p0", 1, 2, 1.0, "3"), ("p1", 2, 9, 1.0, "2"), ("p2", 3, 9, 1.0, None)]
    left = predictions(3, model_version=["a"] * 3)
    loop = open_loop(outcomes(rows, kind="label_version"), label=VERSIONED, left=left)
    joined = loop.join()
    assert "version 2 until 2026-03-01: 1" in str(joined)
    assert "<h4>Warnings</h4>" in joined._repr_html_()
    item = next(row for row in loop.check().to_dicts() if row["id"] == "versioned")
    assert (item["status"], "1 labels of another definition, 1 of an unknown one" in item["evidence"]) == (
        "failed",
        True,
    )
    assert 'label_versions="current"' in item["fix"]
