"""What no contract can mean is refused, each with its path, and everything at once."""

from datetime import timedelta
from typing import Any

import pytest

from fbkit.errors import ContractError
from fbkit.schema.contract import Contract

BARE: dict[str, Any] = {"model": {"name": "m"}, "predictions": {}, "outcomes": {}, "label": {"window": "7d"}}
RULE = {"metric": "recall", "condition": "drop", "by": "10%"}
ALERT = {"name": "a", **RULE}
LEVEL = {"name": "a", "metric": "recall", "condition": "below", "level": 0.5}
PROXY = {"name": "click", "window": "1h"}
CONNECTION = {"query": "select 1", "connection_env": "DB"}


def refused(tables: dict[str, Any]) -> ContractError:
    with pytest.raises(ContractError) as caught:
        Contract.from_dict(BARE | tables)
    return caught.value


def problems(**tables: Any) -> str:
    return str(refused(tables).got)


IMPOSSIBLE: list[tuple[dict[str, Any], str]] = [
    # windows
    ({"label": {"window": "7d", "stages": ["7d"]}}, "label: every stage must be shorter than the window"),
    ({"label": {"window": "7d", "stages": ["1d", "1d"]}}, "label: stages must grow"),
    ({"label": {"window": "7d", "stages": ["0d"]}}, "label: every stage must be longer than zero"),
    ({"label": {"window": "session", "stages": ["20m", "10m"]}}, "label: stages must grow"),
    ({"label": {"window": "session", "session_gap": "0m"}}, "label: session_gap must be longer than zero"),
    ({"label": {"window": "7d", "grace": timedelta(days=-1)}}, "a duration cannot be negative"),
    ({"label": {"window": "7d", "sources": ["audit"]}}, 'label: sources names "audit"'),
    ({"label": {"window": "7d", "also": [{"name": "click"}]}}, "label.also.0.window is missing"),
    ({"label": {"window": "7d", "also": [PROXY | {"stages": ["2h"]}]}}, "label.also.0: every stage must be shorter"),
    # retention
    ({"label": {"window": "7d", "grace": "1d"}, "privacy": {"retention": "7d"}}, "shorter than the label delay"),
    (
        {"label": {"window": "1d", "also": [PROXY | {"window": "9d"}]}, "privacy": {"retention": "7d"}},
        "privacy.retention is shorter than the delay of label.also click",
    ),
    (
        {"privacy": {"retention": "8d"}, "slo": {"label_availability": {"at": "9d", "minimum": 0.9}}},
        "slo.label_availability.at is longer than privacy.retention",
    ),
    (
        {"privacy": {"retention": "8d"}, "slo": {"feed_completeness": {"at": "9d", "minimum": 0.9}}},
        "slo.feed_completeness.at is longer than privacy.retention",
    ),
    # objectives that say nothing
    ({"slo": {"label_availability": {"at": "0d", "minimum": 0.9}}}, "slo.label_availability: at must be longer"),
    ({"slo": {"label_availability": {"at": "1d", "minimum": 0}}}, "slo.label_availability.minimum = 0"),
    (
        {
            "label": {"window": "7d", "silence": "negative"},
            "slo": {"label_availability": {"at": "7d", "minimum": 0.9}},
        },
        "slo.label_availability can never fire",
    ),
    (
        {"label": {"window": "7d", "silence": "negative"}, "alerts": [LEVEL | {"metric": "availability"}]},
        "alerts a: availability is complete by definition",
    ),
    ({"model": {"name": "m", "task": "regression"}, "label": {"window": "7d", "silence": "negative"}}, "no meaning"),
    ({"slo": {"latency_ms": {"p50": 9, "p95": 3}}}, "slo.latency_ms: limits must not fall"),
    ({"slo": {"latency_ms": {"p50": 0}}}, "slo.latency_ms: a limit must be above zero"),
    ({"slo": {"cost_per_1000": {"maximum": 0}}}, "slo.cost_per_1000.maximum = 0"),
    ({"budget": {"added_latency_ms": {"p95": -1}}}, "budget.added_latency_ms: a limit must be above zero"),
    # names that stand twice
    ({"alerts": [ALERT, ALERT]}, "alerts: the same name twice (a)"),
    ({"label": {"window": "7d", "also": [{"window": "1h"}]}}, "label and label.also: the same name twice (label)"),
    ({"label": {"window": "7d", "also": [PROXY, PROXY]}}, "label and label.also: the same name twice (click)"),
    ({"costs": [{"component": "c"}, {"component": "c"}]}, "costs: the same component twice (c)"),
    ({"guardrails": [{"metric": "f1", "max_drop": "5%"}] * 2}, "guardrails: the same metric twice (f1)"),
    ({"slices": {"columns": ["a", "a"]}}, "slices.columns: the same name twice (a)"),
    ({"features": {"columns": ["a", "a"]}}, "features.columns: the same name twice (a)"),
    (
        {"label": {"window": "7d", "changes": [{"version": "2", "date": "2026-03-01"}] * 2}},
        "label: changes: the same version twice (2)",
    ),
    # columns that nobody named
    (
        {"slices": {"columns": ["region"], "critical": [{"regoin": "EU"}]}},
        "slices.critical names regoin, which is not in slices.columns (did you mean region?)",
    ),
    ({"slices": {"critical": [{}]}}, "slices.critical.0"),
    ({"alerts": [ALERT | {"slices": [{"zone": "EU"}]}]}, "alerts a: slices names zone, which is not in slices.columns"),
    ({"alerts": [ALERT | {"slices": "critical"}]}, 'alerts a: slices = "critical", but slices.critical names none'),
    ({"retrain": {"rules": [RULE | {"slices": "critical"}]}}, "retrain.rules.0: slices"),
    (
        {"features": {"columns": ["amount"], "definitions": {"amuont": {"version": "1"}}}},
        "features.definitions names amuont, which is not in features.columns (did you mean amount?)",
    ),
    # scores and rules
    ({"decision": {"threshold": 1.5}}, "decision.threshold = 1.5 lies outside 0..1"),
    ({"decision": {"threshold": -0.1}}, "decision.threshold = -0.1 lies outside 0..1"),
    ({"alerts": [LEVEL | {"baseline": "reference"}]}, 'alerts.0: condition = "below" does not use baseline'),
    ({"alerts": [LEVEL | {"by": "3%"}]}, 'alerts.0: condition = "below" does not use by'),
    ({"alerts": [ALERT | {"level": 0.5}]}, 'alerts.0: condition = "drop" does not use level'),
    ({"alerts": [ALERT | {"by": "0%"}]}, "alerts.0: by = 0% is no change"),
    ({"alerts": [ALERT | {"by": "101%"}]}, "alerts.0: by = 101%: nothing can fall by more than 100%"),
    ({"alerts": [ALERT | {"by": "-3%"}]}, "alerts.0.by = '-3%'"),
    ({"alerts": [ALERT | {"baseline": "median 0d"}]}, "alerts.0.baseline = 'median 0d'"),
    ({"alerts": [ALERT | {"baseline": "last week"}]}, "alerts.0.baseline = 'last week'"),
    ({"alerts": [ALERT | {"every": "1h", "lasting": "30m"}]}, "alerts.0: lasting (30m) is shorter than every (1h)"),
    ({"alerts": [ALERT | {"every": "0h"}]}, "alerts.0: every must be longer than zero"),
    ({"alerts": [ALERT | {"metric": "Recall"}]}, "alerts.0.metric = 'Recall'"),
    ({"guardrails": [{"metric": "ndcg@", "max_drop": "5%"}]}, "guardrails.0.metric = 'ndcg@'"),
    ({"guardrails": [{"metric": "ndcg@0", "max_drop": "5%"}]}, "guardrails.0.metric = 'ndcg@0'"),
    ({"guardrails": [{"metric": "f1", "max_drop": "200%"}]}, "guardrails.0: max_drop = 200%"),
    ({"guardrails": [{"metric": "f1", "max_drop": "0"}]}, "guardrails.0: max_drop = 0 is no change"),
    # times and sources
    ({"outcomes": {"complete_through": "2026-06-01T00:00:00"}}, "the time has no zone; end it with Z"),
    ({"predictions": {"timezone": "Mars/Base"}}, "predictions.timezone = 'Mars/Base': no such time zone"),
    ({"time": {"timezone": ""}}, "time.timezone = '': no such time zone"),
    ({"predictions": CONNECTION | {"path": "p.csv"}}, "predictions: give path or query, not both"),
    ({"predictions": CONNECTION | {"format": "csv"}}, "predictions: format belongs to a path"),
    ({"predictions": {"connection_env": "DB"}}, "predictions: connection_env belongs to a query"),
    # shapes
    ({"alerts": {"name": "a"}}, "alerts: a list is needed here"),
    ({"model": 3}, "model = 3: a table is needed here"),
]


@pytest.mark.parametrize(("tables", "said"), IMPOSSIBLE, ids=[said[:50] for _, said in IMPOSSIBLE])
def test_an_impossible_value_is_refused(tables: dict[str, Any], said: str) -> None:
    error = refused(tables)
    assert said in str(error.got)
    assert error.what == "the contract has 1 problem"


def test_what_lies_just_inside_is_possible() -> None:
    made = Contract.from_dict(
        BARE
        | {
            "label": {"window": "7d", "grace": "1d", "stages": ["1d", "6d"], "also": [PROXY]},
            "privacy": {"retention": "8d"},
            "slo": {"label_availability": {"at": "8d", "minimum": 1}, "latency_ms": {"p50": 3, "p99": 3}},
            "slices": {"columns": ["region"], "critical": [{"region": "EU"}]},
            "alerts": [ALERT | {"by": "100%", "slices": "critical", "lasting": "1h"}, LEVEL | {"name": "b"}],
            "decision": {"threshold": 1},
            "predictions": CONNECTION,
        }
    )
    assert made.predictions.path is None
    assert made.predictions.query == "select 1"
    assert Contract.from_toml(made.to_toml()) == made


def test_scores_that_are_no_probabilities_may_have_any_threshold() -> None:
    assert (
        Contract.from_dict(
            BARE | {"predictions": {"score_kind": "margin"}, "decision": {"threshold": -3}}
        ).decision.threshold
        == -3
    )


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        (
            {"features": {"columns": ["a"], "definitions": {"a": {"version": "1", "ownr": "x"}}}},
            "unknown key features.definitions.a.ownr (did you mean owner?)",
        ),
        ({"slo": {"latency_ms": {"p9": 3}}}, "unknown key slo.latency_ms.p9 (did you mean p9"),
        ({"slo": {"cost_per_1000": {"max": 3}}}, "unknown key slo.cost_per_1000.max"),
        ({"budget": {"added_latency_ms": {"p90": 3}}}, "unknown key budget.added_latency_ms.p90 (did you mean p"),
        (
            {"slo": {"feed_completeness": {"at": "1d", "minimum": 0.9, "minimun": 0.9}}},
            "unknown key slo.feed_completeness.minimun (did you mean minimum?)",
        ),
        (
            {"retrain": {"rules": [RULE | {"lastng": "1d"}]}},
            "unknown key retrain.rules.0.lastng (did you mean lasting?)",
        ),
        (
            {"alerts": [ALERT, ALERT | {"name": "b", "runbok": "x"}]},
            "unknown key alerts.1.runbok (did you mean runbook?)",
        ),
        (
            {"label": {"window": "7d", "changes": [{"version": "1", "date": "2026-01-01", "notes": "x"}]}},
            "unknown key label.changes.0.notes (did you mean note?)",
        ),
        ({"label": {"window": "7d", "also": [PROXY | {"windo": "1h"}]}}, "unknown key label.also.0.windo"),
        (
            {"join": {"fallback": {"entity": "user", "rules": "all"}}},
            "unknown key join.fallback.rules (did you mean rule?)",
        ),
    ],
)
def test_an_unknown_key_is_found_at_any_depth(tables: dict[str, Any], said: str) -> None:
    assert said in problems(**tables)


def test_problems_of_keys_tables_and_between_tables_are_told_together() -> None:
    found = problems(
        model={"name": "m", "ower": "x"},
        label={"window": "7d", "stages": ["9d"], "silence": "no"},
        slices={"columns": ["region"], "critical": [{"zone": "EU"}]},
        alerts=[ALERT, ALERT],
        decision={"threshold": 3},
        privacy={"retention": "soon"},
        features={"definitions": {"a": {"version": "1"}}},
        outcomes={"complete_through": "2026-06-01T00:00:00"},
    )
    said = [
        "unknown key model.ower (did you mean owners?)",
        "label.silence = 'no'",
        "label: every stage must be shorter than the window",
        "slices.critical names zone",
        "alerts: the same name twice (a)",
        "decision.threshold = 3.0 lies outside 0..1",
        "privacy.retention = 'soon': not a duration",
        "features.definitions names a",
        "outcomes.complete_through",
    ]
    assert [text for text in said if text not in found] == []


def test_a_refused_key_is_not_told_again_as_missing() -> None:
    with pytest.raises(ContractError) as caught:
        Contract.from_dict(BARE | {"alerts": [ALERT | {"by": "lots"}, LEVEL | {"name": "b", "level": "low"}]})
    assert "has 2 problems" in caught.value.what


def test_a_file_full_of_faults_is_told_line_by_line_and_in_full() -> None:
    alerts = [{**ALERT, "name": f"a{number}", "by": "lots" * 100} for number in range(80)]
    lines = problems(alerts=alerts).strip().splitlines()
    assert [line.strip().split(" = ")[0] for line in lines] == [f"alerts.{number}.by" for number in range(80)]
    assert max(map(len, lines)) < 300


def test_names_of_a_user_cannot_move_the_cursor() -> None:
    text = "\x1b[2J\u202e\nnext"
    found = problems(slices={"critical": [{text: "x"}]}, features={"definitions": {text: {"version": "1"}}})
    assert not [sign for sign in ("\x1b", "\u202e") if sign in found]
    assert len(found.strip().splitlines()) == 2
    assert "\\x1b[2J" in problems(**{text: 1})


def test_a_path_that_is_nothing_is_the_default() -> None:
    made = Contract.from_dict(BARE | {"changes": {"path": None}})
    assert made.changes is not None
    assert made.changes.path == "changes.csv"
    assert Contract.from_toml(made.to_toml()) == made


def test_a_connection_that_is_no_variable_name_is_refused_and_not_repeated() -> None:
    found = problems(predictions={"query": "select 1", "connection_env": "postgresql://me:secret@host/db"})
    assert "predictions.connection_env" in found
    assert "secret" not in found
