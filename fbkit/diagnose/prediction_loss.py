"""Are the predictions all there? Volume by day, hour, slice and decision against the same weekdays of the reference."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import polars as pl

from fbkit.diagnose import words
from fbkit.diagnose.bootstrap import Floats, Ints
from fbkit.diagnose.dispersion import day_of
from fbkit.diagnose.player import EVERYWHERE, LOG_LOSS, Player
from fbkit.diagnose.rows import CURRENT, REFERENCE, Flags
from fbkit.diagnose.scene import Scene

LOW, CALM = 0.85, 0.93
"""A part is short below the first share of what is expected and unaffected above the second; nothing in between."""
GATE: Final = 6.0
RECENT_WEEKS: Final = 4
COMPENSATED: Final = 0.35
"""If the other parts gained this share of what is missing, traffic moved and nothing was lost."""
CONFIRMED, DENIED = 0.3, 0.1
"""Orphan outcomes, as a share of those that the missing predictions would leave."""
FEWEST: Final = 50.0
MOST_DAYS: Final = 31
EMPTY: Final = 0.05
"""A day with less than this share of what is expected is a hole in the log rather than a quiet day."""
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

VOLUME_SCHEMA: Final = {
    "column": pl.String, "value": pl.String, "n": pl.Int64, "expected": pl.Float64, "ratio": pl.Float64,
    "z": pl.Float64, "short": pl.Boolean,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLoss:
    """Missing predictions: the column and the values (codes) that are short; no column: all alike."""

    column: str
    code: Ints
    short: Flags
    missing: float
    share: float
    player: Player

    @property
    def stratum(self) -> Ints:
        """1 where a row is of a short kind."""
        return self.short[self.code].astype(np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """One way to cut the rows: counts of the current window and what the reference leads one to expect."""

    column: str
    values: tuple[str, ...]
    code: Ints
    n: Floats
    expected: Floats
    z: Floats

    @property
    def ratio(self) -> Floats:
        return np.divide(self.n, self.expected, out=np.ones_like(self.n), where=self.expected > 0)

    @property
    def enough(self) -> Flags:
        return self.expected >= FEWEST

    @property
    def short(self) -> Flags:
        """Clearly short, and with one of these whatever else is short beyond half of the gate."""
        low = self.enough & (self.ratio < LOW)
        first = low & (self.z < -GATE)
        return low & (self.z < -GATE / 2) if first.any() else first

    @property
    def level(self) -> float:
        """Volume of the unaffected parts over what is expected of them."""
        calm = self.enough & ~self.short
        return float(self.n[calm].sum() / self.expected[calm].sum()) if calm.any() else 1.0

    @property
    def missing(self) -> float:
        short = self.short
        return float((min(self.level, 1.0) * self.expected[short] - self.n[short]).sum())

    @property
    def lopsided(self) -> bool:
        """Some parts are short, the others are neither short nor have they gained what those lost."""
        short, rest = self.short, self.enough & ~self.short
        calm = (self.ratio > CALM) | (self.z > -GATE / 2)
        if not short.any() or not rest.any() or not calm[rest].all():
            return False
        return float((self.n[rest] - self.expected[rest]).sum()) < COMPENSATED * self.missing


def log_loss(scene: Scene) -> tuple[LogLoss | None, pl.DataFrame]:
    """Look for missing predictions; also the frame ``volume``: column, value, n, expected, ratio, z, short."""
    parts = list(_parts(scene))
    if not parts:
        return None, pl.DataFrame(schema=VOLUME_SCHEMA)
    frame = pl.DataFrame([line for part in parts for line in _lines(part)], schema=VOLUME_SCHEMA, orient="row")
    whole = next(part for part in parts if part.column == "all")
    options: list[tuple[float, _Part, str]] = []
    for part in parts:
        if part.column != "all" and part.lopsided:
            best = _strength(scene, part)
            if best is not None:
                gap = float((-part.z[part.short]).max())
                options.append((gap, part, best))
    if not options and whole.short.any() and _orphans(scene, whole.missing) == "confirmed":
        return _found(scene, whole, frame, best="established"), frame
    if not options:
        return None, frame
    _, part, best = max(options, key=lambda option: option[0])
    return _found(scene, part, frame, best=best), frame


def _parts(scene: Scene) -> Iterator[_Part]:
    rows = scene.rows
    day = day_of(rows.frame)
    hour = rows.frame["ts_pred"].dt.hour().cast(pl.Int64).to_numpy()
    none = np.zeros(len(day), dtype=np.int64)
    now = whole_days(scene)
    if not len(now):
        return
    yield _part(scene, "all", ("all",), none, day)
    if len(now) <= MOST_DAYS:
        yield _by_day(scene, day, now)
    yield _part(scene, "hour", tuple(f"{h:02d}" for h in range(24)), hour, day)
    for name, (values, code) in scene.encoded.items():
        yield _part(scene, name, values, code, day)
    if 0 < rows.decision.mean() < 1:
        yield _part(scene, "decision", ("not flagged", "flagged"), rows.decision, day)


def whole_days(scene: Scene) -> Ints:
    """Days (since 1970, UTC) that lie in the current window from end to end, as far as was known by as-of."""
    start, end = scene.current.start, min(scene.current.end, scene.joined.as_of)
    first = -((EPOCH - start) // timedelta(days=1))
    return np.arange(first, (end - EPOCH) // timedelta(days=1), dtype=np.int64)


def _weekdays(scene: Scene, day: Ints) -> tuple[Ints, Ints, Ints]:
    """Days of the current window and of the last weeks of the reference, and the first day of these."""
    now = whole_days(scene)
    before = np.unique(day[scene.rows.of(REFERENCE)])
    recent = before[before >= before[-1] - 7 * RECENT_WEEKS + 1]
    return now, recent, recent[:1]


def _part(scene: Scene, column: str, values: tuple[str, ...], code: Ints, day: Ints) -> _Part:
    """Counts by value: each current day is expected to be as that weekday was in the last weeks of the reference."""
    now, recent, first = _weekdays(scene, day)
    rows, size = scene.rows, len(values)
    mine = rows.of(REFERENCE) & (day >= first[0])
    span = int(recent[-1] - first[0]) + 1
    table = np.bincount((day[mine] - first[0]) * size + code[mine], minlength=span * size).reshape(span, size)
    counted = rows.of(CURRENT) & (day >= now[0]) & (day <= now[-1])
    n = np.bincount(code[counted], minlength=size).astype(np.float64)
    expected, spread = np.zeros(size), np.zeros(size)
    for one in now:
        same = [int(d - first[0]) for d in recent if (one - d) % 7 == 0] or [int(d - first[0]) for d in recent]
        mean = table[same].mean(0)
        expected += mean
        spread += mean * (1 + 1 / len(same))
    over = _overdispersion(table.astype(np.float64), recent, int(first[0]))
    z = (n - expected) / np.sqrt(np.maximum(spread * over, 1.0))
    return _Part(column=column, values=values, code=code, n=n, expected=expected, z=z)


def _overdispersion(table: Floats, recent: Ints, first: int) -> Floats:
    """Variance of the days about their weekday's mean over what chance does, at least 1."""
    left, freedom = np.zeros(table.shape[1]), 0
    for weekday in range(7):
        same = table[[int(d - first) for d in recent if d % 7 == weekday]]
        if len(same) > 1:
            mean = same.mean(0)
            left += (np.divide((same - mean) ** 2, mean, out=np.zeros_like(same), where=mean > 0)).sum(0)
            freedom += len(same) - 1
    if not freedom:
        return np.full(table.shape[1], 4.0)
    # Few days say little about the spread of one value: its neighbours' stands in for twenty more.
    own = left / freedom
    return np.maximum(1.0, (freedom * own + 20 * own.mean()) / (freedom + 20))


def _by_day(scene: Scene, day: Ints, now: Ints) -> _Part:
    parts = [_one_day(scene, day, int(one)) for one in now]
    names = tuple(f"{EPOCH + timedelta(days=int(one)):%Y-%m-%d}" for one in now)
    code = np.clip(day - int(now[0]), 0, len(names) - 1)
    n, expected, z = (np.array([part[i] for part in parts]) for i in range(3))
    return _Part(column="day", values=names, code=code, n=n, expected=expected, z=z)


def _one_day(scene: Scene, day: Ints, one: int) -> tuple[float, float, float]:
    _, recent, _ = _weekdays(scene, day)
    counts = [float((day == d).sum()) for d in recent if (one - d) % 7 == 0] or [
        float((day == d).sum()) for d in recent
    ]
    n, expected = float((day == one).sum()), float(np.mean(counts))
    spread = max(float(np.var(counts, ddof=1)) if len(counts) > 1 else 0.0, expected)
    return n, expected, float((n - expected) / np.sqrt(max(spread * (1 + 1 / len(counts)), 1.0)))


def _lines(part: _Part) -> list[tuple[str, str, int, float, float, float, bool]]:
    return [
        (part.column, value, int(n), float(e), float(r), float(z), bool(s))
        for value, n, e, r, z, s in zip(part.values, part.n, part.expected, part.ratio, part.z, part.short, strict=True)
    ]


def _strength(scene: Scene, part: _Part) -> str | None:
    """How surely predictions are missing rather than traffic; None: it is traffic."""
    told, column = _orphans(scene, part.missing), part.column
    if told == "confirmed":
        return "established"
    if column in ("day", "decision"):  # a holiday, or other scores: without orphans these are no losses
        empty = column == "day" and bool((part.ratio[part.short] < EMPTY).all())
        return "probable" if empty and told == "unknown" else None
    return "probable" if told == "unknown" or column == "hour" else None


def _orphans(scene: Scene, missing: float) -> str:
    """What outcomes without a prediction say: confirmed, denied, or unknown where the join kept none."""
    excess, expected = orphan_excess(scene), missing * float(scene.rows.labelled[scene.rows.of(REFERENCE)].mean())
    if excess is None or expected < FEWEST / 2:
        return "unknown"
    if excess > CONFIRMED * expected:
        return "confirmed"
    return "denied" if excess < DENIED * expected else "unknown"


def orphan_excess(scene: Scene) -> float | None:
    """Outcomes under unknown keys, by the time of the event, beyond the reference's share; None where not kept."""
    pairs = getattr(scene.joined, "pairs", None)
    if pairs is None:
        return None
    lost = pairs.lazy().filter(pl.col("fate") == "orphan").select("ts_event").collect().to_series()
    days = [(p.end - p.start).total_seconds() / 86_400 for p in (scene.reference, scene.current)]
    end = min(scene.reference.end, scene.current.start)
    before = int(((lost >= scene.reference.start) & (lost < end)).sum())
    lag = timedelta(days=_usual_lag(scene))
    now = int(((lost >= scene.current.start + lag) & (lost < scene.current.end + lag)).sum())
    return now - before * days[1] / days[0]


def _usual_lag(scene: Scene) -> float:
    """Median days from prediction to event: where an orphan of a given day is to be looked for."""
    frame = scene.rows.frame
    if "ts_event" not in frame.columns:
        return 0.0
    lag = (frame["ts_event"] - frame["ts_pred"]).drop_nulls().dt.total_seconds().median()
    return float(lag) / 86_400 if isinstance(lag, int | float) else 0.0


def _found(scene: Scene, part: _Part, frame: pl.DataFrame, *, best: str) -> LogLoss:
    hit = [value for value, short in zip(part.values, part.short, strict=True) if short]
    n, expected = float(part.n[part.short].sum()), float(part.expected[part.short].sum())
    excess = orphan_excess(scene)
    where = EVERYWHERE if part.column == "all" else f"{part.column}={', '.join(hit[:4])}"
    where += " and more" if len(hit) > 4 else ""
    text = (
        f"About {words.count(part.missing)} predictions are missing ({where}): {words.count(n)} are logged where the "
        f"same weekdays of the reference lead one to expect {words.count(expected)}, while the rest is as before."
    )
    if excess is not None and excess > 0:
        text += f" {words.count(excess)} more outcomes than usual name a prediction that is not there."
    numbers: dict[str, tuple[str, float | None]] = {
        "predictions_missing": ("count", part.missing),
        "predictions_where_missing": ("count", n),
        "predictions_expected_there": ("count", expected),
        "orphans_in_excess": ("count", excess),
    }
    player = Player(
        cause=LOG_LOSS,
        where=where,
        evidence=f"{text} The reference's rows weighted to what is left move {{move}}.",
        next_evidence="The request log of the serving system: requests answered in those hours and slices.",
        best=best,
        frame=frame.filter(pl.col("column") == part.column),
        numbers=numbers,
    )
    share = part.missing / (float(scene.rows.of(CURRENT).sum()) + part.missing)
    return LogLoss(
        column=part.column, code=part.code, short=part.short, missing=part.missing, share=share, player=player
    )
