"""Every metric that triage explains is the one that fb.metrics shows: values, worst cases, weeks and days."""

import polars as pl
import pytest

import fbkit as fb
from fbkit.diagnose.bounds import worst_case
from fbkit.diagnose.rows import CURRENT, REFERENCE, check_metric, prepare
from fbkit.diagnose.series import by_week_and_day
from fbkit.diagnose.settings import METRICS

# Monday to Monday, so that weeks are cut as fb.metrics cuts them.
COMPARISON = fb.Comparison(reference="2026-08-03..2026-09-28", current="2026-09-28..2026-10-05")


@pytest.fixture(scope="module")
def joined() -> fb.Joined:
    return fb.open_loop(fb.samples.path("recall_drop") / "variant_b").join()


@pytest.fixture(scope="module")
def shown(joined: fb.Joined) -> dict[str, pl.DataFrame]:
    """What fb.metrics says of both periods."""
    periods = zip(("reference", "current"), COMPARISON.periods(), strict=True)
    return {name: fb.metrics(joined, METRICS, period=period, stage="any") for name, period in periods}


def value_of(frame: pl.DataFrame, metric: str, column: str = "value") -> float | None:
    return frame.filter(pl.col("metric") == metric)[column].item()


@pytest.mark.parametrize("metric", METRICS)
def test_the_observed_values_are_those_of_the_metrics_table(joined, shown, metric) -> None:
    said = fb.triage(joined, COMPARISON, metric=metric, draws=0)
    assert said.metric == metric
    assert said.observed.reference == pytest.approx(value_of(shown["reference"], metric), abs=1e-9)
    assert said.observed.current == pytest.approx(value_of(shown["current"], metric), abs=1e-9)
    assert sum(part.value for part in said.contributions) == pytest.approx(said.observed.change, abs=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_worst_cases_are_those_of_the_metrics_table(joined, shown, metric) -> None:
    reference, current = COMPARISON.periods()
    name = check_metric(metric, contract=joined.contract)
    rows = prepare(joined.frame, metric=name, reference=reference, current=current)
    for window, period in ((REFERENCE, "reference"), (CURRENT, "current")):
        ends = tuple(value_of(shown[period], metric, column) for column in ("bound_lower", "bound_upper"))
        found = worst_case(rows, window=window)
        assert found == (ends if None in ends else pytest.approx(ends, rel=1e-9))


@pytest.mark.parametrize("metric", METRICS)
def test_weeks_and_days_are_those_of_the_metrics_table(joined, metric) -> None:
    reference, current = COMPARISON.periods()
    name = check_metric(metric, contract=joined.contract)
    made = by_week_and_day(joined.frame, metric=name, reference=reference, current=current, level=0.95)
    for steps, every in (("weekly", "1w"), ("daily", "1d")):
        table = fb.metrics(joined, metric, every=every, stage="any").filter(pl.col("n") > 0)
        both = made[steps].join(table, on="period_start", suffix="_table")
        assert both.height == table.height == made[steps].height
        assert both["value"].to_list() == pytest.approx(both["value_table"].to_list(), abs=1e-9)
        assert both["n"].to_list() == both["n_table"].to_list()
        assert both["n_labelled"].to_list() == both["n_labelled_table"].to_list()


def test_one_step_is_the_whole_period(joined) -> None:
    said = fb.triage(joined, COMPARISON, metric="average_precision", draws=0)
    weekly = said.evidence["weekly"].filter(pl.col("role") == "current")
    assert weekly["value"].to_list() == pytest.approx([said.observed.current], abs=1e-12)
    assert (weekly["lower"] < weekly["value"]).all()
    assert said.evidence["daily"].columns[0] == "day"


def test_the_value_of_a_change_is_counted_over_all_current_predictions(joined) -> None:
    said = fb.triage(joined, COMPARISON, metric="value_per_prediction", draws=0)
    start, end = COMPARISON.periods()[1].start, COMPARISON.periods()[1].end
    rows = joined.frame.filter((pl.col("ts_pred") >= start) & (pl.col("ts_pred") < end)).height
    assert said.impact["business_metric"] == pytest.approx(said.true_change.value * rows, abs=0.01)
    assert said.impact["rows"] is None
