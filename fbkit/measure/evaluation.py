"""Which question a number answers: an id for every result frame, and a log of the questions where one is kept."""

import hashlib
import json
from typing import Final

import polars as pl

from fbkit.schema.protocols import JoinedLike
from fbkit.schema.results import EVALUATION_ID

_DIGITS: Final = 16


def stamped(frame: pl.DataFrame, joined: JoinedLike, *, call: str, **arguments: object) -> pl.DataFrame:
    """The frame with the column ``evaluation_id`` last, written to the evaluation log if the loop keeps one.

    ``call`` and ``arguments`` are the question: the public function's name and everything its answer depends on.
    """
    identity = evaluation_id(joined, call=call, **arguments)
    made = frame.drop(EVALUATION_ID, strict=False).with_columns(pl.lit(identity).alias(EVALUATION_ID))
    note(joined, made, identity=identity, call=call, arguments=arguments)
    return made


def evaluation_id(joined: JoinedLike, **call: object) -> str:
    """Sixteen hex digits of contract, sources, as-of and the call: the same question has the same id."""
    return identify(joined.evaluation_key, **call)


def identify(source: object, **call: object) -> str:
    """Sixteen hex digits of a source and a call."""
    written = json.dumps([source, call], sort_keys=True, default=str)
    return hashlib.sha256(written.encode()).hexdigest()[:_DIGITS]


def note(joined: JoinedLike, frame: pl.DataFrame, *, identity: str, call: str, arguments: dict[str, object]) -> None:
    """Write one line to the evaluation log that the joined table carries, if it carries one."""
    log = getattr(joined, "evaluations", None)
    if log is not None:
        log.append(frame, identity=identity, call=call, arguments=arguments)
