"""Find the predictions of statements whose key was lost: by the id written differently, else by entity and time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from fbkit.join.ids import STEPS, applied
from fbkit.join.window import window_pairs

FEWEST: Final = 20
"""Fewer matches are no pattern."""
SOUND: Final = 0.9
"""Share of the matches of one rewrite whose event must lie in the label window, and whose entity must agree."""
OF_FORMAT: Final = 0.5
"""Share of the statements of one format of key that a rewrite must match: chance meets only the free predictions."""
OWN_SHARE: Final = 0.5
"""Share of the lost statements that must have their own prediction among the candidates by entity and time."""
ROUNDS: Final = 3
"""A prediction that is taken leaves the others with fewer candidates; more rounds find next to nothing."""
MATCHED: Final = {"statement": pl.Int64, "prediction_id": pl.String, "how": pl.String}
BY_ENTITY: Final = "entity and time"
_SAMPLE: Final = 1_000
_CLOSES, _ENTITY = "__closes", "__entity"

Rewrite = tuple[str, Callable[[pl.Expr], pl.Expr]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejoined:
    """Which prediction each statement belongs to, and how that was found.

    Attributes
    ----------
    pairs
        statement, prediction_id, how (the rewrite in words, or ``entity and time``).
    own_share
        Estimated share of the statements without a match by id that have their prediction among the candidates by
        entity and time; None where that was not tried.
    stands_for
        Label -> how many statements each one that was matched by entity and time stands for: those that could belong
        to several predictions say what they say, only not of whom. Labels not listed stand for themselves.
    average
        The same over all labels that were matched by entity and time.
    """

    pairs: pl.DataFrame
    own_share: float | None
    stands_for: Mapping[float, float] = field(default_factory=dict)
    average: float = 1.0


def rejoin(lost: pl.DataFrame, targets: pl.DataFrame, *, others: pl.DataFrame, fixed: bool) -> Rejoined:
    """Match lost statements with predictions that have no statement yet.

    Parameters
    ----------
    lost
        statement, key, entity, ts_event.
    targets
        Predictions that no statement names: prediction_id, key, entity, ts_pred, ``__closes``.
    others
        Statements that are joined by their key: entity, ts_event. How often they find a free candidate by entity
        and time, which is never theirs, is the chance of a wrong match.
    fixed
        All label windows are equally long.
    """
    by_id = _by_id(lost.filter(pl.col("key").is_not_null()), targets)
    rest = lost.join(by_id, on="statement", how="anti").filter(pl.col("entity").is_not_null())
    free = targets.join(by_id, on="prediction_id", how="anti")
    if rest.height < FEWEST or free.is_empty():
        return Rejoined(pairs=by_id, own_share=None)
    share = _own_share(rest, free, others=others, fixed=fixed)
    if share < OWN_SHARE:
        return Rejoined(pairs=by_id, own_share=share)
    by_entity = _by_entity(rest, free, fixed=fixed)
    weights, average = _stands_for(rest, by_entity, own_share=share)
    pairs = pl.concat([by_id, by_entity])
    return Rejoined(pairs=pairs, own_share=share, stands_for=weights, average=average)


def _stands_for(rest: pl.DataFrame, found: pl.DataFrame, *, own_share: float) -> tuple[dict[float, float], float]:
    """By label, and over all; a label of which few are found leans on all of them."""
    of = dict(rest["label"].value_counts().iter_rows())
    known = dict(rest.join(found, on="statement", how="semi")["label"].value_counts().iter_rows())
    whole = max(1, sum(known.values()))

    def factor(lost: float, matched: float) -> float:
        return max(1.0, 1 + own_share * (lost - matched) / matched)

    common = factor(rest.height, whole)
    return {label: factor(of[label], n) if n >= FEWEST else common for label, n in known.items()}, common


def _by_id(lost: pl.DataFrame, targets: pl.DataFrame) -> pl.DataFrame:
    found = pl.DataFrame(schema=MATCHED)
    if lost.height < FEWEST or targets.is_empty():
        return found
    for words, core in _rewrites(targets["key"]):
        rest = lost.join(found, on="statement", how="anti")
        if rest.height < max(FEWEST, (1 - SOUND) * lost.height):
            break
        free = targets.join(found, on="prediction_id", how="anti")
        found = pl.concat([found, _matched(rest, free, core=core).with_columns(pl.lit(words).alias("how"))])
    return found


def _rewrites(known: pl.Series) -> Sequence[Rewrite]:
    """From the mildest to the boldest: every later one forgets more of the id."""
    made: list[Rewrite] = [
        ("case, signs, wrapping and leading zeros ignored", lambda text: applied(text, STEPS)),
        ("only the last number in the id kept", lambda text: _number(text, r"([0-9]+)[^0-9]*$")),
        ("only the first number in the id kept", lambda text: _number(text, r"([0-9]+)")),
        ("only the digits of the id kept", lambda text: _number(text.str.replace_all(r"[^0-9]", ""), "(.+)")),
    ]
    width = known.str.len_chars()
    shortest, longest = width.min(), width.max()
    if isinstance(shortest, int) and shortest == longest and shortest >= 4:
        made.append((f"the last {shortest} signs kept", lambda text: text.str.slice(-shortest)))
        made.append((f"the first {shortest} signs kept", lambda text: text.str.slice(0, shortest)))
    return made


def _number(text: pl.Expr, pattern: str) -> pl.Expr:
    whole = text.str.strip_chars().str.replace(r"\.0+$", "")
    return whole.str.extract(pattern).fill_null("").str.strip_chars_start("0")


def _matched(lost: pl.DataFrame, targets: pl.DataFrame, *, core: Callable[[pl.Expr], pl.Expr]) -> pl.DataFrame:
    """Keys that meet one to one under a rewrite; none if the times or entities of the pairs say that it is chance."""
    keys = lost.select("key").unique().with_columns(core(pl.col("key")).alias("core"))
    keys = keys.filter((pl.col("core") != "") & pl.col("core").is_unique())
    known = targets.with_columns(core(pl.col("key")).alias("core")).filter(pl.col("core").is_unique())
    pairs = lost.join(keys, on="key").join(known.drop("key"), on="core", suffix="_made").sort("statement")
    inside = (pl.col("ts_event") >= pl.col("ts_pred")) & (pl.col("ts_event") <= pl.col(_CLOSES))
    agrees = (pl.col("entity") == pl.col("entity_made")).fill_null(value=True)
    judged = pairs.select(inside=inside, agrees=agrees)
    if pairs.height < FEWEST or min(float(judged[name].sum()) for name in judged.columns) < SOUND * pairs.height:
        return pl.DataFrame(schema={name: MATCHED[name] for name in ("statement", "prediction_id")})
    sound = pairs.filter(judged["inside"] & judged["agrees"])
    form = pl.col("key").str.replace_all(r"[0-9]+", "0").str.replace_all(r"\p{L}+", "a").alias("form")
    counted = lost.select(form).to_series().value_counts(name="of")
    matched = sound.with_columns(form).with_columns(pl.len().over("form").alias("n")).join(counted, on="form")
    whole = (pl.col("n") >= OF_FORMAT * pl.col("of")) & (pl.col("n") >= FEWEST)
    return matched.filter(whole).sort("statement").select("statement", "prediction_id")


def _candidates(statements: pl.DataFrame, targets: pl.DataFrame, *, fixed: bool) -> pl.DataFrame:
    made = targets.select("prediction_id", "ts_pred", _CLOSES, pl.col("entity").alias(_ENTITY))
    said = statements.select("statement", "ts_event", pl.col("entity").alias(_ENTITY))
    widest = targets.select((pl.col(_CLOSES) - pl.col("ts_pred")).max()).item() if fixed else None
    return window_pairs(made, said, rule="unique", width=widest, listed=1)


def _own_share(rest: pl.DataFrame, free: pl.DataFrame, *, others: pl.DataFrame, fixed: bool) -> float:
    """How many statements have their prediction among the candidates, allowing for candidates by chance."""
    own = _found(_sample(rest), free, fixed=fixed)
    chance = _found(_sample(others), free, fixed=fixed) if others.height else 0.0
    return max(0.0, (own - chance) / (1 - chance)) if chance < 1 else 0.0


def _sample(statements: pl.DataFrame) -> pl.DataFrame:
    taken = statements.gather_every(max(1, statements.height // _SAMPLE)).select("entity", "ts_event")
    return taken.with_row_index("statement")


def _found(statements: pl.DataFrame, free: pl.DataFrame, *, fixed: bool) -> float:
    pairs = _candidates(statements, free, fixed=fixed)
    alone = pairs.filter(pl.col("fate") == "no_candidate")["statement"].n_unique()
    return 1 - alone / statements.height


def _by_entity(rest: pl.DataFrame, free: pl.DataFrame, *, fixed: bool) -> pl.DataFrame:
    """Statements with one free candidate; what they take is free no longer, which may leave one for others."""
    found = pl.DataFrame(schema=MATCHED)
    free = free.join(rest, on="entity", how="semi")
    for _ in range(ROUNDS):
        claims = _candidates(rest, free, fixed=fixed).filter(pl.col("fate").is_null()).sort("statement")
        if claims.is_empty():
            break
        labels = claims.join(rest.select("statement", "label"), on="statement", suffix="_own")
        # Statements that disagree cannot all be this prediction's.
        agreed = labels.filter(pl.col("label").n_unique().over("prediction_id") == 1)
        made = agreed.select(pl.col("statement").cast(pl.Int64), "prediction_id", pl.lit(BY_ENTITY).alias("how"))
        found = pl.concat([found, made])
        rest = rest.join(claims, on="statement", how="anti")
        free = free.join(claims, on="prediction_id", how="anti")
    return found
