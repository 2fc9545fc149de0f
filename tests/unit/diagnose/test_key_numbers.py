"""The numbers that only stand in sentences are cells of a frame, and the same ones as everywhere else."""

import numpy as np
import polars as pl
import pytest

from fbkit.diagnose.key_numbers import SCHEMA
from fbkit.diagnose.triage import triage
from fbkit.report.formats import KINDS


def _numbers(said) -> dict[str, float | None]:
    return dict(said.evidence["key_numbers"].select("name", "value").iter_rows())


def test_they_are_the_diagnosis_own_numbers(by_hand, weeks) -> None:
    lost = by_hand(lose=lambda f, y: np.where(f["current"] & f["flagged"], 0.5, 0.05))
    said = triage(lost, weeks, draws=40)
    frame, found = said.evidence["key_numbers"], _numbers(said)
    assert frame.schema == pl.Schema(SCHEMA)
    assert frame["name"].is_unique().all()
    assert set(frame["kind"]) <= set(KINDS)
    observed, true = said.observed, said.true_change
    assert [found[f"observed_{name}"] for name in ("change", "lower", "upper")] == [
        observed.change,
        observed.lower,
        observed.upper,
    ]
    assert [found[f"true_{name}"] for name in ("change", "lower", "upper")] == [true.value, true.lower, true.upper]
    assert found["tipping_ratio"] == said.tipping_ratio
    assert found["minimum_detectable_change"] == said.minimum_detectable_change
    assert (found["impact_rows"], found["impact_value"]) == (said.impact["rows"], said.impact["business_metric"])
    assert (found["rows_reference"], found["rows_current"]) == (
        said.method["rows_reference"],
        said.method["rows_current"],
    )
    loss = next(part for part in said.contributions if part.cause == "label_slice_loss")
    assert found["repair_label_loss"] == pytest.approx(-(loss.value or 0.0))
    assert found["causes_claimed"] == sum(part.material for part in said.contributions)
    assert found["open_share_current"] == 0.0
    assert found["blocked_share_current"] is None


def test_what_is_not_estimable_is_null(by_hand, weeks) -> None:
    nothing = by_hand(lose=lambda f, y: np.where(f["current"], 1.0, 0.0))
    found = _numbers(triage(nothing, weeks, draws=20))
    assert [found[name] for name in ("observed_change", "true_change", "impact_rows")] == [None, None, None]
    assert found["interval_level"] == 0.95
    assert not any(np.isnan(value) for value in found.values() if value is not None)


def test_without_draws_there_is_no_interval_and_no_smallest_change(by_hand, weeks) -> None:
    found = _numbers(triage(by_hand(), weeks, draws=0))
    assert found["observed_change"] is not None
    assert [found[name] for name in ("observed_lower", "minimum_detectable_change", "remainder_standard_errors")] == [
        None,
        None,
        None,
    ]
