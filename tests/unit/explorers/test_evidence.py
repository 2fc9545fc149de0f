"""Evidence frames as tables: numbers by what their column holds, intervals beside their value, text as text."""

import polars as pl
import pytest

from fbkit.explorers.evidence import table_html, worst_slices

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.mark.parametrize(
    ("column", "value", "metric", "said"),
    [
        ("p_value", 0.00007, "recall", "&lt; 0.001"),
        ("p_adjusted", 0.2257, "recall", "0.226"),
        ("remainder", -0.0942, "recall", "−9.4 points"),
        ("remainder", -0.0942, "brier", "−0.094"),
        ("corrected", 0.7384, "recall", "73.8 %"),
        ("corrected", 0.7384, "brier", "0.738"),
        ("null_rate_current", 0.25, "brier", "25.0 %"),
        ("availability", 0.25, "brier", "25.0 %"),
        ("shift", -1.5, "recall", "−1.5"),
        ("n_labelled", 1_234_567, "recall", "1,234,567"),
        ("active", True, "recall", "yes"),
        ("window", None, "recall", "—"),
        ("evidence", HOSTILE, "recall", "&lt;img"),
    ],
)
def test_a_cell_is_written_by_what_its_column_holds(column: str, value: object, metric: str, said: str) -> None:
    made = table_html(pl.DataFrame({column: [value]}), caption="c", metric=metric)
    assert f">{said}" in made
    assert "<img" not in made


def test_an_interval_stands_beside_its_value_and_takes_no_column() -> None:
    frame = pl.DataFrame({"corrected": [0.7, 0.8], "lower": [0.65, None], "upper": [0.75, None]})
    made = table_html(frame, caption=HOSTILE, metric="recall")
    assert "70.0 % (65.0 % to 75.0 %)" in made
    assert ">80.0 %<" in made
    assert "lower" not in made
    alone = table_html(pl.DataFrame({"lower": [0.1], "upper": [0.2]}), caption="c", metric="recall")
    assert "lower" in alone, "without a value to stand beside, they stay columns"


def test_a_long_frame_is_cut_and_says_so() -> None:
    made = table_html(pl.DataFrame({"n": list(range(100))}), caption="c", metric="recall")
    assert made.count("<tr>") == 61
    assert "40 more lines" in made


def test_the_slices_that_lost_most_come_first_and_only_so_many() -> None:
    lines = [
        {"column": "c", "value": f"v{place:02d}", "window": window, "availability": share}
        for place in range(20)
        for window, share in (("reference", 0.9), ("current", 0.9 - place / 100))
    ]
    made = worst_slices(pl.DataFrame(lines))
    assert list(dict.fromkeys(made["slice"])) == [f"c = v{place:02d}" for place in range(19, 7, -1)]
    assert made["window"].to_list()[:2] == ["reference", "current"]


def test_a_replay_is_told_in_words_and_points() -> None:
    frame = pl.DataFrame({"player": ["covariate_shift"], "value": [-0.3021], "lower": [-0.33], "upper": [-0.27]})
    shown = table_html(frame, caption="replay", metric="recall")
    assert "changed inputs" in shown
    assert "−30.2 points (−33.0 to −27.0)" in shown
    assert "player" not in shown
