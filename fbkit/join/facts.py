"""What a loop and a joined table hold, in a few words for their cards."""

import polars as pl

from fbkit.join.joined import Joined
from fbkit.join.opened import OpenLogs
from fbkit.schema.rules import REFUSED


def loop_facts(source: OpenLogs) -> tuple[dict[str, str], list[str]]:
    """What a loop logs, in order, and what it does not, with what that costs."""
    rows, audit = source.predictions(), source.account()
    first, last = rows.select(first=pl.col("ts_pred").min(), last=pl.col("ts_pred").max()).collect().row(0)
    used = dict(audit.filter(pl.col("rule") == "used").select("table", "rows").iter_rows())
    facts = {
        "predictions": f"{used['predictions']:,}",
        "outcomes": f"{used['outcomes']:,}",
        "set aside": f"{audit.filter(pl.col('rule').is_in(list(REFUSED)))['rows'].sum():,}",
        "from": f"{first:%Y-%m-%d}" if first else "none",
        "to": f"{last:%Y-%m-%d}" if last else "none",
        "label window": source.contract.label.window_text,
    }
    if source.scans.incomplete:
        facts["left out as unreadable"] = ", ".join(part.file for part in source.scans.incomplete)
    missing = [cost for logged, cost in _costs(source) if not logged]
    return facts, missing


def _costs(source: OpenLogs) -> list[tuple[bool, str]]:
    logged, scans = source.columns(), source.scans
    arrivals_logged = source.account().filter(pl.col("rule") == "arrival_is_event_time").is_empty()
    return [
        (scans.actions is not None, "actions with propensities: whether actions hide outcomes cannot be told"),
        (arrivals_logged, "arrival times: delay and loss of labels look alike"),
        (
            bool(source.contract.features.columns),
            "features as served: drift of inputs cannot be told from drift of the concept",
        ),
        ("model_version" in logged, "model version: a version that regressed cannot be named"),
        ("entity_id" in logged, "entity: repeated customers make intervals too narrow"),
        (scans.changes is not None, "changes (deploys, features, incidents): no date to hold the drop against"),
    ]


def joined_facts(joined: Joined) -> dict[str, str]:
    """The account of a joined table for its card."""
    rows = joined.rows.lazy()
    counts = rows.group_by("state").agg(pl.len(), labelled=pl.col("label").is_not_null().sum()).sort("state").collect()
    facts = {"predictions": f"{joined.rows.height:,}"}
    facts |= {str(state): f"{number:,}" for state, number, _ in counts.iter_rows()}
    if joined.rows.height:
        facts["labelled"] = f"{counts['labelled'].sum() / joined.rows.height:.1%}"
    return facts
