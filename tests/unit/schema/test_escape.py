import csv
import html as std_html
import html.parser
import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fbkit.schema import escape

HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn"}
ANY_TEXT = st.text(alphabet=st.characters(), max_size=80)
SPECIAL = st.text(alphabet="<>&\"'=+-@|*_`[]()#!~$\\:/.w1) \n\t\x1b\u202e\u200b", max_size=60)


class Tags(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, object]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attrs))

    def handle_data(self, data: str) -> None:
        self.text += data


@given(ANY_TEXT)
def test_clean_leaves_one_visible_line(text: str) -> None:
    shown = escape.clean(text)
    assert [sign for sign in shown if unicodedata.category(sign) in HIDDEN and sign not in "\u200c\u200d"] == []
    shown.encode("utf-8")  # no lone surrogate is left


def test_clean_tells_apart_what_would_look_the_same() -> None:
    assert escape.clean("EU") != escape.clean("EU\u200b") != escape.clean("\u200bEU")


def test_clean_says_how_much_it_cut() -> None:
    shown = escape.clean("a" * 100_000, limit=50)
    assert shown == "a" * 50 + "... (100,000 characters)"


@given(st.one_of(ANY_TEXT, SPECIAL))
def test_html_has_no_tag_and_reads_as_written(text: str) -> None:
    parser = Tags()
    parser.feed(f'<p title="{escape.html(text)}">{escape.html(text)}</p>')
    assert parser.tags == [("p", [("title", escape.clean(text))])]
    assert parser.text == escape.clean(text)


@pytest.mark.parametrize(
    "text",
    [
        "*a*",
        "_a_",
        "`a`",
        "[a](b)",
        "![a](b)",
        "<b>",
        "|",
        "~~a~~",
        "# a",
        "- a",
        "+ a",
        "1. a",
        "2) a",
        "===",
        "$a$",
        "\\*a",
    ],
)
def test_markdown_signs_are_escaped_and_can_be_read_back(text: str) -> None:
    written = escape.markdown(text)
    plain = std_html.unescape(written)
    for sign in "\\`*_[]|~$#+-=.)":
        plain = plain.replace("\\" + sign, sign)
    assert plain == text
    assert written != text


def test_markdown_makes_no_link() -> None:
    for text in ("http://a.b", "HTTPS://a.b", "www.a.b", "Www.a.b", "me@a.b"):
        written = escape.markdown(text)
        assert "://" not in written
        assert "@" not in written
        assert "www." not in written.lower()


def test_markdown_keeps_ordinary_sentences_readable() -> None:
    for text in ("Recall fell 12.0 points, from 0.80 to 0.68 (region=EU).", "label_slice_loss explains -6.5"):
        assert escape.markdown(text) == text


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@a", "\t=1", "\r=1", " =1", "＝1", "＋1", "－1", "＠a"])
def test_csv_formula_becomes_text(text: str) -> None:
    assert str(escape.csv_cell(text)).startswith("'")


@given(ANY_TEXT)
def test_csv_cell_survives_a_round_trip_on_one_line(text: str) -> None:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerow([escape.csv_cell(text), 1])
    assert out.getvalue().count("\n") == 1
    assert next(csv.reader(io.StringIO(out.getvalue()))) == [str(escape.csv_cell(text)), "1"]


def test_terminal_passes_no_escape_sequence() -> None:
    assert "\x1b" not in escape.terminal("\x1b[2J\x1b]52;c;eA==\x07\x9b31m")
