"""Which rungs apply to which metric, and what is said of a metric that is not explained."""

from pathlib import Path

import polars as pl
import pytest

import fbkit as fb
from fbkit.diagnose.applies import NOT_EXPLAINED, RUNGS_OF_METRIC, is_of_requests, metrics_of, rungs_of
from fbkit.diagnose.rows import check_metric
from fbkit.errors import ArgumentError
from fbkit.measure.registry import metric_names
from fbkit.schema.contract import Contract
from fbkit.schema.results import FAMILY_OF_CAUSE

TASKS = ("binary", "regression", "ranking")
CONTRACT = """
[model]
name = "m"
task = "{task}"
[predictions]
path = "p.csv"
score_kind = "{kind}"
[outcomes]
path = "o.csv"
[label]
window = "7d"
"""


def contract(task: str = "binary", kind: str = "probability") -> Contract:
    return Contract.from_toml(CONTRACT.format(task=task, kind=kind))


@pytest.mark.parametrize("task", TASKS)
def test_every_metric_states_its_rungs(task: str) -> None:
    for name in metrics_of(task):
        rungs = rungs_of(name.replace("@k", "@10"))
        assert rungs == RUNGS_OF_METRIC[name]
        assert {"noise", "concept_drift", "label_slice_loss", "mix_shift"} <= rungs <= set(FAMILY_OF_CAUSE)


@pytest.mark.parametrize("task", TASKS)
def test_every_metric_is_one_of_the_kit(task: str) -> None:
    known = {*metric_names(task=task), "value_per_prediction"}
    assert set(metrics_of(task)) <= known
    assert not set(NOT_EXPLAINED) & set(metrics_of(task))


def test_what_a_decision_does_needs_a_metric_of_decisions() -> None:
    assert "threshold_change" in rungs_of("value_per_prediction")
    for name in ("roc_auc", "ece", "mae", "ctr", "mrr", "ndcg@3"):
        assert "threshold_change" not in rungs_of(name)


def test_a_team_s_own_metric_does_not_follow_rewritten_labels() -> None:
    metric = fb.Metric(name="mine", needs="rows", fn=pl.col("label") * 2.0)
    rungs = rungs_of(check_metric(metric, contract=contract()))
    assert "join_break" not in rungs
    assert "version_regression" in rungs


@pytest.mark.parametrize(("name", "is_one"), [("ndcg@10", True), ("mrr", True), ("ndcg", False), ("ndcg@0", False)])
def test_names_of_lists(name: str, is_one: bool) -> None:
    assert is_of_requests(name) is is_one


@pytest.mark.parametrize(
    ("metric", "task", "said"),
    [
        ("r2", "regression", "no mean over rows"),
        ("error_p95", "regression", "is a quantile"),
        ("flag_rate", "binary", "needs no labels"),
        ("wape", "binary", "does not know this metric for a binary model"),
        ("recall", "regression", "does not know this metric for a regression model"),
        ("ndcg@0", "ranking", "does not know this metric for a ranking model"),
        ("value_per_prediction", "binary", "what each outcome is worth"),
    ],
)
def test_what_is_not_explained_is_refused_with_a_way_out(metric: str, task: str, said: str) -> None:
    with pytest.raises(ArgumentError, match=said) as caught:
        check_metric(metric, contract=contract(task))
    assert caught.value.next_step


@pytest.mark.parametrize("metric", ["brier", "log_loss", "ece", "mcb", "dsc"])
def test_margins_have_no_calibration(metric: str) -> None:
    assert check_metric(metric, contract=contract()) == metric
    with pytest.raises(ArgumentError, match="needs scores that are probabilities"):
        check_metric(metric, contract=contract(kind="margin"))
    assert check_metric("average_precision", contract=contract(kind="margin")) == "average_precision"


def test_the_value_carries_its_prices() -> None:
    priced = Contract.from_toml(CONTRACT.format(task="binary", kind="probability") + "[value]\ntrue_positive = 3.0\n")
    name = check_metric("value_per_prediction", contract=priced)
    assert name == "value_per_prediction"
    assert name.worth == (3.0, 0.0, 0.0, 0.0)


def test_the_page_says_the_same() -> None:
    """docs/triage_metrics.md: one line per cause, one column per family of metrics."""
    page = (Path(__file__).parents[3] / "docs" / "triage_metrics.md").read_text(encoding="utf-8")
    of_column = ("recall", "roc_auc", "base_rate", "mae", "ctr", "ndcg@k")
    lines = {line.split("`")[1]: line for line in page.splitlines() if line.startswith("| `")}
    assert set(lines) == set(FAMILY_OF_CAUSE)
    for cause, line in lines.items():
        told = [cell.strip() == "yes" for cell in line.strip("|").split("|")[1:]]
        assert told == [cause in RUNGS_OF_METRIC[name] for name in of_column]
    for task in TASKS:
        assert all(f"`{name}`" in page for name in metrics_of(task))
