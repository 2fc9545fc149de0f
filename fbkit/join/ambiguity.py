"""How clearly outcomes without a key name their prediction: rivals per outcome, outcomes per prediction, by rule."""

from typing import Final

import polars as pl

from fbkit.join.pair import BY_FALLBACK
from fbkit.schema.contract import Contract

RULES: Final = ("earliest", "latest", "unique", "all")
RIVALS: Final = "rivals per outcome"
CLAIMED: Final = "outcomes per prediction"
SCHEMA: Final = {"what": pl.String, "rule": pl.String, "number": pl.String, "rows": pl.Int64, "in_use": pl.Boolean}
_NUMBERS = ("none", "0", "1", "2", "3+")


def ambiguity(candidates: pl.DataFrame, *, predictions: int, contract: Contract) -> pl.DataFrame:
    """How many predictions could claim each outcome without a key, and how many such outcomes each prediction claims.

    Parameters
    ----------
    candidates
        The pairings of a joined table, one row per statement and prediction.
    predictions
        How many predictions there are.

    Returns
    -------
    what (``rivals per outcome``, ``outcomes per prediction``), rule, number, rows, in_use (the contract's rule). Rivals
    are other predictions of the entity whose window holds the event, ``none``: no prediction could claim it at all;
    they do not depend on the rule (null). Outcomes that had not arrived by the as-of time are left out. Without a
    fallback the frame is empty. An entity may be so busy that only the pairings that claim are listed: such outcomes
    are left out under the rules that are not in use.
    """
    fallback = contract.join.fallback
    if fallback is None:
        return pl.DataFrame(schema=SCHEMA)
    arrived = candidates.filter(pl.col("fate") != "not_yet_arrived")
    paired = arrived.filter(pl.col("rule") == BY_FALLBACK)
    rivals = paired.group_by("statement").agg(pl.col("n_rivals").first())["n_rivals"]
    paired = paired.filter(pl.col("prediction_id").is_not_null())
    alone = arrived.filter(pl.col("fate") == "no_candidate").height
    parts = [_counted(rivals, what=RIVALS, rule=None, none=alone)]
    for rule in RULES:
        known = paired if rule == fallback.rule else paired.filter(pl.len().over("statement") == pl.col("n_rivals") + 1)
        claims = known.filter(_claims(rule)).group_by("prediction_id").len()["len"]
        parts.append(_counted(claims.extend_constant(0, predictions - len(claims)), what=CLAIMED, rule=rule))
    frame = pl.concat(parts)
    return frame.with_columns((pl.col("rule") == fallback.rule).alias("in_use")).select(list(SCHEMA))


def _claims(rule: str) -> pl.Expr:
    if rule == "all":
        return pl.lit(value=True)
    if rule == "unique":
        return pl.col("n_rivals") == 0
    place = pl.struct("ts_pred", "prediction_id").rank("ordinal", descending=rule == "latest").over("statement")
    return place == 1


def _counted(numbers: pl.Series, *, what: str, rule: str | None, none: int | None = None) -> pl.DataFrame:
    found = dict(numbers.clip(upper_bound=3).value_counts().iter_rows())
    rows = [("none", none)] if none is not None else []
    rows += [(name, found.get(number, 0)) for number, name in enumerate(_NUMBERS[1:])]
    return pl.DataFrame(
        [(what, rule, name, count) for name, count in rows],
        schema={name: SCHEMA[name] for name in ("what", "rule", "number", "rows")},
        orient="row",
    )
