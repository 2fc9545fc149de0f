"""The sound loop that every case starts from: a few rows of four logs, and a contract that uses most of its keys."""

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

Content = dict[str, Any]
START = datetime(2024, 3, 4, tzinfo=UTC)
N = 24
_UTC = pl.Datetime("us", "UTC")


def _predictions() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "prediction_id": [f"00{100 + i}" for i in range(N)],
            "ts_pred": [START + timedelta(hours=7 * i) for i in range(N)],
            "score": [(i * 37 % 100) / 100 for i in range(N)],
            "threshold": [0.5] * N,
            "model_version": ["v1" if i < N // 2 else "v2" for i in range(N)],
            "region": ["EU" if i % 3 else "US" for i in range(N)],
            "amount": [float(i * i) for i in range(N)],
            "account": [f"a{i % 7}" for i in range(N)],
            "environment": ["prod"] * (N - 1) + ["test"],
            "latency_ms": [20.0 + i for i in range(N)],
        },
        schema_overrides={"ts_pred": _UTC},
    )


def _outcomes() -> pl.DataFrame:
    known = range(0, N, 2)
    return pl.DataFrame(
        {
            "prediction_id": [None if i == 4 else f"00{100 + i}" for i in known],
            "account": [f"a{i % 7}" for i in known],
            "ts_event": [START + timedelta(hours=7 * i + 5) for i in known],
            "ts_arrival": [START + timedelta(hours=7 * i + 30) for i in known],
            "label": [float(i % 4 == 0) for i in known],
            "source": ["backfill" if i % 5 == 0 else "auto" for i in known],
        },
        schema_overrides={"ts_event": _UTC, "ts_arrival": _UTC},
    )


def _actions() -> pl.DataFrame:
    acted = range(1, N, 5)
    return pl.DataFrame(
        {
            "prediction_id": [f"00{100 + i}" for i in acted],
            "action": ["block" if i % 2 else "allow" for i in acted],
            "propensity": [0.5 + i / 100 for i in acted],
        }
    )


def _changes() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "ts": [START + timedelta(days=day) for day in (1, 3, 5)],
            "kind": ["deploy", "feature", "incident"],
            "what": ["v2", "amount in cents", "feed stopped"],
        },
        schema_overrides={"ts": _UTC},
    )


FRAMES = {"predictions": _predictions(), "outcomes": _outcomes(), "actions": _actions(), "changes": _changes()}

_CONTRACT: Content = {
    "model": {"name": "fuzz", "task": "binary", "owners": ["a", "b"], "purpose": "to be fed badly"},
    "predictions": {"columns": {"entity_id": ["account"]}, "where": {"environment": ["prod"]}},
    "outcomes": {"columns": {}, "complete_through": START + timedelta(days=9)},
    "actions": {"blocked": ["block"]},
    "changes": {},
    "label": {
        "name": "fraud", "version": "1", "window": "2d", "grace": "6h", "combine": "one", "corrections": "latest",
        "stages": ["1d"], "silence": "missing", "sources": ["auto", "backfill"],
        "changes": [{"version": "1", "date": "2024-01-01", "note": "first"}],
    },
    "join": {"keys": ["prediction_id"], "fallback": {"entity": ["account"], "rule": "earliest"}},
    "decision": {"threshold": 0.4},
    "slices": {"columns": ["region"], "critical": [{"region": "EU"}], "minimum": 5},
    "features": {"columns": ["amount"], "definitions": {"amount": {"version": "1", "owner": "x"}}},
    "metrics": {"primary": "recall", "report": ["recall", "precision", "brier"], "level": 0.9},
    "slo": {"label_availability": {"at": "1d", "minimum": 0.5}, "latency_ms": {"p95": 100.0}},
    "alerts": [{"name": "r", "metric": "recall", "condition": "drop", "by": "10%", "baseline": "previous 7d"}],
    "guardrails": [{"metric": "precision", "max_drop": "5%"}],
    "retrain": {"rules": [{"metric": "mcb", "condition": "above", "level": 0.1}], "within": "7d"},
    "costs": [{"component": "x", "per_call": 0.1}],
    "value": {"true_positive": 2.0, "currency": "EUR"},
    "time": {},
    "privacy": {"personal": ["account"], "retention": "30d"},
    "x": {"note": "mine"},
}  # fmt: skip


def contract() -> Content:
    """A copy of the base contract, free to be spoilt."""
    return copy.deepcopy(_CONTRACT)
