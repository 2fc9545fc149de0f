"""Panels of what a threshold gives: read from the drawn picture, and the sentences beside them."""

import json
from typing import Any

import polars as pl
import pytest

from fbkit.charts.render import to_spec, to_svg
from fbkit.charts.threshold_panels import (
    PANELS,
    best_said,
    between_said,
    curve_rows,
    move_said,
    panel_rows,
    panels_chart,
    title_of,
)
from tests.unit.charts.scene import items, texts

HOSTILE = "<img src=x onerror=alert(1)>'); datum"
AT = (0.0, 0.25, 0.5, 0.75)
MOVE = {
    "threshold": 0.25, "threshold_before": 0.5, "more_true_positives": 12.0, "more_false_positives": -340.0,
    "more_flagged": 1500.0, "value": -0.25, "lower": -0.5, "upper": 0.125,
}  # fmt: skip


def curve(*, shift: float = 0.0, worth: bool = True) -> pl.DataFrame:
    columns: dict[str, list[float | None]] = {"threshold": list(AT)}
    for place, name in enumerate(PANELS):
        values: list[float | None] = [0.9 - shift - 0.2 * step - 0.01 * place for step in range(4)]
        if name == "value_per_prediction" and not worth:
            values = [None] * 4
        if name == "precision":
            values[-1] = None  # nothing is flagged up there
        columns[name] = values
        columns[f"{name}_lower"] = [None if value is None else value - 0.05 for value in values]
        columns[f"{name}_upper"] = [None if value is None else value + 0.05 for value in values]
    return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.Float64))


def rows(*, worth: bool = True, **marks: Any) -> list[dict[str, Any]]:
    both = {"reference": curve(worth=worth), "current": curve(shift=0.1, worth=worth)}
    return panel_rows(curve_rows(both), **({"at": 0.25} | marks))


def chart(made: list[dict[str, Any]], *, priced: bool = True, currency: str | None = "USD") -> Any:
    return panels_chart(made, priced=priced, currency=currency, stage="final", title="t", subtitle="s")


def test_each_measure_has_a_panel_with_both_roles_and_the_numbers_at_the_handle() -> None:
    drawn = texts(chart(rows()))
    for name in ("recall", "precision", "flag rate", "value (USD)", "threshold on the score (final labels)"):
        assert name in drawn
    assert "reference  70.0 %" in drawn
    assert "current  60.0 %" in drawn
    assert "current  0.57" in drawn, "value in its own unit"
    assert len([item for item in items(chart(rows()), "line") if item.get("x") is not None]) >= 2 * len(PANELS)


def test_handle_threshold_in_use_and_range_stand_where_they_were_given() -> None:
    plain, marked = (items(chart(made)) for made in (rows(), rows(own=0.5, best=(0.5, 0.25, 0.75))))
    assert sum(item.get("strokeWidth") == 1.8 for item in plain) == len(PANELS)
    assert sum(item.get("strokeWidth") == 1.8 for item in marked) == 3 * len(PANELS)
    strips = [item for item in marked if item["marktype"] == "rect" and 150 < item.get("width", 0) < 400]
    assert len(strips) == len(PANELS)
    assert strips[0]["width"] == pytest.approx(460 * 0.5 / 0.75, abs=1)
    assert not [item for item in items(chart(rows(best=(0.5, None, None))), "rect") if 150 < item.get("width", 0) < 400]


def test_what_is_not_estimable_is_left_out_and_said() -> None:
    drawn = texts(chart(rows(at=0.75)))
    assert drawn.count("current  not estimable") == 1
    symbols = [item for item in items(chart(rows(at=0.75)), "symbol") if item.get("size") == 64]
    assert len(symbols) == 2 * len(PANELS) - 2, "a precision of nothing has no dot"


def test_without_prices_there_is_no_value_panel() -> None:
    spec = to_spec(chart(rows(worth=False), priced=False))
    assert len(spec["vconcat"]) == 3
    assert "value" not in texts(chart(rows(worth=False), priced=False))


def test_the_parameter_names_views_that_exist() -> None:
    for priced in (True, False):
        spec = to_spec(chart(rows(), priced=priced))
        (param,) = spec["params"]
        named = [layer.get("name") for panel in spec["vconcat"] for layer in panel["layer"] if layer.get("name")]
        assert param["views"] == named
        assert len(named) == len(spec["vconcat"])


def test_users_text_is_in_no_expression_and_no_element() -> None:
    made = chart(rows(), currency=HOSTILE)
    assert "<img" not in to_svg(made)
    assert "onerror" in json.dumps(to_spec(made)["vconcat"][3]["layer"][1]["encoding"]["y"]["axis"]["title"])
    for panel in to_spec(made)["vconcat"]:
        for layer in panel["layer"]:
            assert "onerror" not in json.dumps(layer.get("transform", [])) + json.dumps(
                layer["encoding"].get("tooltip", {})
            )


def test_what_travels_has_six_digits() -> None:
    (row, *_) = curve_rows({"current": curve().with_columns(pl.lit(1 / 3).alias("recall"))})
    assert row["recall"] == 0.333333


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {},
            "among the labelled, +1,500 flags in all, value −0.25 USD (−0.5 to +0.125) per prediction",
        ),
        ({"value": None}, "+12 true positives, −340 false positives among the labelled, +1,500 flags in all"),
        ({"lower": None}, "value −0.25 USD per prediction"),
        ({"threshold": 0.5}, "It is the threshold in use"),
    ],
)
def test_a_move_is_told_with_its_sign(changed: dict[str, Any], said: str) -> None:
    told = move_said(MOVE | changed, currency="USD")
    assert said in told
    assert "-" not in told, "minus signs are minus signs"
    assert move_said(None, currency=None) == ""


def test_the_chosen_threshold_is_told_with_its_range_and_what_it_gives() -> None:
    best = {"threshold": 0.3, "at_least": 0.9, "value": 0.8, "lower": 0.7, "upper": 0.9}
    told = best_said(best, (0.25, 0.35), target="precision", currency=None)
    assert told == (
        "For a precision of at least 90.0 % the reference chooses 0.3 (0.25 to 0.35 cannot be told apart); "
        "now it gives 80.0 % (70.0 to 90.0 %)"
    )
    assert "cannot be told" not in best_said(best, (0.3, 0.3), target="precision", currency=None)
    assert best_said(best | {"value": None}, (None, None), target="recall", currency=None).endswith("is not estimable")
    none = {"threshold": None, "reason": f"because {HOSTILE}"}
    assert best_said(none, (None, None), target="value", currency=None).startswith("For most value there is no thresh")
    assert "3.2 EUR per prediction" in best_said(best | {"value": 3.2}, (None, None), target="value", currency="EUR")


def test_names_and_intervals() -> None:
    assert title_of("value_per_prediction", "USD") == "value per prediction (USD)"
    assert title_of("flag_rate", "USD") == "flag rate"
    assert between_said(None, 0.2, metric="recall") == ""
    assert between_said(-1.5, 0.25, metric="value_per_prediction") == "−1.5 to 0.25"
