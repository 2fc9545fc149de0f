"""The join against the same logic in SQL: no difference in any column, candidate, fate or count."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from fbkit.errors import InputError
from fbkit.join.join import join
from fbkit.join.joined import Joined
from fbkit.load.loop import load_logs
from fbkit.schema.contract import Contract
from fbkit.schema.contract_parts import ProxyLabelPart
from fbkit.schema.rules import OUTCOME_FATE
from fbkit.testing.worlds import START, STEP, World, worlds
from tests.unit.join.twin import ACTIONS, Case, join_in_sql

BATCH = 500
COLUMNS = (
    "world", "prediction_id", "ts_pred", "score", "threshold", "flagged", "entity", "model_version", "state", "label",
    "ts_event", "ts_arrival", "lag", "arrival_lag", "rule", "source", "label_version", "mature", "late", "n_outcomes",
    "n_rivals", "action", "propensity", "blocked",
)  # fmt: skip
CANDIDATES = (
    "world", "statement", "prediction_id", "ts_pred", "ts_event", "ts_arrival", "label", "source", "label_version",
    "rule", "n_rivals", "fate",
)  # fmt: skip
# What the twin does not say again: casts are the loader's own business.
UNSAID = ("cast",)

_COMBINE = st.sampled_from(["one", "one", "one", "first", "last", "any", "sum", "max", "count"])
_THRESHOLDS = st.sampled_from([None, 0.25, 0.5, 0.75, float("nan")])
_DECISIONS = st.sampled_from([None, None, True, False])
_PROPENSITIES = st.sampled_from([None, 0.5, 0.5, 1.0, 1.0, 0.0, 1.5, float("nan")])

_MOMENTS = st.one_of(st.none(), st.integers(0, 26).map(lambda steps: START + steps * STEP))
_SESSIONS = st.sampled_from(["s", "s", "t", " s ", " ", None])
_VERSIONS = st.sampled_from(["1", "2", "2", " 2 ", " ", None])
_NAMES = st.sampled_from(["label", "label", " label ", "", None, "click", "other"])
_OUTCOME_IDS = st.one_of(st.none(), st.just(" "), st.integers(0, 30).map(str))


def _column(draw: st.DrawFn, values: st.SearchStrategy[Any], size: int) -> list[Any]:
    return draw(st.lists(values, min_size=size, max_size=size))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A small world; one in two also logs thresholds, decisions, versions and doubtful actions, or combines events."""
    world: World = draw(worlds())
    frames, contract, versions = world.frames(), world.contract, "any"
    if draw(st.booleans()):
        frames = _more_columns(draw, frames)
        contract = _more_labels(draw, contract)
        if contract.label.version is not None:
            versions = draw(st.sampled_from(["any", "any", "current"]))
    if contract.join.fallback is not None and draw(st.booleans()):
        frames = _crowded(draw, frames)
    return Case(frames=frames, contract=contract, as_of=world.as_of, label_versions=versions)


def _more_columns(draw: st.DrawFn, frames: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """What logs may have besides: thresholds, decisions, sessions, late logging, versions, more ids, propensities."""
    made, said = frames["predictions"].height, frames["outcomes"].height
    predictions = frames["predictions"].with_columns(
        pl.Series("threshold", _column(draw, _THRESHOLDS, made), dtype=pl.Float64),
        pl.Series("decision", _column(draw, _DECISIONS, made), dtype=pl.Boolean),
        pl.Series("model_version", _column(draw, st.sampled_from(["1", "2", None]), made), dtype=pl.String),
        pl.Series("session_id", _column(draw, _SESSIONS, made), dtype=pl.String),
        pl.Series("ts_logged", _column(draw, _MOMENTS, made), dtype=pl.Datetime("us", "UTC")),
    )
    outcomes = frames["outcomes"].with_columns(
        pl.Series("label_version", _column(draw, _VERSIONS, said), dtype=pl.String),
        pl.Series("outcome_id", _column(draw, _OUTCOME_IDS, said), dtype=pl.String),
    )
    if draw(st.booleans()):
        outcomes = outcomes.with_columns(pl.Series("label_name", _column(draw, _NAMES, said), dtype=pl.String))
    actions = _actions(draw, predictions["prediction_id"].to_list())
    return {"predictions": predictions, "outcomes": outcomes, "actions": actions}


def _more_labels(draw: st.DrawFn, contract: Contract) -> Contract:
    """Events that are combined, sessions, definition versions, and now and then the proxy instead of the primary."""
    label = contract.label.model_copy(
        update={
            "combine": draw(_COMBINE),
            "version": draw(st.sampled_from([None, "2", "2"])),
            "also": (ProxyLabelPart(name="click", window=2 * STEP),),
        }
    )
    if draw(st.integers(0, 2)) == 0:
        label = label.model_copy(update={"window": "session", "session_gap": 2 * STEP})
    contract = contract.model_copy(update={"label": label})
    return contract.for_label("click") if draw(st.integers(0, 4)) == 0 else contract


def _crowded(draw: st.DrawFn, frames: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Everybody is one entity and outcomes lose their ids, so that windows overlap and claims compete."""
    lost = pl.Series(_column(draw, st.booleans(), frames["outcomes"].height), dtype=pl.Boolean)
    unkeyed = pl.when(~lost).then("prediction_id").alias("prediction_id")
    entity = pl.lit("a").alias("account")
    return frames | {
        "predictions": frames["predictions"].with_columns(entity),
        "outcomes": frames["outcomes"].with_columns(unkeyed, entity),
    }


def _actions(draw: st.DrawFn, ids: list[str | None]) -> pl.DataFrame:
    row = st.fixed_dictionaries(
        {
            "prediction_id": st.sampled_from([*ids, *ids, " ", "unknown"]),
            "action": st.sampled_from(["block", "allow", "allow", None]),
            "propensity": _PROPENSITIES,
            "ts_action": _MOMENTS,
        }
    )
    rows = draw(st.lists(row, max_size=6))
    # Of one action another version is logged at another time.
    moved = [row | {"action": "block", "ts_action": draw(_MOMENTS)} for row in rows[:1]]
    return pl.DataFrame(rows + rows[1:2] + moved, schema=ACTIONS)


def in_polars(case: Case) -> Joined | None:
    try:
        logs = load_logs(case.contract, root=Path(), frames=case.frames)
        return join(logs, contract=case.contract, as_of=case.as_of, label_versions=case.label_versions)
    except InputError:
        return None


def stacked(frames: Sequence[tuple[int, pl.DataFrame]], columns: Sequence[str]) -> pl.DataFrame:
    """Frames of many worlds under each other, in an order that content alone decides."""
    parts = [frame.with_columns(pl.lit(number, dtype=pl.Int64).alias("world")) for number, frame in frames]
    whole = pl.concat([part.select(pl.col(columns)) for part in parts], how="vertical_relaxed")
    return _plain(whole)


def _plain(frame: pl.DataFrame) -> pl.DataFrame:
    numbers = [name for name, dtype in frame.schema.items() if dtype.is_integer() or dtype == pl.Decimal]
    frame = frame.with_columns(pl.col(numbers).cast(pl.Int64), pl.col(pl.Enum, pl.Categorical).cast(pl.String))
    return frame.sort(frame.columns, nulls_last=True)


def compare(batch: Sequence[Case]) -> Counter[str]:
    """Assert that both say the same of every world (also in refusing it), and say what was met."""
    found = [(number, in_polars(case)) for number, case in enumerate(batch)]
    answer = join_in_sql(batch)
    assert {number for number, joined in found if joined is None} == answer.refused
    made = [(number, joined) for number, joined in found if joined is not None]
    frame = stacked([(number, joined.frame) for number, joined in made], COLUMNS)
    assert_frame_equal(frame, _plain(answer.joined.select(COLUMNS)))
    pairs = stacked([(number, joined.candidates) for number, joined in made], CANDIDATES)
    twin = answer.candidates.rename({"prediction_id": "said_id", "claimed": "prediction_id", "pairing": "rule"})
    assert_frame_equal(pairs, _plain(twin.select(CANDIDATES)))
    account = stacked([(number, joined.audit) for number, joined in made], ("world", "table", "rule", "rows"))
    account = account.filter(~pl.col("rule").is_in(UNSAID))
    assert_frame_equal(account, _plain(answer.audit.select(account.columns)))
    met = Counter(dict(account.group_by("rule").agg(pl.col("rows").sum()).iter_rows()))
    met["refused"] = len(answer.refused)
    met["worlds"] = len(batch)
    return met


def run(examples: int) -> Counter[str]:
    drawn: list[Case] = []

    @settings(max_examples=examples, deadline=None, database=None)
    @given(cases())
    def collect(case: Case) -> None:
        drawn.append(case)

    collect()
    met: Counter[str] = Counter()
    for start in range(0, len(drawn), BATCH):
        met.update(compare(drawn[start : start + BATCH]))
    return met


STATES = {"state_positive", "state_negative", "state_labelled", "state_pending", "state_missing", "state_censored"}
REFUSED = {
    "null_id", "duplicate_row", "conflicting_id", "null_score", "score_not_finite", "score_out_of_range", "null_time",
    "null_label", "label_not_binary", "no_key", "arrival_before_event", "other_label", "propensity_out_of_range",
    "null_action",
}  # fmt: skip
NOTED = {
    "late",
    "mature",
    "after_as_of",
    "decision_disagrees",
    "older_definition",
    "arrival_is_event_time",
    "clash_still_unknown",
}
EVERYTHING = {*OUTCOME_FATE, *STATES, *REFUSED, *NOTED, "by_id", "by_fallback", "refused"}


def test_a_thousand_small_worlds_join_as_in_sql() -> None:
    met = run(1_000)
    assert met["worlds"] >= 1_000
    assert {
        name for name in ("used", "by_fallback", "state_missing", "orphan", "duplicate_row") if met[name] < 20
    } == set()


@pytest.mark.deep
def test_twenty_thousand_small_worlds_join_as_in_sql() -> None:
    met = run(20_000)
    assert met["worlds"] >= 20_000
    assert {name for name in EVERYTHING if met[name] < 50} == set()
