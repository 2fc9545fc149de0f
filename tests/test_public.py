"""Every public name works as a reader of the contents page would use it: from fbkit, on a sample that ships."""

import inspect
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import fbkit as fb
from fbkit.measure.recalibrate import Recalibration
from fbkit.measure.sensitivity import Sensitivity
from fbkit.samples.chargeback import ChargebackConfig, chargebacks
from fbkit.samples.versions import VersionsConfig, versions

LOOP = fb.samples.path("recall_drop") / "variant_a"
FIRST, SECOND = "2026-08-31..2026-09-14", "2026-09-14..2026-09-28"
WEEKS = fb.Comparison.last("7d", versus="14d")


@pytest.fixture(scope="module")
def joined() -> fb.Joined:
    return fb.open_loop(LOOP).join()


@pytest.fixture(scope="module")
def weeks(joined: fb.Joined) -> fb.Comparison:
    return joined.compare(WEEKS)


def a_column(weeks: fb.Comparison, joined: fb.Joined) -> str:
    return fb.drift(joined, weeks)["column"][0]


@cache
def silent() -> fb.Joined:
    """A loop whose outcome log holds positives only."""
    made = chargebacks(ChargebackConfig(days=200, per_day=300, base_rate=0.03), seed=1)
    contract = fb.Contract.from_toml(made.contract_toml)
    return fb.open_loop(contract=contract, predictions=made.predictions, outcomes=made.outcomes).join()


@cache
def two_labels() -> fb.Loop:
    """A loop with a proxy label beside the final one."""
    made = versions(VersionsConfig(proxy=True), seed=1)
    contract = fb.Contract.from_toml(made.contract_toml)
    return fb.open_loop(contract=contract, predictions=made.predictions, outcomes=made.outcomes)


FRAMES: dict[str, Callable[..., pl.DataFrame]] = {
    "availability": lambda joined, weeks: fb.availability(joined, every="1w"),
    "calibration": lambda joined, weeks: fb.calibration(joined, period=weeks.current),
    "calibration_summary": lambda joined, weeks: fb.calibration_summary(joined, period=weeks.current),
    "choose_threshold": lambda joined, weeks: fb.choose_threshold(
        joined, fit=FIRST, judge=SECOND, target="recall", at_least=0.8
    ),
    "compare_versions": lambda joined, weeks: fb.compare_versions(
        joined, ["recall", "roc_auc"], champion="7.2", challenger="7.3"
    ),
    "drift": fb.drift,
    "drift_bins": lambda joined, weeks: fb.drift_bins(joined, weeks, column=a_column(weeks, joined)),
    "feed_completeness": lambda joined, weeks: fb.feed_completeness(silent()),
    "find_slices": lambda joined, weeks: fb.find_slices(joined, weeks, metric="recall", depth=2),
    "label_lag": lambda joined, weeks: fb.label_lag(joined),
    "metrics": lambda joined, weeks: fb.metrics(joined, ["recall", "precision"], every="1w"),
    "provisional": lambda joined, weeks: fb.provisional(silent()),
    "provisional_calibration": lambda joined, weeks: fb.provisional_calibration(silent()),
    "slice_gaps": lambda joined, weeks: fb.slice_gaps(joined, "recall", by="region"),
    "threshold_curve": lambda joined, weeks: fb.threshold_curve(joined, period=weeks.current),
    "truth_bands": lambda joined, weeks: fb.truth_bands(joined, ["recall", "brier"], period=weeks.current),
    "volume": lambda joined, weeks: fb.volume(joined, every="1d"),
}
OTHERS: dict[str, Callable[..., tuple[object, type]]] = {
    "Comparison": lambda joined, weeks: (weeks, fb.Comparison),
    "Contract": lambda joined, weeks: (fb.Contract.load(LOOP / "contract.toml"), fb.Contract),
    "Diagnosis": lambda joined, weeks: (fb.triage(joined, weeks, draws=20), fb.Diagnosis),
    "Estimate": lambda joined, weeks: (fb.Estimate, type),
    "Joined": lambda joined, weeks: (joined, fb.Joined),
    "Ledger": lambda joined, weeks: (joined.ledger(slices=["region"]), fb.Ledger),
    "Loop": lambda joined, weeks: (fb.open_loop(str(LOOP)), fb.Loop),
    "Metric": lambda joined, weeks: (fb.Metric(name="own", needs="rows", fn=pl.col("score")), fb.Metric),
    "Period": lambda joined, weeks: (fb.Period.parse("2026-08-31..2026-09-07"), fb.Period),
    "__version__": lambda joined, weeks: (fb.__version__, str),
    "join_sensitivity": lambda joined, weeks: (
        fb.join_sensitivity(fb.open_loop(LOOP), metric="recall", period=weeks.current),
        Sensitivity,
    ),
    "open_loop": lambda joined, weeks: (fb.open_loop(LOOP), fb.Loop),
    "proxy_fidelity": lambda joined, weeks: (fb.proxy_fidelity(two_labels()), pl.DataFrame),
    "recalibrate": lambda joined, weeks: (fb.recalibrate(joined, fit=FIRST, judge=SECOND), Recalibration),
    "revisions": lambda joined, weeks: (
        fb.revisions(fb.open_loop(LOOP), metric="recall", period=weeks.current),
        pl.DataFrame,
    ),
    "samples": lambda joined, weeks: (fb.samples.path("recall_drop"), Path),
    "triage": lambda joined, weeks: (fb.triage(joined, weeks, metric="recall", draws=20), fb.Diagnosis),
}
ERRORS = {"ArgumentError", "ContractError", "FbkitError", "InputError", "MissingPartError", "OutputError"}
# The explorers are shown and moved in tests/browser.
ELSEWHERE = {"explore"}


def test_this_file_knows_every_public_name() -> None:
    assert {*FRAMES, *OTHERS, *ERRORS, *ELSEWHERE} == set(fb.__all__)


@pytest.mark.parametrize("name", sorted(FRAMES))
def test_functions_that_measure_return_a_frame_and_leave_the_rows_alone(
    name: str, joined: fb.Joined, weeks: fb.Comparison
) -> None:
    before = joined.frame.hash_rows().sum()
    frame = FRAMES[name](joined, weeks)
    assert isinstance(frame, pl.DataFrame)
    assert frame.height > 0
    assert frame["evaluation_id"].str.contains(r"^[0-9a-f]{16}$").all()
    assert [column for column in frame.select(pl.selectors.float()) if column.is_nan().any()] == []
    assert joined.frame.hash_rows().sum() == before


@pytest.mark.parametrize("name", sorted(FRAMES))
def test_functions_that_measure_take_the_data_first_and_the_rest_by_name(name: str) -> None:
    parameters = list(inspect.signature(getattr(fb, name)).parameters.values())
    assert parameters[0].name == "joined"
    positional = [parameter.name for parameter in parameters if parameter.kind is not parameter.KEYWORD_ONLY]
    assert set(positional) <= {"joined", "comparison", "names", "metrics"}


@pytest.mark.parametrize("name", sorted(OTHERS))
def test_other_names_give_what_they_are_called_after(name: str, joined: fb.Joined, weeks: fb.Comparison) -> None:
    value, expected = OTHERS[name](joined, weeks)
    assert isinstance(value, expected)


@pytest.mark.parametrize("name", sorted(ERRORS))
def test_errors_say_what_got_allowed_and_the_next_step(name: str) -> None:
    error: Any = getattr(fb, name)("a thing", got="x", allowed="y", next_step="do z")
    assert isinstance(error, fb.FbkitError)
    assert all(part in str(error) for part in ("a thing", "x", "y", "do z"))


def test_a_star_import_brings_the_contents_page() -> None:
    code = "from fbkit import *; assert callable(open_loop) and callable(triage)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        fb.nothing  # noqa: B018 - the access is the test


def test_the_sample_spans_its_weeks(joined: fb.Joined, weeks: fb.Comparison) -> None:
    assert weeks.current is not None
    assert weeks.current.end - weeks.current.start == timedelta(days=7)
    assert joined.frame.height > 10_000
