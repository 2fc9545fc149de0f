"""The numbers of a diagnosis that stand in its sentences and in no other evidence frame."""

import math
from collections.abc import Mapping, Sequence
from typing import Final

import polars as pl

from fbkit.diagnose.bootstrap import standard_error
from fbkit.diagnose.findings import Findings
from fbkit.diagnose.rows import CURRENT, REFERENCE
from fbkit.diagnose.settings import AUDIT_FLAGGED, AUDIT_UNFLAGGED
from fbkit.diagnose.verdict import impact_of, minimum_detectable
from fbkit.schema.diagnosis import Contribution

SCHEMA: Final = {"name": pl.String, "kind": pl.String, "value": pl.Float64, "about": pl.String}

Numbers = dict[str, tuple[str, float | None]]


def key_numbers_frame(facts: Findings, parts: Sequence[Contribution]) -> pl.DataFrame:
    """name, kind, value, about: one row per number; null where it is not estimable or was not looked at.

    ``about`` is the cause whose evidence the number stands in, in the order of its sentences; null for the rest.

    ``kind`` says how it is read: ``change`` and ``level`` on the metric's own scale, ``share`` (0 to 1), ``count``,
    ``ratio``, ``money``, and ``setting`` for what the method fixes beforehand.
    """
    found: Numbers = {**_changes(facts), **_remainder(facts), **_of_labels(facts), **_of_model(facts), **_fixed(facts)}
    for name, value in _impact(facts).items():
        found[name] = ("money" if name == "impact_value" else "count", value)
    found["causes_claimed"] = ("count", float(sum(part.material for part in parts)))
    about = {name: told.cause for told in (*facts.looked_at, *facts.replay.facts.values()) for name in told.numbers}
    for told in (*facts.looked_at, *facts.replay.facts.values()):
        found |= told.numbers
    rows = [(name, kind, _finite(value), about.get(name)) for name, (kind, value) in found.items()]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _finite(value: float | None) -> float | None:
    return float(value) + 0.0 if value is not None and math.isfinite(value) else None


def _changes(facts: Findings) -> Numbers:
    found: Numbers = {}
    observed = facts.triple(facts.observed_change) if facts.estimable else (None, None, None)
    true = facts.true_triple() if facts.estimable else (None, None, None)
    for about, triple in (("observed", observed), ("true", true)):
        for name, value in zip(("change", "lower", "upper"), triple, strict=True):
            found[f"{about}_{name}"] = ("change", value)
    found["tipping_ratio"] = ("ratio", facts.tipping)
    found["minimum_detectable_change"] = ("change", minimum_detectable(facts))
    return found


def _remainder(facts: Findings) -> Numbers:
    draws = facts.remainder if facts.correctable else facts.observed_change
    value, error = float(draws[0]), standard_error(draws)
    _, lower, upper = facts.repaired(facts.remainder)
    return {
        "remainder": ("change", value),
        "change_by_chance": ("change", facts.ladder.chance),
        "remainder_lower": ("change", lower),
        "remainder_upper": ("change", upper),
        "remainder_standard_errors": ("ratio", abs(value) / error if error else None),
        "shape_slope_standard_errors": ("ratio", facts.shape.slope),
        "remainder_gate": ("setting", facts.gate),
        "day_dispersion": ("ratio", facts.dispersion.ratio),
        "interval_widened_by": ("ratio", facts.dispersion.factor),
    }


def _of_labels(facts: Findings) -> Numbers:
    young = facts.arrival.young[facts.rows.of(CURRENT)]
    hidden = facts.blocked
    return {
        "open_share_current": ("share", float(young.mean()) if len(young) else None),
        "repair_label_loss": ("change", -float(facts.ladder.label_loss[0])),
        "repair_immature_window": ("change", -float(facts.immature[0])),
        "blocked_share_reference": ("share", None if hidden is None else hidden.reference),
        "blocked_share_current": ("share", None if hidden is None else hidden.current),
        "label_odds_ratio": ("ratio", max(facts.grading.odds_ratio)),
        "label_odds_allowed": ("ratio", max(facts.grading.gamma)),
    }


def _of_model(facts: Findings) -> Numbers:
    effect = facts.version_effect
    return {
        "version_share_current": ("share", None if facts.version is None else facts.version.share),
        "version_effect": ("change", None if effect is None else float(effect[0])),
        "rows_reference": ("count", float(facts.rows.of(REFERENCE).sum())),
        "rows_current": ("count", float(facts.rows.of(CURRENT).sum())),
    }


def _fixed(facts: Findings) -> Numbers:
    return {
        "interval_level": ("setting", facts.settings.level),
        "noise_gate": ("setting", facts.settings.noise_gate),
        "audit_flagged": ("setting", float(AUDIT_FLAGGED)),
        "audit_unflagged": ("setting", float(AUDIT_UNFLAGGED)),
    }


def _impact(facts: Findings) -> Mapping[str, float | None]:
    known = impact_of(facts)
    rows, money = known.get("rows"), known.get("business_metric")
    return {
        "impact_rows": float(rows) if isinstance(rows, int) else None,
        "impact_value": float(money) if isinstance(money, int | float) else None,
    }
