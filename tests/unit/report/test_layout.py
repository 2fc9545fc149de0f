import pytest
from hypothesis import given
from hypothesis import strategies as st

from fbkit.report.layout import widths

CELLS = st.integers(1, 7).flatmap(
    lambda columns: st.lists(st.lists(st.text(max_size=60), min_size=columns, max_size=columns), min_size=1, max_size=6)
)


@given(CELLS, st.floats(5, 30))
def test_the_columns_fill_the_width_and_none_is_empty(cells: list[list[str]], total: float) -> None:
    sizes = widths(cells, total=total)
    assert sum(sizes) == pytest.approx(total, abs=0.01)
    assert min(sizes) > 0


def test_no_word_is_cut_where_there_is_room() -> None:
    head = ["cause", "share of the change in recall", "family", "where", "strength", "evidence"]
    row = ["labels lost in slices", "-6.0 points [-7.0, -5.1]", "labels", "region=US", "established", "long text " * 20]
    sizes = widths([head, row], total=17.0)
    for size, words in zip(sizes, zip(head, row, strict=True), strict=True):
        longest = max(len(word) for text in words for word in text.split())
        assert size >= longest * 0.15, words
    assert sizes[-1] == max(sizes)


def test_where_all_but_one_fit_only_the_longest_is_broken() -> None:
    head = ["week", "part", "recall, with interval", "worst case", "labels available", "predictions", "labelled"]
    row = ["2026-08-31 to 2026-09-07", "reference", "0.795 [0.771, 0.816]", "0.4 to 0.8", "92.1 %", "16,968", "15,630"]
    sizes = widths([head, row], total=17.0)
    whole = [size >= max(len(a), len(b)) * 0.14 for size, a, b in zip(sizes, head, row, strict=True)]
    assert whole == [False, *[True] * 6]


def test_a_hash_stands_on_one_line() -> None:
    name, rows, digest = widths(
        [["source", "rows", "SHA-256"], ["outcomes.parquet", "4,601", "0df9de73" * 8]], total=17
    )
    assert digest >= 64 * 0.167
    assert name >= len("outcomes.parquet") * 0.15
    assert rows > 1


def test_one_very_long_word_does_not_take_the_page() -> None:
    sizes = widths([["a", "b"], ["x" * 100_000, "two words"]], total=17.0)
    assert sizes[1] >= len("words") * 0.15 + 0.3
