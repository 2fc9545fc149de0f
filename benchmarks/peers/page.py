"""fbkit's classification report of two halves as one HTML page, with intervals and bounds beside every number."""

from collections.abc import Iterator, Mapping
from html import escape

import numpy as np
import polars as pl

import fbkit as fb

STYLE = "body{font:14px system-ui;margin:2em}td,th{padding:2px 10px;text-align:right}svg{border:1px solid #ddd}"


def periods(comparison: fb.Comparison) -> Iterator[tuple[str, str]]:
    return (("reference", str(comparison.reference)), ("current", str(comparison.current)))


def written(quality: pl.DataFrame, curves: Mapping[str, pl.DataFrame]) -> str:
    """The page."""
    parts = [f"<!doctype html><meta charset=utf-8><title>Classification</title><style>{STYLE}</style>"]
    parts.append("<h1>Classification quality</h1>" + table(quality.drop("evaluation_id", "period_start", "period_end")))
    for half, curve in curves.items():
        parts.append(f"<h2>{half}</h2>" + confusion(quality.filter(pl.col("half") == half)))
        x, recall, precision = (
            (1 - curve["specificity"]).to_list(),
            curve["recall"].to_list(),
            curve["precision"].to_list(),
        )
        parts.append(drawn("ROC", x, recall) + drawn("precision by recall", recall, precision))
        parts.append(table(curve.drop("evaluation_id")))
    return "\n".join(parts)


def table(frame: pl.DataFrame) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in frame.columns)
    shown = frame.with_columns(pl.col(pl.Float64).round(5)).cast(pl.String).fill_null("")
    rows = shown.select(pl.concat_str(pl.all(), separator="</td><td>")).to_series()
    return f"<table><tr>{head}</tr>" + "".join(f"<tr><td>{row}</td></tr>" for row in rows) + "</table>"


def confusion(quality: pl.DataFrame) -> str:
    """Rows by label and decision, from the rates and the number of labelled rows."""
    value = dict(zip(quality["metric"], quality["value"], strict=True))
    rows = quality.filter(pl.col("metric") == "base_rate")["n_labelled"].item()
    positives = value["base_rate"] * rows
    hits, passed = value["recall"] * positives, value["specificity"] * (rows - positives)
    made = {"label": [1, 0], "flagged": [hits, rows - positives - passed], "not flagged": [positives - hits, passed]}
    return table(pl.DataFrame(made, strict=False).with_columns(pl.col(pl.Float64).round(0)))


def drawn(title: str, x: list[float | None], y: list[float | None]) -> str:
    """A line in a square."""
    points = np.array([pair for pair in zip(x, y, strict=True) if None not in pair], dtype=np.float64) * 300
    path = " ".join(f"{a:.1f},{300 - b:.1f}" for a, b in points)
    line = f"<polyline points='{path}' fill=none stroke=steelblue />"
    return f"<figure><figcaption>{escape(title)}</figcaption><svg width=300 height=300>{line}</svg></figure>"
