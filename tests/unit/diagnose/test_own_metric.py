"""Triage of a team's own metric: a mean over labelled rows goes through the same ladder."""

import polars as pl
import pytest

import fbkit as fb
from fbkit.errors import ArgumentError


@pytest.fixture(scope="module")
def joined() -> fb.Joined:
    return fb.open_loop(fb.samples.path("recall_drop") / "variant_b").join()


def test_the_same_loss_written_by_hand_gets_the_same_verdict(joined: fb.Joined) -> None:
    metric = fb.Metric(name="own_brier", needs="rows", fn=(pl.col("score") - pl.col("label")) ** 2, better="lower")
    own, kit = fb.triage(joined, metric=metric, draws=40), fb.triage(joined, metric="brier", draws=40)
    assert own.observed.change == pytest.approx(kit.observed.change, abs=1e-12)
    assert (own.verdict, own.top_cause) == (kit.verdict, kit.top_cause) == ("labels", "label_slice_loss")
    # The kit's own also knows which label each loss belongs to, so the corrections differ a little.
    assert own.true_change.value == pytest.approx(kit.true_change.value, abs=1e-3)
    assert sum(part.value or 0.0 for part in own.contributions) == pytest.approx(own.observed.change, abs=1e-9)
    assert "own_brier" in own.headline


def test_a_business_metric_is_explained_and_exported(joined: fb.Joined, tmp_path) -> None:
    lost = pl.when(pl.col("label") == 1).then(pl.when("flagged").then(0.0).otherwise(pl.col("log_amount").exp()))
    metric = fb.Metric(name="loss_per_payment", needs="rows", fn=lost.otherwise(0.0) + 0 * pl.col("label"))
    diagnosis = fb.triage(joined, metric=metric, draws=20)
    assert sum(part.value or 0.0 for part in diagnosis.contributions) == pytest.approx(
        diagnosis.observed.change, abs=1e-9
    )
    folder = diagnosis.incident(tmp_path / "incident")
    assert "loss_per_payment" in (folder / "incident.md").read_text()


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        (fb.Metric(name="own", needs="counts", fn=lambda c: c.tp), "only means over labelled rows"),
        (fb.Metric(name="own", needs="rows", fn=pl.col("score")), "only means over labelled rows"),
        (fb.Metric(name="recall", needs="rows", fn=pl.col("label")), "name of one of the kit's"),
        (fb.Metric(name="own", needs="rows", fn=pl.col("label") * pl.col("price")), "does not have"),
    ],
)
def test_what_the_ladder_cannot_explain_is_refused(joined: fb.Joined, metric: fb.Metric, said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        fb.triage(joined, metric=metric, draws=20)
