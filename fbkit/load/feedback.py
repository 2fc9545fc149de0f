"""The feedback log: what people said about an answer, and which prediction or response they meant."""

import polars as pl

from fbkit.errors import InputError
from fbkit.load.checks import RULE, account, quarantine, split_identical
from fbkit.load.columns import Casts, canonical, free_name, to_text
from fbkit.load.keys import whole_keys
from fbkit.load.looks import hidden_columns
from fbkit.load.times import absurd
from fbkit.schema.contract import Contract
from fbkit.schema.contract_parts import FeedbackPart
from fbkit.schema.logs import PERSONAL_FEEDBACK, FeedbackLog, SourceFile

TABLE = "feedback"
# Columns that the link makes itself.
RESERVED = ("fate", "linked_by", "n_predictions", "ts_pred", "lag", "rule")
_TEXTS = ("prediction_id", "response_id", "comment", "rater")
# Thumbs as products log them; everything else has to be a number.
_THUMBS = {
    "up": "1", "thumbs_up": "1", "thumbsup": "1", "like": "1", "positive": "1", "good": "1", "yes": "1", "👍": "1",
    "down": "0", "thumbs_down": "0", "thumbsdown": "0", "dislike": "0", "negative": "0", "bad": "0", "no": "0",
    "👎": "0",
}  # fmt: skip


def load_feedback(frame: pl.DataFrame, *, contract: Contract, sources: tuple[SourceFile, ...]) -> FeedbackLog:
    """Check a feedback log: whom it is about, when it was given, and a rating or a comment.

    A rating is a number (a thumb up is 1, a thumb down 0). Rows name their prediction by ``prediction_id``, by the
    contract's join keys, or by ``response_id``.

    Raises
    ------
    InputError
        There is neither rating nor comment, nothing that names a prediction, or most rows break one rule.
    """
    part = contract.feedback or FeedbackPart()
    rows_in = frame.height
    hidden = hidden_columns(part, (*contract.privacy.personal, *PERSONAL_FEEDBACK))
    frame = _thumbs(frame, column=str(part.columns.get("rating", "rating")))
    frame, casts = canonical(
        frame, source=part, table=TABLE, required=("ts_feedback",), zone=contract.time.timezone, hidden=hidden
    )
    frame = frame.rename({name: free_name(name, frame.columns) for name in RESERVED if name in frame.columns})
    frame = _complete(frame, contract=contract, casts=casts)
    used, rejects = quarantine(frame, rules=_rules(contract))
    used, repeated = split_identical(used)
    refused = [rejects, repeated]
    audit = account(table=TABLE, rows_in=rows_in, used=used.height, rejects=refused, casts=casts, hidden=hidden)
    order = ("ts_feedback", *target_keys(contract), "rating", "comment", "rater")
    return FeedbackLog(
        frame=used.sort(*order, nulls_last=True, maintain_order=True),
        rejects=pl.concat([rejects.select(pl.exclude(RULE), RULE), repeated], how="diagonal_relaxed"),
        audit=audit,
        sources=sources,
    )


def target_keys(contract: Contract) -> list[str]:
    """The columns by which feedback can name what it is about, the most exact first."""
    return list(dict.fromkeys(["prediction_id", *contract.join.keys, "response_id"]))


def _thumbs(frame: pl.DataFrame, *, column: str) -> pl.DataFrame:
    if column not in frame.columns or frame.schema[column] != pl.String:
        return frame
    words = pl.col(column).str.strip_chars()
    return frame.with_columns(words.str.to_lowercase().replace(_THUMBS).alias(column))


def _complete(frame: pl.DataFrame, *, contract: Contract, casts: Casts) -> pl.DataFrame:
    """Every column the link relies on; an empty key or comment is none."""
    keys = target_keys(contract)
    if not any(name in frame.columns for name in ("rating", "comment")):
        raise InputError(
            "the feedback log has neither rating nor comment",
            got=", ".join(frame.columns),
            allowed="a column rating (numbers) or comment (text)",
            next_step=f'map one: [{TABLE}.columns] rating = "NAME IN THE FILE"',
        )
    if not any(name in frame.columns for name in keys):
        raise InputError(
            "the feedback log names no prediction",
            got=", ".join(frame.columns),
            allowed=f"a column {' or '.join(keys)}",
            next_step=f'map one: [{TABLE}.columns] prediction_id = "NAME IN THE FILE"',
        )
    frame = whole_keys(frame, keys=contract.join.keys, table=TABLE, casts=casts)
    for name in dict.fromkeys([*keys, *_TEXTS]):
        if name not in frame.columns:
            frame = frame.with_columns(pl.lit(None, dtype=pl.String).alias(name))
            continue
        before = frame.schema[name]
        frame = to_text(frame, column=name, table=TABLE)
        if before != pl.String and (name, f"{before} -> String") not in casts:
            casts.append((name, f"{before} -> String"))
        frame = frame.with_columns(pl.when(pl.col(name).str.strip_chars() != "").then(name).alias(name))
    if "rating" not in frame.columns:
        frame = frame.with_columns(pl.lit(None, dtype=pl.Float64).alias("rating"))
    return frame


def _rules(contract: Contract) -> list[tuple[str, pl.Expr]]:
    request = pl.all_horizontal([pl.col(key).is_not_null() for key in contract.join.keys])
    named = pl.col("prediction_id").is_not_null() | pl.col("response_id").is_not_null() | request
    return [
        ("no_target", ~named),
        ("null_time", pl.col("ts_feedback").is_null()),
        ("absurd_time", absurd("ts_feedback")),
        ("rating_not_finite", pl.col("rating").is_not_null() & ~pl.col("rating").is_finite()),
        ("empty_feedback", pl.col("rating").is_null() & pl.col("comment").is_null()),
    ]
