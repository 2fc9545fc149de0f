"""Two palettes: texts and marks stand out from their paper, and only colours are exchanged between them."""

import copy
import json
import re
from typing import Any

import pytest

from fbkit.charts import render, theme
from fbkit.schema.words import FAMILY_COLOURS
from tests.unit.charts.test_pictures import CHARTS

# Okabe and Ito (2008); lighter ones of them stand on white only beside their name and number in ink.
OKABE_ITO = {"#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7", "#000000"}
NAMED_BESIDE = {"#e69f00", "#56b4e9", "#999999", theme.OTHER}
TEXTS = (theme.INK, theme.FAINT, theme.REFERENCE, theme.CURRENT)  # values stand in the colour of their period
MARKS = (theme.REFERENCE, theme.CURRENT, *FAMILY_COLOURS.values())


def luminance(colour: str) -> float:
    """Relative luminance as the accessibility guidelines (WCAG 2.2) define it."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def dark(colour: str) -> str:
    return theme.DARK.get(colour, colour)


def test_the_measure_itself() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_texts_are_readable_on_both_papers() -> None:
    for colour in TEXTS:
        assert contrast(colour, theme.PAPER) >= 4.5
        assert contrast(dark(colour), dark(theme.PAPER)) >= 4.5


def test_marks_stand_out_on_both_papers() -> None:
    for colour in MARKS:
        if colour not in NAMED_BESIDE:
            assert contrast(colour, theme.PAPER) >= 3.0, colour
        assert contrast(dark(colour), dark(theme.PAPER)) >= 3.0, colour


def test_the_periods_differ_in_lightness_and_keep_the_palette_of_colour_blind_readers() -> None:
    assert {theme.CURRENT, dark(theme.CURRENT)} <= OKABE_ITO
    assert contrast(dark(theme.CURRENT), dark(theme.REFERENCE)) >= 1.5
    kept = {colour for colour in FAMILY_COLOURS.values() if colour in OKABE_ITO}
    assert len(kept) == 5
    assert not kept & set(theme.DARK)


def colours(node: Any) -> set[str]:
    """Every colour in a specification, wherever it stands, but in rows."""
    drawn = {key: value for key, value in node.items() if key not in ("data", "datasets")}
    return set(re.findall(r"#[0-9a-f]{6}", json.dumps(drawn)))


@pytest.mark.parametrize("name", CHARTS)
def test_a_dark_chart_has_no_colour_of_the_light_one_left_and_the_same_rows(name: str) -> None:
    light = render.to_spec(CHARTS[name]())
    before = copy.deepcopy(light)
    night = theme.dark_spec(light)
    assert light == before
    assert not colours(night) & set(theme.DARK)
    assert dark(theme.PAPER) in colours(night)
    assert night["data"] == light["data"]
    assert night["title"]["text"] == light["title"]["text"]
    assert theme.dark_spec(night) == night


@pytest.mark.parametrize("name", ["ladder", "availability"])
def test_a_dark_chart_can_be_drawn(name: str) -> None:
    svg = render.to_svg(theme.dark_spec(render.to_spec(CHARTS[name]())))
    assert dark(theme.PAPER) in svg
    assert theme.INK not in svg


def test_texts_of_users_that_look_like_a_colour_stay() -> None:
    spec = {
        "title": {"text": theme.INK, "subtitle": [theme.INK], "color": theme.INK},
        "data": {"values": [{"color": theme.INK}]},
        "datasets": {"rows": [{"fill": theme.INK}]},
        "encoding": {
            "y": {"field": theme.INK, "title": theme.INK, "scale": {"domain": [theme.INK], "range": [theme.INK]}}
        },
    }
    made = theme.dark_spec(spec)
    assert made["title"] == {"text": theme.INK, "subtitle": [theme.INK], "color": dark(theme.INK)}
    assert made["data"] == spec["data"]
    assert made["datasets"] == spec["datasets"]
    scale = made["encoding"]["y"].pop("scale")
    assert made["encoding"]["y"] == {"field": theme.INK, "title": theme.INK}
    assert scale == {"domain": [theme.INK], "range": [dark(theme.INK)]}


def test_the_look_comes_for_both_pages() -> None:
    assert theme.config() is theme.CONFIG
    assert theme.config(dark=True)["background"] == dark(theme.PAPER)
    assert theme.config(dark=True)["axis"]["labelFontSize"] == theme.CONFIG["axis"]["labelFontSize"]
