"""The numbers of a sentence: none missed, and none that is a date, a name or an identifier."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fbkit.report.tokens import blanked, tokens


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("recall fell 12.5 points, 0.805 to 0.680 (95 % interval -15.6 to -9.4)", "12.5 0.805 0.680 95 -15.6 -9.4"),
        ("-12.5 points [-15.6, -9.4]", "-12.5 -15.6 -9.4"),
        ("1,204 of 12,345 labels", "1,204 12,345"),
        ("0.80 → 0.68", "0.80 0.68"),
        ("a value of -19,920 EUR; nothing else.", "-19,920"),
        ("worse by 1.5e-05 or +0.0031.", "1.5e-05 +0.0031"),
        ("2026-09-28..2026-10-05 against 2026-08-31..2026-09-28 (as of 2026-10-19 23:00 UTC)", ""),
        ("arrived 2026-10-19T23:00:00Z, by 06:30", ""),
        ("F1 of region=EU2, window 24h, v2.1, part-0001.parquet, x_3", ""),
        ("evaluation a3f1a3f1a3f1a3f1, contract 00112233445566778899aabb", ""),
    ],
)
def test_numbers_are_told_from_dates_names_and_hashes(text: str, found: str) -> None:
    assert " ".join(token.text for token in tokens(text)) == found


def test_units_stand_beside_their_number() -> None:
    said = tokens("92.2 % of them, 12.5 points, 7 more, 3%")
    assert [(token.text, token.unit) for token in said] == [("92.2", "%"), ("12.5", "points"), ("7", ""), ("3", "%")]


def test_a_name_that_is_a_number_is_only_a_name_after_the_word_version() -> None:
    assert [token.text for token in tokens("version 2: 30 rows, 2 more", names=["2"])] == ["30", "2"]


def test_digits_of_a_users_names_are_no_numbers() -> None:
    assert tokens("lost labels (Gate 12 and 14, flagged rows)", names=["Gate 12 and 14"]) == []
    assert [token.text for token in tokens("Gate 12 and 14 lost 3", names=["Gate 12"])] == ["14", "3"]


@given(st.text(alphabet="0123456789 .,+-%e()[]xZ:é_=", max_size=80), st.lists(st.text(max_size=5), max_size=3))
def test_every_token_stands_where_it_says(text: str, names: list[str]) -> None:
    assert len(blanked(text, names=names)) == len(text)
    for token in tokens(text, names=names):
        assert text[token.start : token.start + len(token.text)] == token.text
        float(token.text.replace(",", ""))


@pytest.mark.parametrize("sign", ["1", "1,", "a", "-", "1.", "f0", "(1", "2026-", "1e"])
def test_a_hostile_text_is_read_to_its_end(sign: str) -> None:
    """With a quadratic expression this would take minutes, not a moment."""
    assert len(tokens(f"{sign * 100_000} 7", names=["1"])) <= 100_001
