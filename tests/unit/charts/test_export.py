"""A chart on its own: five formats, its small print in each, whole files, clear refusals, nothing that runs."""

import html.parser
import json
import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import polars as pl
import pytest

from fbkit.charts import export, fonts, slices, theme
from fbkit.errors import ArgumentError, OutputError
from tests.unit.charts.scene import texts
from tests.unit.charts.test_pictures import CHARTS, by_slice

AS_OF = datetime(2026, 3, 20, 6, 5, tzinfo=UTC)
FOOTNOTE = export.footnote_text(n=39012, dropped=321, stage="final")
NOTES = f"as of 2026-03-20 06:05 UTC, {FOOTNOTE}"


def write(folder: Path, ending: str) -> bytes:
    made = export.export_chart(CHARTS["slices"](), folder / f"chart.{ending}", as_of=AS_OF, footnote=FOOTNOTE)
    assert made == folder / f"chart.{ending}"
    assert os.listdir(folder) == [made.name]
    return made.read_bytes()


def test_every_text_format_carries_title_and_small_print(tmp_path: Path) -> None:
    for ending in ("svg", "html", "json"):
        folder = tmp_path / ending
        said = write(folder, ending).decode()
        assert "Recall by carrier" in said
        assert NOTES in said
        assert write(folder, ending).decode() == said  # replaced, and the same bytes


def test_the_svg_is_well_formed_and_shows_what_the_chart_shows(tmp_path: Path) -> None:
    root = ElementTree.fromstring(write(tmp_path, "svg"))
    drawn = {"".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")}
    shown = {text for text in texts(CHARTS["slices"]()) if len(text) < 30}  # Vega cuts what is longer, and wraps titles
    assert "(no value)" in shown
    assert shown <= drawn


def test_the_png_is_twice_as_large_as_the_svg_says(tmp_path: Path) -> None:
    png = write(tmp_path / "png", "png")
    root = ElementTree.fromstring(write(tmp_path / "svg", "svg"))
    assert png.startswith(b"\x89PNG")
    assert int.from_bytes(png[16:20], "big") == pytest.approx(2 * float(root.attrib["width"]), abs=2)
    assert png == write(tmp_path / "png", "png")


def test_the_pdf_holds_its_texts_as_text_in_the_shipped_font(tmp_path: Path) -> None:
    pdf = write(tmp_path, "pdf")
    assert pdf.startswith(b"%PDF")
    assert b"fbkit-Sans-Bold" in pdf
    if shutil.which("pdftotext"):
        said = subprocess.run(["pdftotext", "-", "-"], input=pdf, capture_output=True, check=True).stdout.decode()
        assert NOTES in " ".join(said.split())


class Page(html.parser.HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.marks: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.marks |= {name for name, _ in attrs}


def test_the_html_page_is_a_picture_without_script_or_address(tmp_path: Path) -> None:
    said = write(tmp_path, "html").decode()
    page = Page(said)
    assert not {"script", "a", "img", "image", "link", "iframe", "foreignobject"} & page.tags
    assert not [name for name in page.marks if name.startswith("on") or name in ("href", "src", "xlink:href")]
    assert "default-src 'none'" in said
    assert 'role="img" aria-label="Recall by carrier' in said


def test_the_specification_draws_the_same_chart_again(tmp_path: Path) -> None:
    spec = json.loads(write(tmp_path / "one", "json"))
    export.export_chart(spec, tmp_path / "two" / "chart.svg")
    assert (tmp_path / "two" / "chart.svg").read_bytes() == write(tmp_path / "three", "svg")


def test_a_title_of_ones_own_and_notes_that_are_there_already_come_once() -> None:
    spec = export.labelled(CHARTS["lag"](), title="Mine", footnote="bands are intervals")
    assert spec["title"]["text"] == "Mine"
    assert " ".join(spec["title"]["subtitle"]).count("bands are intervals") == 1
    assert spec["description"].startswith("Mine. ")
    bare = export.labelled({"mark": "bar"}, as_of=AS_OF)
    assert bare["title"] == {"text": "", "subtitle": ["as of 2026-03-20 06:05 UTC"]}
    assert "title" not in export.labelled({"mark": "bar"})
    assert export.labelled({"mark": "bar", "title": "T"}, footnote="n = 3")["title"] == {
        "text": "T",
        "subtitle": ["n = 3"],
    }


def test_the_chart_that_was_handed_in_stays_as_it_was() -> None:
    spec = {"mark": "bar", "title": {"text": "T", "subtitle": ["one"]}}
    export.labelled(spec, title="U", footnote="two")
    assert spec == {"mark": "bar", "title": {"text": "T", "subtitle": ["one"]}}


@pytest.mark.parametrize("name", ["chart", "chart.gif", "chart.txt", ".png"])
def test_an_unknown_ending_is_refused_with_those_that_are_known(tmp_path: Path, name: str) -> None:
    with pytest.raises(ArgumentError, match=r"\.png, \.svg, \.pdf, \.html, \.json"):
        export.export_chart(CHARTS["lag"](), tmp_path / name)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("thing", [None, 5, "chart", {}, {"data": []}, pl.DataFrame()])
def test_what_is_no_chart_is_refused(tmp_path: Path, thing: object) -> None:
    with pytest.raises(ArgumentError, match="this is not a chart"):
        export.export_chart(thing, tmp_path / "chart.png")


def test_a_place_that_cannot_be_written_is_told_and_nothing_stays(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match="could not write"):
        export.export_chart(CHARTS["lag"](), tmp_path / "file" / "chart.svg")
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"


def test_characters_without_a_glyph_are_warned_of_with_the_text(tmp_path: Path) -> None:
    frame = by_slice().with_columns(carrier=pl.lit("north \U00010600"))
    chart = slices.slices_chart(frame, by="carrier")
    with pytest.warns(fonts.MissingGlyphWarning, match=r"U\+10600.*north"):
        export.export_chart(chart, tmp_path / "chart.svg")
    assert (tmp_path / "chart.svg").exists()


def test_picture_and_table_to_paste() -> None:
    made = export.copy_chart(CHARTS["slices"](), by_slice(), ["carrier", "role", "value", "n"])
    assert made.png.startswith(b"\x89PNG")
    assert made.markdown.splitlines()[0] == "| carrier | role | value | n |"


def test_no_label_of_the_house_font_is_wider_than_its_place() -> None:
    """The family that pictures are measured with comes first, wherever a chart is drawn."""
    assert theme.FONT.startswith(f"'{fonts.FAMILY}',")
