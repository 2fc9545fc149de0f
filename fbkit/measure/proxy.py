"""How far a proxy label can stand in for the one that counts: agreement over time and slice, and who has which."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Protocol

import numpy as np
import polars as pl

from fbkit.errors import ArgumentError
from fbkit.join.rows import lazy_rows
from fbkit.measure.arguments import checked
from fbkit.measure.evaluation import stamped
from fbkit.measure.metrics import metrics
from fbkit.measure.scope import Slices, Stage
from fbkit.measure.user import Counts, Metric
from fbkit.measure.versioning.pairs import Half
from fbkit.schema import results
from fbkit.schema.contract import Contract
from fbkit.schema.incomplete import mark_incomplete
from fbkit.schema.period import Period, format_instant
from fbkit.schema.protocols import JoinedLike, check_joined

# The proxy is looked at as a decision about the final label, so that the measures of decisions serve.
_RATES: Final = {
    "accuracy": "agreement",
    "kappa": "kappa",
    "mcc": "phi",
    "recall": "sensitivity",
    "specificity": "specificity",
    "precision": "ppv",
    "npv": "npv",
}
AVAILABILITY: Final = ("availability_final", "availability_proxy")
_PROXY: Final = "\0proxy"


class LabelledLoop(Protocol):
    """An open loop that can be joined for each of its labels."""

    @property
    def contract(self) -> Contract: ...

    def join(self, *, as_of: datetime | None = None, label: str | None = None) -> JoinedLike: ...


@checked
def proxy_fidelity(
    loop: "LabelledLoop | JoinedLike",
    *,
    proxy: str | JoinedLike | None = None,
    by: Slices = None,
    every: str | None = None,
    period: str | Period | None = None,
    stage: str | Stage = results.STAGE_FINAL,
    level: float = 0.95,
) -> pl.DataFrame:
    """Agreement of a proxy label with the final one, by slice and time, on the rows where both are known.

    Parameters
    ----------
    loop
        An open loop, which is joined for both labels as of the same time; or a joined table, with ``proxy`` another
        one of the same loop and time, joined for the proxy (``loop.join(label="click")``).
    proxy
        The name of a ``[[label.also]]``; None: the only one.
    by, every, period, stage, level
        As in :func:`fbkit.metrics`; the stage is that of the final label.

    Returns
    -------
    The columns of :func:`fbkit.metrics`. For labels of 0 and 1 the metrics are agreement, kappa (Cohen 1960,
    doi:10.1177/001316446002000104), phi (correlation), sensitivity, specificity, ppv and npv of the proxy for the final
    label, base_rate_final and base_rate_proxy; otherwise correlation, rank_correlation and both means. Then
    availability_final and availability_proxy, which are of all rows at the stage. ``n`` counts the rows that have the
    proxy label, ``n_labelled`` those that have both (availability: rows, and rows with that label). Bounds are over the
    final labels that are missing where the proxy is known.

    Raises
    ------
    ArgumentError
        No such proxy, or two tables of different times or predictions.

    Examples
    --------
    >>> import polars as pl
    >>> from fbkit.testing.frames import make_joined
    >>> final = make_joined(scores=[0.5] * 4, labels=[1, 0, 1, 0])
    >>> click = make_joined(scores=[0.5] * 4, labels=[1, 0, 0, 0])
    >>> proxy_fidelity(final, proxy=click).filter(pl.col("metric") == "sensitivity")["value"].item()
    0.5
    """
    final, near, name = _both(loop, proxy)
    frame = _matched(final, near)
    binary = frame.select(pl.col("label", _PROXY).drop_nulls().is_in([0.0, 1.0]).all()).row(0) == (True, True)
    asked: dict[str, Any] = {"by": by, "every": every, "period": period, "stage": stage, "level": level}
    parts = (_binary if binary else _numeric)(final, frame, asked)
    parts += [
        _named(metrics(_half(final, frame, label=column), "availability", **asked), {"availability": said})
        for column, said in zip(("label", _PROXY), AVAILABILITY, strict=True)
    ]
    made = mark_incomplete(pl.concat(parts), final, everything=period is None and every is None)
    return stamped(
        made,
        final,
        call="proxy_fidelity",
        proxy=[name, near.evaluation_key],
        by=by,
        every=every,
        period=str(period),
        stage=Stage.parse(stage).name,
        level=level,
    )


def _both(loop: "LabelledLoop | JoinedLike", proxy: str | JoinedLike | None) -> tuple[JoinedLike, JoinedLike, str]:
    """The tables of the final label and of the proxy, and its name."""
    if hasattr(loop, "join") and hasattr(loop, "contract"):
        opened: Any = loop
        known = [item.name for item in opened.contract.label.also]
        name = known[0] if proxy is None and len(known) == 1 else proxy
        if not isinstance(name, str) or name not in known:
            raise ArgumentError(
                "which proxy label is meant",
                got=proxy if isinstance(proxy, str) else "no name of one",
                allowed=", ".join(known) or "the contract has no [[label.also]]",
                next_step="name one of them" if known else "add [[label.also]] to the contract",
            )
        final: JoinedLike = opened.join()
        return final, opened.join(as_of=final.as_of, label=name), name
    table: Any = loop
    check_joined(table)
    if proxy is None or isinstance(proxy, str):
        raise ArgumentError(
            "a joined table knows one label only",
            got=f"proxy={proxy!r}",
            allowed="an open loop, or a second table that was joined for the proxy",
            next_step=f"fb.proxy_fidelity(loop, proxy={proxy!r})",
        )
    check_joined(proxy)
    if proxy.as_of != table.as_of:
        raise ArgumentError(
            "the two tables are known as of different times",
            got=format_instant(proxy.as_of),
            allowed=format_instant(table.as_of),
            next_step="join both with the same as_of",
        )
    return table, proxy, proxy.contract.label.name


def _matched(final: JoinedLike, near: JoinedLike) -> pl.DataFrame:
    """The final table's rows with the proxy label beside."""
    frame, other = final.frame, lazy_rows(near).select("prediction_id", pl.col("label").alias(_PROXY)).collect()
    if frame["prediction_id"].equals(other["prediction_id"]):
        return frame.with_columns(other[_PROXY])
    matched = frame.join(other, on="prediction_id", how="inner", maintain_order="left")
    if matched.height < frame.height:
        raise ArgumentError(
            "the two tables are not about the same predictions",
            got=f"{frame.height - matched.height:,} predictions of the first are not in the second",
            allowed="two tables of one loop, joined as of the same time",
            next_step="hand over the loop: fb.proxy_fidelity(loop, proxy=...)",
        )
    return matched


def _half(final: JoinedLike, frame: pl.DataFrame, *, label: str, score: pl.Expr | None = None) -> Half:
    """A table whose label is one of the two, and whose score and decision are the proxy; for a binary task."""
    contract = final.contract
    task = contract.model.model_copy(update={"task": "binary"})
    columns = [pl.col(label).alias("label")]
    if score is not None:
        columns += [score.cast(pl.Float64).alias("score"), (pl.col(_PROXY) == 1).alias("flagged")]
    return Half(
        frame=frame.with_columns(columns),
        contract=contract.model_copy(update={"model": task}),
        as_of=final.as_of,
        evaluation_key=final.evaluation_key,
        feed=getattr(final, "feed", None),
        data_through=getattr(final, "data_through", {}),
    )


def _named(frame: pl.DataFrame, names: Mapping[str, str]) -> pl.DataFrame:
    return frame.with_columns(pl.col(results.METRIC).replace(dict(names)))


def _binary(final: JoinedLike, frame: pl.DataFrame, asked: Mapping[str, Any]) -> list[pl.DataFrame]:
    table = _half(final, frame, label="label", score=pl.col(_PROXY))
    kappa = Metric(name="kappa", needs="counts", fn=_kappa)
    names: list[str | Metric] = [kappa if name == "kappa" else name for name in _RATES]
    rates = _named(metrics(table, names, **asked), _RATES)
    known = pl.col("label").is_not_null() & pl.col("flagged").is_not_null()
    shares = metrics(table, ["base_rate", "flag_rate"], where=known, **asked)
    return [rates, _named(shares, {"base_rate": "base_rate_final", "flag_rate": "base_rate_proxy"})]


def _kappa(counts: Counts) -> float:
    """Agreement beyond that of two labels that know nothing of each other."""
    n = counts.tp + counts.fp + counts.fn + counts.tn
    agreed = (counts.tp + counts.tn) / n
    flagged, positive = (counts.tp + counts.fp) / n, (counts.tp + counts.fn) / n
    chance = flagged * positive + (1 - flagged) * (1 - positive)
    return (agreed - chance) / (1 - chance)


def _numeric(final: JoinedLike, frame: pl.DataFrame, asked: Mapping[str, Any]) -> list[pl.DataFrame]:
    """Correlations by bootstrap, and the means of both, of the rows where both are known."""
    both = pl.col("label").is_not_null() & pl.col(_PROXY).is_not_null()
    table = _half(final, frame, label="label", score=pl.col(_PROXY).fill_null(0.0))
    names = [
        Metric(name="correlation", needs="rows", fn=lambda rows: _correlation(rows["score"], rows["label"])),
        Metric(
            name="rank_correlation",
            needs="rows",
            fn=lambda rows: _correlation(rows["score"].rank().cast(pl.Float64), rows["label"].rank().cast(pl.Float64)),
        ),
        Metric(name="mean_final", needs="rows", fn=pl.col("label")),
        Metric(name="mean_proxy", needs="rows", fn=pl.col(_PROXY)),
    ]
    return [metrics(table, names, where=both, **asked)]


def _correlation(one: pl.Series, two: pl.Series) -> float | None:
    x, y = one.to_numpy(), two.to_numpy()
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    return float(np.corrcoef(x, y)[0, 1])
