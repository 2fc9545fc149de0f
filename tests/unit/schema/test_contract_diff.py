"""What changed and what it invalidates: every key has its consequence, and the gate lets no silent redefinition by."""

import typing
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from fbkit.measure.registry import REGISTRY
from fbkit.schema.contract import Contract
from fbkit.schema.contract_diff import EFFECTS, FLAGGED, diff
from fbkit.schema.contract_gate import gate
from fbkit.schema.contract_parts import Body
from fbkit.schema.contract_template import model_in, word_path
from fbkit.schema.contract_words import KEYS, Effect

BARE: dict[str, Any] = {
    "model": {"name": "m", "owners": ["risk", "growth"]},
    "predictions": {},
    "outcomes": {},
    "label": {"name": "fraud", "version": "1", "window": "90d"},
    "features": {
        "columns": ["spend", "age"],
        "definitions": {"spend": {"version": "1", "definition": "sum of payments", "acknowledged_by": ["risk"]}},
    },
}
ALERT = {"name": "a", "metric": "recall", "condition": "drop", "by": "10%"}


def contract(**tables: Any) -> Contract:
    return Contract.from_dict({name: {**BARE.get(name, {}), **table} if isinstance(table, dict) else table
                               for name, table in {**BARE, **tables}.items()})  # fmt: skip


def changes(**tables: Any) -> list[tuple[str, str]]:
    return [(item.path, item.invalidates) for item in diff(contract(), contract(**tables))]


def words(old: Contract, new: Contract) -> list[str]:
    return [item.words for item in diff(old, new)]


def spend(**definition: Any) -> dict[str, Any]:
    return {"definitions": {"spend": {**BARE["features"]["definitions"]["spend"], **definition}}}


def test_equal_contracts_have_no_difference() -> None:
    assert diff(contract(), contract()) == ()
    assert diff(contract(), Contract.from_toml(contract().to_toml())) == ()


@pytest.mark.parametrize(
    ("tables", "path", "effect"),
    [
        ({"label": {"window": "60d"}}, "label.window", "label"),
        ({"label": {"grace": "1d"}}, "label.grace", "stages"),
        ({"decision": {"threshold": 0.4}}, "decision.threshold", "decision"),
        ({"slices": {"columns": ["region"]}}, "slices.columns", "slices"),
        ({"features": spend(version="2")}, "features.definitions.spend.version", "definition"),
        ({"features": spend(owner="finance")}, "features.definitions.spend.owner", "words"),
        ({"features": {"definitions": {}}}, "features.definitions.spend", "definition"),
        ({"predictions": {"columns": {"score": "p2"}}}, "predictions.columns.score", "scores"),
        ({"outcomes": {"columns": {"label": "y2"}}}, "outcomes.columns.label", "label"),
        ({"outcomes": {"columns": {"source": "via"}}}, "outcomes.columns.source", "columns"),
        ({"outcomes": {"complete_through": "2026-06-01T00:00:00Z"}}, "outcomes.complete_through", "feed"),
        ({"predictions": {"columns": {"cost": "cost"}}}, "predictions.columns.cost", "words"),
        (
            {"features": {"definitions": {**BARE["features"]["definitions"], "age": {"version": "1"}}}},
            "features.definitions.age",
            "words",
        ),
        ({"outcomes": {"timezone": "UTC"}}, "outcomes.timezone", "time"),
        ({"join": {"fallback": {"entity": "user"}}}, "join.fallback", "join"),
        ({"actions": {"blocked": ["block"]}}, "actions", "label"),
        ({"label": {"also": [{"name": "click", "window": "1h"}]}}, "label.also.click", "proxy"),
        ({"alerts": [ALERT]}, "alerts.a", "rules"),
        ({"metrics": {"level": 0.9}}, "metrics.level", "level"),
        ({"slo": {"latency_ms": {"p95": 3}}}, "slo.latency_ms", "promise"),
        ({"value": {"true_positive": 1}}, "value", "money"),
        ({"privacy": {"retention": "400d"}}, "privacy.retention", "privacy"),
        ({"x": {"note": 1}}, "x", "words"),
    ],
)
def test_a_change_says_what_it_invalidates(tables: dict[str, Any], path: str, effect: str) -> None:
    assert changes(**tables) == [(path, EFFECTS[effect])]


def test_a_change_inside_a_list_of_tables_is_found_by_name_whatever_the_order() -> None:
    old = contract(alerts=[ALERT, {**ALERT, "name": "b"}])
    new = contract(alerts=[{**ALERT, "name": "b", "by": "20%"}, ALERT])
    assert words(old, new) == ["alerts.b.by changed from 10% to 20%"]


def test_words_say_what_came_and_what_went() -> None:
    old, new = contract(slices={"columns": ["region", "device"]}), contract(slices={"columns": ["device", "age"]})
    assert words(old, new) == ["the slices: added age; removed region"]
    stages = (contract(label={"stages": ["30d"]}), contract(label={"stages": ["30d", "60d"]}))
    assert words(*stages) == ["label.stages changed from 30d to 30d, 60d"]
    assert words(contract(), contract(decision={"threshold": 0.5})) == ["the threshold is new: 0.5"]
    assert words(contract(decision={"threshold": 0.5}), contract()) == ["the threshold was taken away; it was 0.5"]


def test_before_and_after_are_swapped_when_the_contracts_are() -> None:
    one, two = contract(), contract(label={"window": "60d"}, alerts=[ALERT], decision={"threshold": 0.2})
    there, back = diff(one, two), diff(two, one)
    assert {(item.path, str(item.before), str(item.after)) for item in there} == {
        (item.path, str(item.after), str(item.before)) for item in back
    }


def leaves(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        inner, here = model_in(field.annotation), (*path, name)
        named = (*here, "NAME") if typing.get_origin(field.annotation) is dict and inner is not None else here
        if inner is None:
            yield here
        else:
            yield from leaves(inner, named)


def test_every_key_of_the_contract_has_words_and_a_consequence() -> None:
    proxy = [path for path in leaves(Body) if path[:2] == ("label", "also")]
    told = [path for path in leaves(Body) if path not in proxy and path != ("label", "role")]
    assert [path for path in told if word_path(path) not in KEYS] == []
    assert all(key.text for key in KEYS.values())
    assert set(EFFECTS) == set(typing.get_args(Effect))


def test_the_metrics_that_flag_are_those_that_the_measures_say() -> None:
    counted = {name for name, measure in REGISTRY.items() if measure.uses_flag}
    assert set(FLAGGED) == counted


def fixes(old: Contract, new: Contract) -> list[str]:
    return [item.path for item in gate(old, new)]


def test_what_is_no_definition_passes() -> None:
    new = contract(
        decision={"threshold": 0.4}, slices={"columns": ["region"]}, label={"grace": "3d", "stages": ["30d"]},
        features=spend(owner="finance", definition="sum  of\n payments "),
    )  # fmt: skip
    assert fixes(contract(), new) == []


@pytest.mark.parametrize(
    ("tables", "path"),
    [
        ({"label": {"window": "60d"}}, "label.window"),
        ({"label": {"name": "dispute"}}, "label.name"),
        ({"label": {"silence": "negative"}}, "label.silence"),
        ({"label": {"combine": "any"}}, "label.combine"),
        ({"label": {"corrections": "keep_first"}}, "label.corrections"),
        ({"label": {"sources": ["backfill", "auto"]}}, "label.sources"),
        ({"outcomes": {"columns": {"label": "y2"}}}, "outcomes.columns.label"),
        ({"outcomes": {"columns": {"ts_event": "booked_at"}}}, "outcomes.columns.ts_event"),
        ({"model": {"task": "ranking"}}, "model.task"),
    ],
)
def test_a_label_changes_only_with_a_new_version_and_its_entry(tables: dict[str, Any], path: str) -> None:
    assert fixes(contract(), contract(**tables)) == [path]
    version = {**tables.get("label", {}), "version": "2"}
    assert fixes(contract(), contract(**{**tables, "label": version})) == ["label.changes"]
    entry = {**version, "changes": [{"version": "2", "date": "2026-03-01"}]}
    assert fixes(contract(), contract(**{**tables, "label": entry})) == []


def test_a_mapping_to_the_columns_own_name_is_no_change() -> None:
    assert fixes(contract(), contract(outcomes={"columns": {"label": "label"}})) == []


def test_a_version_cannot_be_taken_away_and_may_be_given_for_the_first_time() -> None:
    unversioned = contract(label={"version": None})
    assert fixes(contract(), unversioned) == ["label.version"]
    assert fixes(unversioned, contract()) == []
    assert fixes(unversioned, contract(label={"window": "60d"})) == ["label.changes"]


def test_the_gap_of_a_session_counts_only_where_there_are_sessions() -> None:
    assert fixes(contract(), contract(label={"session_gap": "1h"})) == []
    session = {"window": "session"}
    assert fixes(contract(label=session), contract(label={**session, "session_gap": "1h"})) == ["label.session_gap"]


def test_a_proxy_is_held_to_the_same_and_may_come_and_go() -> None:
    one, two = ({"also": [{"name": "click", "window": window}]} for window in ("1h", "2h"))
    assert fixes(contract(label=one), contract(label=two)) == ["label.also.click.window"]
    assert fixes(contract(), contract(label=one)) == []
    assert fixes(contract(label=one), contract()) == []


CHANGED = {"definition": "sum of payments, refunds excluded"}
SPEND = "features.definitions.spend.definition"


@pytest.mark.parametrize(
    ("definition", "stopped"),
    [
        (CHANGED, True),
        ({**CHANGED, "version": "2"}, False),
        ({**CHANGED, "acknowledged_by": ["risk", "growth"]}, False),
        ({**CHANGED, "acknowledged_by": ["growth"]}, True),
        ({**CHANGED, "acknowledged_by": ["risk", "growth", "finance"]}, False),
        ({**CHANGED, "acknowledged_by": []}, True),
        ({"definition": None}, True),
        ({"version": "2"}, False),
        ({"acknowledged_by": []}, False),
    ],
)
def test_a_feature_changes_with_a_new_version_or_every_consumers_word(
    definition: dict[str, Any], stopped: bool
) -> None:
    assert fixes(contract(), contract(features=spend(**definition))) == ([SPEND] if stopped else [])


def test_an_acknowledgement_of_the_old_definition_is_none_of_the_new() -> None:
    everyone = ["risk", "growth"]
    old = contract(features=spend(acknowledged_by=everyone))
    copied = contract(features=spend(**CHANGED, acknowledged_by=everyone[::-1]))
    (violation,) = gate(old, copied)
    assert (violation.before, violation.after) == ("sum of payments", CHANGED["definition"])
    assert "the list stood there before" in violation.fix
    assert fixes(old, contract(features=spend(**CHANGED, acknowledged_by=everyone, version="2"))) == []


def test_nobody_can_acknowledge_for_a_model_without_owners() -> None:
    new = contract(model={"owners": []}, features=spend(**CHANGED, acknowledged_by=["risk", "growth"]))
    assert "names nobody" in gate(contract(), new)[0].fix


def test_a_definition_cannot_be_withdrawn_while_the_feature_is_served() -> None:
    assert fixes(contract(), contract(features={"definitions": {}})) == [SPEND]
    assert fixes(contract(), contract(features={"columns": ["age"], "definitions": {}})) == []


def test_a_feature_read_from_another_column_is_another_feature() -> None:
    moved = {"columns": {"age": "age_2"}}
    assert fixes(contract(), contract(predictions=moved)) == ["predictions.columns.age"]
    told = {"definitions": {**BARE["features"]["definitions"], "age": {"version": "2"}}}
    assert fixes(contract(), contract(predictions=moved, features=told)) == []


def test_a_definition_given_for_the_first_time_is_no_change() -> None:
    old = contract(features={"definitions": {"spend": {"version": "1"}}})
    assert fixes(old, contract()) == []
