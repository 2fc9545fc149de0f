"""Predictions, outcomes and times of arrival as the arrival model reads them: arrays in days."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from fbkit.diagnose.bootstrap import Floats, Ints
from fbkit.diagnose.labels import Labels
from fbkit.diagnose.rows import CURRENT, REFERENCE, Flags
from fbkit.diagnose.scene import Scene
from fbkit.diagnose.settings import NEEDS_DECISION, is_mean_of_values
from fbkit.schema.label import LabelWindow, longest_delay

MICROSECONDS_PER_DAY: Final = 86_400_000_000.0
COMPLETE: Final = 0.999
"""Share of the labels after which nothing more is waited for."""
INSTANT: Final = 1e-6
"""Days that are no time at all."""
LOAD_SHARE: Final = 0.9
"""Share of the labels that arrive within two hours of the day, if they are loaded once a day."""
BULK: Final = 0.01
"""Share of the rows whose label replaced an earlier one beyond which the time of the first statement is looked up."""
FEWEST_ARRIVALS: Final = 200
"""Labels that say at which hours of the day labels arrive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Predictions of both windows (first, in their order) and those made before the current one; times in days.

    Attributes
    ----------
    made
        Time of the prediction since 1970.
    lag
        From the prediction to the arrival of its first statement; NaN without one.
    event
        From the prediction to the event; the lag where the event's time is not known.
    positive
        Chance that the outcome is positive, 0..1; NaN without a label.
    healthy
        Not of the current window.
    closed
        The label window has closed.
    open
        Days from the prediction until labels count as complete: until the window has closed, grace included; if windows
        of the current period are open, until the late ones are in as well.
    as_of
        Evaluation time.
    daily
        Labels are loaded once a day: then predictions date from the load before them, lags are whole days, and
        ``as_of`` is just before the load that would come next.
    rows
        Number of rows of both windows.
    window
        Days after the prediction within which an event counts; infinite for sessions.
    events
        The times of events are known.
    older
        The rows beyond those of both windows.
    """

    made: Floats
    lag: Floats
    event: Floats
    positive: Floats
    decision: Ints
    healthy: Flags
    closed: Flags
    open: float
    as_of: float
    rows: int
    daily: bool
    window: float
    events: bool
    older: pl.DataFrame

    def weight(self, outcome: int) -> Floats:
        """How much of a label with that outcome each row is; 0 without a known arrival."""
        share = self.positive if outcome else 1 - self.positive
        return np.where(np.isfinite(self.lag), np.nan_to_num(share), 0.0)


def history(scene: Scene, labels: Labels) -> History:
    """What the arrival model reads of the joined table."""
    frame, current, window = scene.rows.frame, scene.current, LabelWindow.of(scene.joined.contract)
    made = pl.col("ts_pred")
    delay = longest_delay(scene.joined).total_seconds() / 86_400
    inside = (made >= scene.reference.start) & (made < scene.reference.end)
    older = scene.joined.frame.lazy().filter((made < current.start) & ~inside)
    if scene.metric in NEEDS_DECISION:
        older = older.filter(pl.col("flagged").is_not_null())
    rest = older.collect()
    both = [_facts(part, scene) for part in (frame, rest)]
    facts = pl.concat(both) if rest.height else both[0]
    lag = facts["lag"].fill_null(float("nan")).to_numpy()
    event = facts["event"].fill_null(float("nan")).to_numpy()
    positive = facts["label"].fill_null(float("nan")).to_numpy(writable=True)
    n, young = len(scene.rows), ~scene.rows.mature
    healthy = np.concatenate([scene.rows.window == REFERENCE, np.ones(rest.height, dtype=bool)])
    if bool((young & scene.rows.of(CURRENT)).any()) and np.isfinite(lag[healthy]).any():
        delay = max(delay, float(np.nanquantile(lag[healthy], COMPLETE)))
    positive[:n] = np.where(labels.seen, labels.y, np.nan)
    made = facts["made"].to_numpy()
    load = _daily_load(made + lag)
    since = np.zeros(len(made))
    as_of = scene.joined.as_of.timestamp() / 86_400
    if load is not None:
        # One load is as good as another: what counts is how many of them a label waits for.
        since = (made - load) % 1
        lag = np.floor(made + lag - load + INSTANT) - np.round(made - since - load)
        # Between two loads any moment is as good as another: a lag of so many days has passed whole.
        as_of = np.floor(as_of - load + INSTANT) + load + 1 - 100 * INSTANT
    if is_mean_of_values(scene.metric):
        positive = np.where(np.isfinite(positive), 0.0, np.nan)
    return History(
        made=made - since,
        lag=np.where(np.isfinite(positive), lag, np.nan),
        event=np.where(np.isfinite(event), event + since, lag),
        positive=np.clip(positive, 0.0, 1.0),
        decision=facts["decision"].to_numpy(),
        healthy=healthy,
        closed=facts["mature"].to_numpy(),
        open=delay,
        as_of=as_of,
        daily=load is not None,
        rows=n,
        window=np.inf if window.session else window.window.total_seconds() / 86_400,
        events=bool(np.isfinite(event).any()),
        older=rest,
    )


def _daily_load(arrived: Floats) -> float | None:
    """The time of day (0 to 1) from which on the day's labels are loaded; None if they arrive at all hours."""
    known = arrived[np.isfinite(arrived)]
    if len(known) < FEWEST_ARRIVALS:
        return None
    hours = np.bincount(np.floor((known + INSTANT) % 1 * 24).astype(np.int64) % 24, minlength=24)
    both = hours + np.roll(hours, -1)
    first = int(both.argmax())
    return first / 24 if both[first] >= LOAD_SHARE * len(known) else None


def _facts(frame: pl.DataFrame, scene: Scene) -> pl.DataFrame:
    def in_days(name: str) -> pl.Expr:
        return pl.col(name).dt.total_microseconds() / MICROSECONDS_PER_DAY

    names = frame.columns
    # Where silence is a negative, nobody said so: only what was said has a time of arrival.
    said = pl.col("label") == 1 if scene.silent else pl.col("label").is_not_null()
    lag = pl.when(said).then(in_days("arrival_lag"))
    event = pl.when(said).then(in_days("lag")) if "lag" in names else pl.lit(None, dtype=pl.Float64)
    made = pl.col("ts_pred").dt.timestamp("us") / MICROSECONDS_PER_DAY
    facts = frame.lazy().select(
        made.alias("made"),
        lag.alias("lag"),
        event.alias("event"),
        pl.col("label").cast(pl.Float64).alias("label"),
        pl.col("flagged").fill_null(value=False).cast(pl.Int64).alias("decision"),
        "mature",
        *(["prediction_id"] if "prediction_id" in names else []),
    )
    first = _first_statements(scene, frame)
    if first is not None:
        since = (pl.col("__first").dt.timestamp("us") / MICROSECONDS_PER_DAY) - pl.col("made")
        facts = facts.join(first.lazy(), on="prediction_id", how="left", maintain_order="left").with_columns(
            pl.when(pl.col("lag").is_not_null()).then(pl.min_horizontal("lag", since)).alias("lag")
        )
    return facts.select("made", "lag", "event", "label", "decision", "mature").collect()


def _first_statements(scene: Scene, frame: pl.DataFrame) -> pl.DataFrame | None:
    """When the first statement arrived, where many labels were replaced: a relabelled row is not a late one."""
    pairs = getattr(scene.joined, "pairs", None)
    if pairs is None or "prediction_id" not in frame.columns:
        return None
    replaced = pairs.lazy().filter(pl.col("fate") == "superseded")
    first = replaced.group_by("prediction_id").agg(pl.col("ts_arrival").min().alias("__first")).collect()
    return first if first.height > BULK * frame.height else None
