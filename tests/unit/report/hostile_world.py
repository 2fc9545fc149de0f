"""A loop in which every text of a user wants to be code: one token for each payload in each place.

A token (``zq0304q``: place 3, payload 4) shows in any output which text arrived there, however it was escaped.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
import polars as pl

import fbkit as fb
from fbkit.schema.contract import Contract

PAYLOADS: Final[Mapping[str, str]] = {
    "element": "<img src=x onerror=alert('TOKEN')>",
    "script": "</script><script>alert('TOKEN')</script>",
    "svg": "]]></text></svg><svg onload=alert('TOKEN')>",
    "attribute": "\" onmouseover=\"alert('TOKEN')\" '",
    "vega": "datum['TOKEN'] || warn(event) || datum.x",
    "template": "{{TOKEN}} ${TOKEN} <%= TOKEN %>",
    "markdown": "[TOKEN](javascript:alert(1)) ![x](http://evil.example/TOKEN.png)",
    "address": "http://evil.example/TOKEN www.evil.example/TOKEN me@TOKEN.example",
    "table": "TOKEN | a |\n|---|---|\n# TOKEN",
    "formula": '=HYPERLINK("http://evil.example/TOKEN")',
    "spreadsheet": "\t@SUM(TOKEN) ＝1+1",
    "field": '{ INCLUDEPICTURE "http://evil.example/TOKEN" }',
    "terminal": "\x1b]0;TOKEN\x07\x1b[31m\x9b2J",
    "direction": "TOKEN\u202egnp.exe\u2066\u200b\u200f",
    "null": "TOKEN\x00\x08",
    "long": "TOKEN" + "a" * 100_000,
    "surrogate": "TOKEN\ud800",
}
PLACES: Final = (
    "slice value",
    "column name",
    "model name",
    "note",
    "version",
    "prediction id",
    "change",
    "runbook",
    "feature name",
)
# Frames and contracts hold UTF-8; only a text made in Python can carry half a character.
PAIRS: Final = [
    (place, payload) for place in PLACES for payload in PAYLOADS if payload != "surrogate" or place == "note"
]
START: Final = datetime(2026, 3, 2, tzinfo=UTC)
WEEKS: Final = fb.Comparison(reference="2026-03-02..2026-03-30", current="2026-03-30..2026-04-06")
CLOCK: Final = datetime(2026, 5, 4, tzinfo=UTC)
_ROWS: Final = 4_000


def token(place: str, payload: str) -> str:
    """What shows in an output where this payload arrived from this place."""
    return f"zq{PLACES.index(place):02d}{list(PAYLOADS).index(payload):02d}q"


def text(place: str, payload: str) -> str:
    """The payload with its token."""
    return PAYLOADS[payload].replace("TOKEN", token(place, payload))


def texts(place: str) -> list[str]:
    """Every payload of a place."""
    return [text(where, payload) for where, payload in PAIRS if where == place]


def contract(columns: list[str], features: list[str]) -> Contract:
    """A contract whose names and runbook are payloads; a name that is longer than others hides none of them."""
    return Contract.from_dict(
        {
            "model": {
                "name": " ".join(texts("model name")),
                "owners": texts("model name"),
                "purpose": " ".join(texts("model name")),
                "runbook": " ".join(texts("runbook")),
            },
            "predictions": {},
            "outcomes": {},
            "changes": {},
            "label": {"window": "7d"},
            "decision": {"threshold": 0.5},
            "slices": {"columns": ["region", *columns], "minimum": 5},
            "features": {"columns": features},
        }
    )


def predictions() -> pl.DataFrame:
    """Five weeks of predictions; in the last one a feature moved and a slice grew."""
    rng = np.random.default_rng(7)
    day = np.sort(rng.uniform(0, 35, _ROWS))
    late = day > 28
    values, ids = texts("slice value"), texts("prediction id")
    regions = rng.integers(0, len(values), _ROWS)
    frame: dict[str, Any] = {
        "prediction_id": [f"{ids[i % len(ids)]}{i}" if i < 2 * len(ids) else f"p{i}" for i in range(_ROWS)],
        "ts_pred": [START + timedelta(days=float(when)) for when in day],
        "score": np.round(rng.beta(1.2, 2.0, _ROWS), 3),
        "model_version": [texts("version")[int(i)] for i in rng.integers(0, len(texts("version")), _ROWS)],
        "region": [values[int(i)] for i in np.where(late & (regions > 8), 1, regions)],
    }
    frame |= {name: rng.choice(["a", "b"], _ROWS) for name in texts("column name")}
    frame |= {name: rng.normal(0, 1, _ROWS) + 2 * late for name in texts("feature name")}
    return pl.DataFrame(frame)


def outcomes(rows: pl.DataFrame) -> pl.DataFrame:
    """Labels of most of them; in the last week those of one slice did not come."""
    rng = np.random.default_rng(8)
    labelled = rows.select("prediction_id", "ts_pred", "score", "region").with_columns(
        draw=pl.Series(rng.random(rows.height)), kept=pl.Series(rng.random(rows.height) < 0.9)
    )
    lost = (pl.col("ts_pred") > START + timedelta(days=28)) & (pl.col("region") == texts("slice value")[1])
    return labelled.filter(pl.col("kept") & ~lost).select(
        "prediction_id",
        label=(pl.col("draw") < pl.col("score")).cast(pl.Int8),
        ts_event=pl.col("ts_pred") + timedelta(days=2),
        ts_arrival=pl.col("ts_pred") + timedelta(days=3),
    )


def changes() -> pl.DataFrame:
    """A change of each payload, on the first day of the current week."""
    told = texts("change")
    return pl.DataFrame(
        {
            "ts": [START + timedelta(days=28, minutes=i) for i in range(len(told))],
            "kind": ["deploy"] * len(told),
            "what": told,
            "owner": told,
            "ref": told,
        }
    )


def hostile_joined() -> Any:
    """The joined table of the loop."""
    rows = predictions()
    asked = contract(texts("column name"), texts("feature name"))
    loop = fb.open_loop(contract=asked, predictions=rows, outcomes=outcomes(rows), changes=changes())
    return loop.join(as_of="2026-05-01T00:00Z")


def hostile_diagnosis(joined: Any) -> Any:
    """Triage of that table, with a note of each payload that a note may hold."""
    diagnosis = fb.triage(joined, WEEKS, metric="recall", draws=40)
    for payload in PAYLOADS:
        said = text("note", payload)
        if len(said) < 1000:
            diagnosis = diagnosis.annotate(said, author=said[:80], at=CLOCK)
    return diagnosis
