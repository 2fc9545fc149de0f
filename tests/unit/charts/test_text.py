"""Text that reaches a chart is one visible line, and numbers read as people say them."""

import math
import unicodedata
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fbkit.charts import text


@given(st.text(max_size=300), st.integers(4, 80))
def test_clean_is_one_short_visible_line(value: str, limit: int) -> None:
    shown = text.clean(value, limit=limit)
    assert 0 < len(shown) <= max(limit, len("(empty text)"))
    assert not [sign for sign in shown if unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
    assert shown == shown.strip()


@given(st.text(alphabet=st.characters(categories=("L", "N", "P")), min_size=1, max_size=40))
def test_clean_leaves_ordinary_text_alone(value: str) -> None:
    assert text.clean(value) == value


def test_clean_does_not_read_a_hundred_thousand_signs() -> None:
    assert len(text.clean("x" * 100_000)) == text.LABEL_LIMIT


@given(st.lists(st.one_of(st.none(), st.text(max_size=8)), max_size=30))
def test_distinct_gives_each_value_its_own_label(values: list[str | None]) -> None:
    labels = text.distinct(values)
    assert set(labels) == set(values)
    assert len(set(labels.values())) == len(set(values))


def test_distinct_tells_look_alikes_apart_also_past_the_limit() -> None:
    long = "a" * 100
    labels = list(text.distinct([long + "1", long + "2", None, "(no value)"]).values())
    assert len(set(labels)) == 4


@pytest.mark.parametrize(
    ("value", "metric", "said"),
    [
        (0.5, "recall", "50.0 %"),
        (0.0, "availability", "0.0 %"),
        (0.9123, "roc_auc", "0.912"),
        (None, "recall", "not estimable"),
        (math.nan, "recall", "not estimable"),
        (math.inf, "brier", "not estimable"),
    ],
)
def test_value_text(value: float | None, metric: str, said: str) -> None:
    assert text.value_text(value, metric=metric) == said


def test_changes_carry_their_sign_and_unit() -> None:
    assert text.change_text(-0.311) == "−31.1 points"
    assert text.change_text(0.0) == "+0.0 points"
    assert text.change_text(None) == "not estimable"
    assert text.change_interval_text(-0.34, -0.28) == "−34.0 to −28.0"
    assert text.change_interval_text(-0.34, math.nan) == ""
    assert text.interval_text(None, 0.4) == "—"


def test_days_are_utc_whatever_zone_comes_in() -> None:
    tokyo = timezone(timedelta(hours=9))
    assert text.day_text(datetime(2013, 5, 28, 3, tzinfo=tokyo)) == "Mon 27 May 2013"
    assert text.instant_text(datetime(2013, 5, 28, 3, tzinfo=tokyo)) == "2013-05-27 18:00 UTC"
    assert text.epoch_ms(datetime(1970, 1, 2, tzinfo=UTC)) == 86_400_000


def test_unknown_stages_and_metrics_are_shown_as_text() -> None:
    assert text.stage_name(None) == "stage unknown"
    assert text.stage_name("odd\nstage") == "odd stage"
    assert text.metric_name("my_own") == "my own"
