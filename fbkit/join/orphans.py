"""Outcomes whose key matches no prediction: what their ids look like, and how they may have been rewritten."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

import polars as pl

from fbkit.join.ids import (
    STEPS,
    Step,
    affixes,
    applied,
    code_of,
    format_of,
    padding_step,
    prefix_step,
    put_back_step,
    suffix_step,
    without,
)
from fbkit.join.world import JoinedRows
from fbkit.schema.label import LabelWindow

FATE: Final = "orphan"
PROFILE: Final = ("day", "source", "format", "known_format", "n", "examples")
REPAIRS: Final[dict[str, type[pl.DataType]]] = {
    "repair": pl.String, "side": pl.String, "outcomes": pl.String, "predictions": pl.String, "n_orphans": pl.Int64,
    "n_match": pl.Int64, "n_ambiguous": pl.Int64, "n_labelled_already": pl.Int64, "in_window": pl.Float64,
    "in_window_by_chance": pl.Float64, "confidence": pl.String,
}  # fmt: skip
OTHER_FORMATS: Final = "other formats"
_MOST_FORMATS, _EXAMPLES, _SAMPLE, _ENOUGH, _MANY = 20, 3, 5_000, 0.9, 20
_AFFIX_VARIANTS = 12

Sides = tuple[tuple[Step, ...], tuple[Step, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphans:
    """Statements whose key matches no prediction, as known at the joined table's as-of time.

    Attributes
    ----------
    n, n_statements
        Orphans, and all statements that had arrived and carry a key.
    profile
        day (UTC, of the event), source, format (digits as 0, letters as a or A), known_format (some prediction id is
        written like that), n, examples. Ids that the contract names as personal appear as hashes.
    repairs
        Rewrites that would make orphans match, the best first, proposed and never applied: repair (in words), side,
        outcomes and predictions (what to do to the key on that side, as Polars code; null: nothing), n_orphans,
        n_match (orphans that meet exactly one prediction that no other key meets), n_ambiguous, n_labelled_already
        (their prediction has a label by its own id), in_window (share of the matches whose event lies in the label
        window), in_window_by_chance (the same with the pairs exchanged), confidence.
    """

    n: int
    n_statements: int
    profile: pl.DataFrame
    repairs: pl.DataFrame

    def lines(self) -> Iterator[str]:
        """The same as text."""
        if not self.n:
            yield f"no orphans: each of {self.n_statements:,} keyed outcomes matches a prediction"
            return
        yield f"{self.n:,} of {self.n_statements:,} keyed outcomes match no prediction"
        by_format = self.profile.group_by("format", "known_format", maintain_order=True).agg(
            pl.col("n").sum(), pl.col("source").unique().sort(), pl.col("day").min().alias("from"),
            pl.col("day").max().alias("to"), pl.col("examples").first(),
        ).sort("n", "format", descending=[True, False])  # fmt: skip
        for row in by_format.iter_rows(named=True):
            known = "a format of" if row["known_format"] else "not a format of"
            where = f"{_visible(', '.join(row['source']))}, {row['from']} to {row['to']}; {known} the predictions"
            yield f"  {_visible(row['format'])}: {row['n']:,} ({where}), such as {row['examples']}"
        if self.repairs.is_empty():
            yield "no rewrite of the ids makes them match: the predictions were not logged, or these are not theirs"
        for row in self.repairs.iter_rows(named=True):
            match = f"{row['n_match']:,} of {row['n_orphans']:,} would match, {row['n_ambiguous']:,} ambiguous"
            inside = f"{row['in_window']:.0%} of the events in the window ({row['in_window_by_chance']:.0%} by chance)"
            yield f"  {_visible(row['repair'])}: {match}, {inside}, confidence {row['confidence']}"
            yield from (f"    {side}: {row[side]}" for side in ("outcomes", "predictions") if row[side])
        if self.repairs.height:
            yield "proposed, not applied: mend the key where the log is written, then join again"

    def __str__(self) -> str:
        return "\n".join(self.lines())

    __repr__ = __str__


def profile_orphans(table: JoinedRows) -> Orphans:
    """Profile the orphans of a joined table and propose repairs where their ids were merely rewritten."""
    keyed = table.candidates.filter((pl.col("rule") == "by_id") | (pl.col("fate") == FATE))
    arrived = keyed.filter(pl.col("ts_arrival") <= table.as_of)
    lost = arrived.filter(pl.col("fate") == FATE).select("statement", "key", "ts_event", "source")
    known = _keys(table)
    return Orphans(
        n=lost.height,
        n_statements=arrived.height,
        profile=_profile(lost, known=known["key"], personal=_personal(table)),
        repairs=propose(lost, known),
    )


def _keys(table: JoinedRows) -> pl.DataFrame:
    window = LabelWindow.of(table.contract)
    closes = pl.col("closes") if window.session else pl.col("ts_pred") + window.window
    key = pl.concat_str([pl.col(name).cast(pl.String) for name in table.contract.join.keys], separator="|")
    labelled = pl.col("rule").is_not_null().alias("labelled")
    return (
        table.rows.lazy()
        .select(key.alias("key"), "ts_pred", closes.alias("closes"), labelled)
        .drop_nulls("key")
        .collect()
    )


def _personal(table: JoinedRows) -> bool:
    return bool(set(table.contract.join.keys) & set(table.contract.privacy.personal))


def _profile(lost: pl.DataFrame, *, known: pl.Series, personal: bool) -> pl.DataFrame:
    written = known.gather_every(max(1, known.len() // _SAMPLE)).alias("key").to_frame()
    formats = set(written.select(format_of(pl.col("key")).unique()).to_series())
    frame = lost.with_columns(format_of(pl.col("key")).alias("format"))
    common = frame["format"].value_counts().sort("count", "format", descending=[True, False])["format"]
    kept = pl.col("format").is_in(common.head(_MOST_FORMATS).implode())
    frame = frame.with_columns(
        pl.col("ts_event").dt.date().alias("day"),
        pl.col("format").is_in(list(formats)).alias("known_format"),
        pl.when(kept).then("format").otherwise(pl.lit(OTHER_FORMATS)).alias("format"),
    )
    groups = frame.group_by("day", "source", "format", "known_format").agg(
        pl.len().cast(pl.Int64).alias("n"), pl.col("key").unique().bottom_k(_EXAMPLES).sort().alias("examples")
    )
    groups = groups.sort("day", "n", "source", "format", descending=[False, True, False, False])
    shown = [", ".join(_hashed(key) if personal else _visible(key) for key in keys) for keys in groups["examples"]]
    return groups.with_columns(pl.Series("examples", shown, dtype=pl.String)).select(PROFILE)


def _visible(text: str) -> str:
    """A key as it can be shown: what does not print is written as an escape."""
    return text if text.isprintable() else ascii(text)


def _hashed(key: str) -> str:
    return f"#{hashlib.sha256(f'orphan{key}'.encode()).hexdigest()[:10]}"


def propose(lost: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Rewrites of the keys under which orphans match predictions one to one.

    Parameters
    ----------
    lost
        Orphans: key (text), ts_event.
    known
        Predictions: key (text), ts_pred, closes (end of the label window), labelled.

    Returns
    -------
    A frame as described at :class:`Orphans`; empty when no rewrite makes any orphan match. The search looks at 5,000
    orphans, the counts at all of them.
    """
    empty = pl.DataFrame(schema=REPAIRS)
    if lost.is_empty() or known.is_empty():
        return empty
    keys = lost.select("key").unique().sort("key")
    sample = keys.gather_every(max(1, keys.height // _SAMPLE)).head(_SAMPLE)
    found = _search(sample, known.select("key"))
    if found is None:
        return empty
    sides, steps = found
    tried: list[Sides] = [sides]
    if len(steps) > 1:
        tried += [_sides((step,), sample, known.select("key")) for step in steps]
    rows = [_judged(item, lost=lost, known=known) for item in dict.fromkeys(tried)]
    frame = pl.DataFrame([row for row in rows if row is not None], schema=REPAIRS)
    return frame.sort("n_match", descending=True, maintain_order=True)


def _search(sample: pl.DataFrame, known: pl.DataFrame) -> tuple[Sides, tuple[Step, ...]] | None:
    """The fewest steps that match the most orphans of the sample."""
    best, count = STEPS, _matched(sample, known, STEPS)
    if count < _ENOUGH * sample.height:
        for affix in _affix_variants(sample["key"], known["key"]):
            steps = (STEPS[0], *affix, *STEPS[1:])
            here = _matched(sample, known, steps)
            if here > count:
                best, count = steps, here
    if not count:
        return None
    # Whoever matches after fewer steps matches after all of them, so only those predictions need a second look.
    core = applied(pl.col("key"), best)
    near = known.with_columns(core.alias("core")).join(
        sample.select(core.alias("core")).unique(), on="core", how="semi"
    )
    for step in (*reversed(STEPS), *(item for item in best if item not in STEPS)):
        fewer = without(best, step)
        here = _matched(sample, near, fewer)
        if here >= count:
            best, count = fewer, here
    return (_sides(best, sample, near), best) if best else None


def _affix_variants(orphans: pl.Series, known: pl.Series) -> list[tuple[Step, ...]]:
    own, theirs = affixes(orphans), affixes(known.gather_every(max(1, known.len() // _SAMPLE)))
    prefixes = [prefix_step(text) for text in sorted(own[0] | theirs[0], key=lambda text: (-len(text), text))]
    suffixes = [suffix_step(text) for text in sorted(own[1] | theirs[1], key=lambda text: (-len(text), text))]
    several: list[tuple[Step, ...]] = [tuple(prefixes), tuple(suffixes)]
    one = [(step,) for step in (*prefixes, *suffixes)]
    made = [*one, *product(prefixes, suffixes), *(steps for steps in several if len(steps) > 1)]
    return made[:_AFFIX_VARIANTS]


def _matched(orphans: pl.DataFrame, known: pl.DataFrame, steps: Sequence[Step]) -> int:
    return _pairs(orphans, known, (tuple(steps), tuple(steps)))[0].height


def _pairs(orphans: pl.DataFrame, known: pl.DataFrame, sides: Sides) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Keys that meet one to one, and orphan keys that meet several or whose prediction another key meets too."""
    left = orphans.select("key", applied(pl.col("key"), sides[0]).alias("core")).filter(pl.col("core") != "")
    right = known.with_columns(applied(pl.col("key"), sides[1]).alias("core")).rename({"key": "meets"})
    met = right.join(left.select("core").unique(), on="core", how="semi")
    pairs = left.join(met, on="core", how="inner")
    alone = (pl.len().over("core") == 1) & (pl.col("key") != pl.col("meets"))
    pairs = pairs.with_columns(alone.alias("alone"))
    return pairs.filter("alone"), pairs.filter(~pl.col("alone")).select("key").unique()


def _sides(steps: tuple[Step, ...], sample: pl.DataFrame, known: pl.DataFrame) -> Sides:
    """Leave out on each side what changes nothing there; numbers of one width are padded instead of stripped."""
    pairs, _ = _pairs(sample, known, (steps, steps))
    kept: list[tuple[Step, ...]] = []
    for column in ("key", "meets"):
        text, used = pl.col(column), []
        for step in steps:
            changed = step.apply(text)
            if pairs.select((changed != text).any()).item():
                used.append(step)
            text = changed
        kept.append(tuple(used))
    widths = pairs["meets"].str.len_chars().unique()
    numbers = pairs.height and pairs["meets"].str.contains(r"^[0-9]+$").all() and widths.len() == 1
    if [step.name for step in kept[1]] == ["zeros"] and numbers:
        return (*without(kept[0], kept[1][0]), padding_step(widths[0])), ()
    if len(kept[1]) == 1 and kept[1][0].name in ("prefix", "suffix"):
        # Only the outcomes need to be rewritten: what the predictions have there is put in its place.
        return (*kept[0], put_back_step(kept[1][0], kept[1][0].text)), ()
    return kept[0], kept[1]


def _judged(sides: Sides, *, lost: pl.DataFrame, known: pl.DataFrame) -> dict[str, object] | None:
    keys = lost.select("key").unique()
    pairs, ambiguous = _pairs(keys, known, sides)
    if pairs.is_empty():
        return None
    rows = lost.join(pairs, on="key", how="inner").sort("ts_event", "key")
    inside = (rows["ts_event"] >= rows["ts_pred"]) & (rows["ts_event"] <= rows["closes"])
    # The matches with their partners exchanged: what any wrong pairing of the same rows would give.
    other = rows.select(pl.col("ts_pred", "closes").gather((pl.int_range(pl.len()) + pl.len() // 2) % pl.len()))
    by_chance = ((rows["ts_event"] >= other["ts_pred"]) & (rows["ts_event"] <= other["closes"])).mean()
    share, chance = float(inside.sum()) / rows.height, float(by_chance) if isinstance(by_chance, float) else 0.0
    n_ambiguous = lost.join(ambiguous, on="key", how="semi").height
    return {
        "repair": "; ".join(dict.fromkeys(step.words for step in (*sides[0], *sides[1]))),
        "side": "both" if sides[0] and sides[1] else "outcomes" if sides[0] else "predictions",
        "outcomes": code_of("key", sides[0]) if sides[0] else None,
        "predictions": code_of("key", sides[1]) if sides[1] else None,
        "n_orphans": lost.height,
        "n_match": rows.height,
        "n_ambiguous": n_ambiguous,
        "n_labelled_already": int(rows["labelled"].sum()),
        "in_window": share,
        "in_window_by_chance": chance,
        "confidence": _confidence(rows.height, n_ambiguous, share=share, chance=chance),
    }


def _confidence(matched: int, ambiguous: int, *, share: float, chance: float) -> str:
    """High: many, nearly all inside their windows, and far from what exchanged partners would give."""
    if share < 0.5 or share <= chance < 1 or ambiguous > matched:
        return "low"
    return "high" if matched >= _MANY and share >= _ENOUGH and chance <= share / 2 else "medium"
