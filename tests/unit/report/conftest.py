"""One hand-made diagnosis, complete in every field, that the report tests share."""

import dataclasses
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

import fbkit as fb
from fbkit.schema.contract import Contract
from fbkit.schema.diagnosis import Change, Check, Contribution, Diagnosis, Interval
from fbkit.schema.period import Period
from fbkit.session import Diagnosis as Held

START = datetime(2026, 8, 3, tzinfo=UTC)


def make_contract(*, minimum: int = 20, personal: str = "[]") -> Contract:
    return Contract.from_toml(f"""
        [model]
        name = "payment-fraud"
        owners = ["payments-ml"]
        business_metric = "net fraud loss avoided per 1000 payments"
        runbook = "docs/runbook.md"
        [predictions]
        [outcomes]
        [label]
        window = "30d"
        [slices]
        columns = ["region"]
        minimum = {minimum}
        [privacy]
        personal = {personal}
        """)


def contribution(cause, family, value, *, material=True, where="everywhere", **changes) -> Contribution:
    made = Contribution(
        cause=cause,
        family=family,
        value=value,
        lower=None if value is None else value - 0.02,
        upper=None if value is None else value + 0.02,
        material=material,
        strength="established" if material else "possible",
        where=where,
        evidence=f"evidence for {cause} with 3 numbers",
        next_evidence="an audit of 300 flagged rows",
    )
    return dataclasses.replace(made, **changes)


def ladder() -> pl.DataFrame:
    rows = [
        ("reference", None, None, "observed, reference", 0.80, 0.78, 0.82, 0.0, 0.80, "total"),
        (
            "label_slice_loss",
            "label_slice_loss",
            "labels",
            "labels lost in slices",
            -0.065,
            -0.085,
            -0.045,
            0.80,
            0.735,
            "step",
        ),
        ("concept_drift", "concept_drift", "quality", "concept drift", -0.052, -0.072, -0.032, 0.735, 0.683, "step"),
        ("noise", "noise", "noise", "sampling noise", -0.003, -0.02, 0.02, 0.683, 0.68, "step"),
        ("current", None, None, "observed, current", 0.68, 0.64, 0.72, 0.0, 0.68, "total"),
    ]
    columns = ["step", "cause", "family", "label", "value", "lower", "upper", "start", "end", "kind"]
    return pl.DataFrame(rows, schema=columns, orient="row")


def weekly() -> pl.DataFrame:
    rows = []
    for week in range(9):
        start = START + timedelta(weeks=week)
        value = 0.68 if week == 8 else 0.80 + 0.005 * (week % 3)
        availability = 0.70 if week == 8 else 0.92
        role = "current" if week == 8 else "reference"
        low, high = value - 0.03, value + 0.03
        rows.append(
            (
                start,
                start + timedelta(weeks=1),
                value,
                low,
                high,
                0.3,
                0.88,
                5000,
                int(5000 * availability),
                availability,
                role,
            )
        )
    columns = [
        "period_start",
        "period_end",
        "value",
        "lower",
        "upper",
        "bound_lower",
        "bound_upper",
        "n",
        "n_labelled",
        "availability",
        "role",
    ]
    return pl.DataFrame(rows, schema=columns, orient="row")


def by_decision() -> pl.DataFrame:
    rows = [
        ("flagged", "reference", 4000, 3680),
        ("not flagged", "reference", 36000, 33120),
        ("flagged", "current", 500, 290),
        ("not flagged", "current", 4500, 3210),
    ]
    frame = pl.DataFrame(rows, schema=["decision", "window", "n", "n_labelled"], orient="row")
    share = pl.col("n_labelled") / pl.col("n")
    return frame.with_columns(availability=share, lower=share - 0.02, upper=share + 0.02)


def by_slice(values=("EU", "US", "APAC")) -> pl.DataFrame:
    rows = []
    for window, base in (("reference", 900), ("current", 300)):
        for number, value in enumerate(values):
            flagged, rest = base // 10 + number, base - number * 7
            labelled = (flagged // 2, rest - 10)
            rows.append(("region", value, window, "flagged", flagged, labelled[0]))
            rows.append(("region", value, window, "not flagged", rest, labelled[1]))
            rows.append(("region", value, window, "all", flagged + rest, sum(labelled)))
    frame = pl.DataFrame(rows, schema=["column", "value", "window", "flagged", "n", "n_labelled"], orient="row")
    share = pl.col("n_labelled") / pl.col("n")
    return frame.with_columns(availability=share, lower=share - 0.02, upper=share + 0.02, ratio=pl.lit(0.71))


def remainder(values=("EU", "US", "APAC")) -> pl.DataFrame:
    rows = [("region", value, -0.05 + 0.02 * i, -0.09, 0.01, 0.004, 0.012, 800 + i) for i, value in enumerate(values)]
    return pl.DataFrame(
        rows,
        schema=["column", "value", "remainder", "lower", "upper", "p_value", "p_adjusted", "n_labelled"],
        orient="row",
    )


def evidence(**changes) -> dict[str, pl.DataFrame]:
    corrected = pl.DataFrame(
        {
            "window": ["reference", "current"],
            "observed": [0.80, 0.68],
            "like_for_like": [0.80, 0.70],
            "corrected": [0.80, 0.745],
            "lower": [0.78, 0.71],
            "upper": [0.82, 0.78],
        }
    )
    replay = pl.DataFrame(
        {
            "player": ["threshold", "version"],
            "value": [0.0, 0.0],
            "lower": [0.0, 0.0],
            "upper": [0.0, 0.0],
            "active": [False, False],
            "evidence": ["the threshold is the same", "one version"],
        }
    )
    return {
        "ladder": ladder(),
        "weekly": weekly(),
        "availability_by_decision": by_decision(),
        "availability_by_slice": by_slice(),
        "corrected": corrected,
        "replay": replay,
        "remainder_by_slice": remainder(),
        **changes,
    }


def make_diagnosis(**changes) -> Diagnosis:
    made = Diagnosis(
        metric="recall",
        reference=Period.parse("2026-08-03..2026-09-28"),
        current=Period.parse("2026-09-28..2026-10-05"),
        as_of=datetime(2026, 11, 2, tzinfo=UTC),
        verdict="both",
        top_cause="label_slice_loss",
        top_family="labels",
        metric_level=0.95,
        headline="Recall fell 12.0 points: lost labels in EU explain 6.5 of them, and the model 5.2.",
        observed=Change(reference=0.80, current=0.68, change=-0.12, lower=-0.16, upper=-0.08),
        true_change=Interval(value=-0.055, lower=-0.09, upper=-0.02),
        worst_case={"reference": (0.70, 0.85), "current": (0.30, 0.88)},
        tipping_ratio=0.531,
        minimum_detectable_change=0.03,
        reason=None,
        worlds=(),
        contributions=(
            contribution("label_slice_loss", "labels", -0.065, where="region=EU"),
            contribution("concept_drift", "quality", -0.052),
            contribution("noise", "noise", -0.003, material=False),
        ),
        checks=(
            Check(
                key="labels",
                question="Who lost the labels, and are they really lost?",
                answer="Flagged rows of EU.",
                seconds=0.2,
                table="availability_by_decision",
            ),
            Check(
                key="corrected",
                question="How much is left once labels are repaired?",
                answer="5.5 points.",
                seconds=1.1,
                table="corrected",
            ),
            Check(
                key="model",
                question="Is what remains the model?",
                answer="Yes: nothing else replays it.",
                seconds=0.6,
                table="replay",
            ),
        ),
        would_change_verdict=("An audit of 300 flagged and 500 unflagged rows of EU that finds label rates equal.",),
        do_now=("Ask the owner of the EU label feed about 28 September.", "Compare both versions on mature rows."),
        do_not=("Do not retrain on the labels of this week.",),
        owner="payments-ml",
        runbook="docs/runbook.md",
        decidable_at=datetime(2026, 10, 20, tzinfo=UTC),
        impact={"rows": 5000, "business_metric": -5400.0},
        data_through={"predictions": "2026-11-01T23:10:00Z", "outcomes": "2026-11-02T00:00:00Z"},
        changes=({"ts": "2026-09-28T06:00:00Z", "kind": "label", "what": "EU feed moved", "coincides": True},),
        evaluation_id="a3f1" * 16,
        seconds=2.1,
        evidence=evidence(),
        method={"draws": 200, "seed": 7, "rows": 45000},
    )
    return dataclasses.replace(made, **changes)


def without_pictures(diagnosis: Diagnosis) -> Diagnosis:
    """Drawing takes most of the time; texts are tested without it."""
    drawn = ("daily", "weekly", "ladder", "availability_by_decision")
    kept = {name: frame for name, frame in diagnosis.evidence.items() if name not in drawn}
    return dataclasses.replace(diagnosis, evidence=kept)


@pytest.fixture(scope="session")
def diagnosis() -> Diagnosis:
    return make_diagnosis()


@pytest.fixture(scope="session")
def contract() -> Contract:
    return make_contract()


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """The makers above, for tests that need another diagnosis."""
    return SimpleNamespace(
        diagnosis=make_diagnosis,
        contract=make_contract,
        contribution=contribution,
        evidence=evidence,
        by_slice=by_slice,
        remainder=remainder,
        without_pictures=without_pictures,
    )


@pytest.fixture(scope="session")
def variant_b() -> fb.Loop:
    """A shipped loop in which labels are lost; its last label windows close on 2026-10-19."""
    return fb.open_loop(fb.samples.path("recall_drop") / "variant_b")


@pytest.fixture(scope="session")
def early(variant_b: fb.Loop) -> Held:
    """A diagnosis while labels are still to come."""
    weeks = fb.Comparison(reference="2026-08-31..2026-09-28", current="2026-09-28..2026-10-05")
    return fb.triage(variant_b.join(as_of="2026-10-12"), weeks, draws=20)


@pytest.fixture(scope="session")
def _shelf(tmp_path_factory: pytest.TempPathFactory, early: Held) -> Path:
    noted = early.annotate("I wait for 3 more days.", author="Ada")
    return noted.incident(tmp_path_factory.mktemp("shelf") / "incident", clock=datetime(2026, 10, 12, 6, tzinfo=UTC))


@pytest.fixture
def folder(_shelf: Path, tmp_path: Path) -> Path:
    """A copy of a real bundle, for one test to spoil."""
    return Path(shutil.copytree(_shelf, tmp_path / "incident"))
