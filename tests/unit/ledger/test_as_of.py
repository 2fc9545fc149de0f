"""An earlier as-of out of a ledger is what joining at that time says, as long as nothing was corrected since."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from fbkit.join.join import join
from fbkit.join.joined import Joined
from fbkit.ledger.build import build
from fbkit.ledger.edges import BinEdges
from fbkit.load.loop import load_logs
from fbkit.measure.from_ledger.metrics import ledger_metrics
from fbkit.measure.metrics import metrics
from fbkit.schema.contract import Contract

START = datetime(2026, 3, 2, tzinfo=UTC)
LAST = START + timedelta(days=12, hours=7)
CONTRACT = """
[model]
name = "m"
task = "binary"
[predictions]
path = "predictions.csv"
[outcomes]
path = "outcomes.csv"
complete_through = "2026-06-01T00:00:00Z"
[actions]
path = "actions.csv"
blocked = ["block"]
[label]
window = "{window}"
grace = "{grace}"
silence = "{silence}"
[decision]
threshold = 0.5
[slices]
columns = ["region"]
"""
EDGES = BinEdges(edges=(0.25, 0.5))
NAMES = ["recall", "precision", "availability", "brier", "flag_rate"]

# Half days, so that many things happen at midnights; actions are taken at once.
line = st.tuples(
    st.integers(0, 20), st.sampled_from([0, 3]), st.none() | st.integers(0, 8), st.integers(0, 8), st.booleans(),
    st.sampled_from([0.1, 0.4, 0.5, 0.9]), st.sampled_from(["EU", "US", None]), st.none() | st.just(0),
    st.none() | st.integers(0, 4),
)  # fmt: skip


def logs(lines: list[tuple]) -> dict[str, pl.DataFrame]:
    half, hour = timedelta(hours=12), timedelta(hours=1)
    predictions, outcomes, actions = [], [], []
    for number, (made, hours, event, late, label, score, region, action, logged) in enumerate(lines):
        at = START + made * half + hours * hour
        own = {"prediction_id": f"p{number:03d}", "ts_pred": at, "score": score, "region": region}
        predictions.append(own | {"ts_logged": at + (logged or 0) * half})
        if event is not None and action is None:
            said = {"outcome_id": f"o{number}", "prediction_id": f"p{number:03d}", "label": float(label)}
            outcomes.append(said | {"ts_event": at + event * half, "ts_arrival": at + (event + late) * half})
        if action is not None:
            actions.append({"prediction_id": f"p{number:03d}", "action": "block", "ts_action": at})
    outcomes.append({"outcome_id": "x", "prediction_id": "none", "label": 1.0, "ts_event": START, "ts_arrival": START})
    actions.append({"prediction_id": "none", "action": "block", "ts_action": START})
    schemas = {"prediction_id": pl.String, "region": pl.String, "label": pl.Float64}
    return {
        name: pl.DataFrame(rows, schema_overrides=schemas, infer_schema_length=None)
        for name, rows in (("predictions", predictions), ("outcomes", outcomes), ("actions", actions))
    }


def joined_at(frames: dict[str, pl.DataFrame], contract: Contract, at: datetime) -> Joined:
    return join(load_logs(contract, root=Path(), frames=frames), contract=contract, as_of=at)


@given(
    st.lists(line, min_size=1, max_size=12),
    st.sampled_from(["missing", "negative"]),
    st.sampled_from(["2d", "36h"]),
    st.sampled_from(["0d", "12h"]),
    st.integers(1, 12),
)
@settings(max_examples=12, phases=(Phase.explicit, Phase.generate), deadline=None)
def test_every_earlier_midnight_is_the_join_at_that_time(
    lines: list[tuple], silence: str, window: str, grace: str, day: int
) -> None:
    frames = logs(lines)
    contract = Contract.from_toml(CONTRACT.format(window=window, grace=grace, silence=silence))
    ledger = build(joined_at(frames, contract, LAST), edges=EDGES)
    at = START + timedelta(days=day)
    if not any(row["ts_logged"] <= at for row in frames["predictions"].to_dicts()):
        return
    for moment in (at, LAST):
        then = joined_at(frames, contract, moment)
        for by, every, stage in ((None, None, "any"), ("region", None, "final"), (None, "1d", "final")):
            ours = ledger_metrics(ledger, NAMES, by=by, every=every, stage=stage, as_of=moment)
            theirs = metrics(then, NAMES, by=by, every=every, stage=stage)
            same = ["metric", "period_start", "period_end", "n", "n_labelled", "stage", "reason"]
            assert ours.select(same).equals(theirs.select(same))
            for name in ("value", "bound_lower", "bound_upper"):
                np.testing.assert_allclose(ours[name].to_numpy(), theirs[name].to_numpy(), atol=1e-9)
