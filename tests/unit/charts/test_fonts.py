"""The shipped font has what it says, and what no font here has is found by the engine that draws."""

import io
import subprocess
import sys
import unicodedata

import pytest

from fbkit.charts import fonts

UNASSIGNED = ("Cc", "Cf", "Cn")
SHOWN = (
    "Zürich Łódź Αθήνα Москва “quotes” – — … • · ° ± × ÷ ≤ ≥ ≠ ≈ ∞ √ Σ ← ↑ → ↓ ↔ █ ░ ▲ ▼ ● ○ ✓ ✔ ✗ ✘ ☐ ☑ € £ − ½ ² ³"
)


@pytest.mark.parametrize("name", fonts.FACES)
def test_the_shipped_font_has_what_is_taken_for_granted_and_what_texts_use(name: str) -> None:
    font_tools = pytest.importorskip("fontTools.ttLib")
    known = font_tools.TTFont(io.BytesIO(fonts.face(name))).getBestCmap()
    granted = [code for code in fonts._SHIPPED if unicodedata.category(chr(code)) not in UNASSIGNED]
    assert [chr(code) for code in granted if code not in known] == []
    assert [sign for sign in SHOWN if ord(sign) not in known] == []


def test_the_licence_lies_beside_the_fonts_and_they_are_small() -> None:
    held = {file.name: file for file in fonts.FOLDER.iterdir()}
    assert set(held) == {"LICENSE.txt", *fonts.FACES.values()}
    assert "Permission is hereby granted, free of charge" in held["LICENSE.txt"].read_text(encoding="utf-8")
    assert all(len(fonts.face(name)) < 300_000 for name in fonts.FACES)


def test_the_font_does_not_bear_the_names_that_its_licence_reserves() -> None:
    font_tools = pytest.importorskip("fontTools.ttLib")
    for name in fonts.FACES:
        names = font_tools.TTFont(io.BytesIO(fonts.face(name)))["name"]
        assert names.getDebugName(1) == fonts.FAMILY
        assert not [word for word in ("Bitstream", "Vera", "Arev") if word in str(names.getDebugName(4))]


def test_characters_of_the_shipped_font_are_not_missing() -> None:
    assert fonts.missing(SHOWN) == ""
    assert fonts.lacking([SHOWN, "plain"]) == ""


def test_what_no_font_has_is_missing_once_and_in_order() -> None:
    # Linear A: no system of ours has it, and a font with it would make this test wrong, not the code.
    assert fonts.missing("a\U00010601b\U00010600\U00010601") == "\U00010601\U00010600"
    # Control and format signs, spaces and halves of characters draw nothing and are not missed.
    assert fonts.missing("a\x00\u202e\u200b\ud800\u3000b") == ""


def test_the_sentence_names_characters_text_and_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_has_glyph", lambda sign: sign.isascii())
    told = fonts.lacking(["fine", "日本語 region", "x" * 200 + "ع"])
    assert "日 (U+65E5)" in told
    assert "'日本語 region'" in told
    assert "fonts-noto-cjk" in told
    assert "fonts-noto-core" in told
    assert len(fonts.lacking(["x" * 5000 + "ع"])) < 300
    with pytest.warns(fonts.MissingGlyphWarning, match="U\\+65E5"):
        fonts.warn_missing(["日"])


def test_a_flood_of_characters_is_looked_at_only_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(fonts, "_has_glyph", lambda sign: bool(asked.append(sign)))
    assert len(fonts.missing("".join(map(chr, range(0x4E00, 0x8000))))) == len(asked) == 400


_DRAW = """
import hashlib, sys
sys.path.insert(0, "")
from fbkit.charts import render
spec = {"data": {"values": [{"a": "Łódź ✓ ≥ 5", "b": 1}]}, "mark": "bar", "title": "Zürich → Αθήνα",
        "config": {"font": "'fbkit Sans', sans-serif"},
        "encoding": {"y": {"field": "a", "type": "nominal"}, "x": {"field": "b", "type": "quantitative"}}}
print(hashlib.sha256(render.to_svg(spec).encode()).hexdigest(), hashlib.sha256(render.to_png(spec)).hexdigest())
"""


def test_svg_and_png_are_the_same_bytes_in_two_processes() -> None:
    said = [
        subprocess.run([sys.executable, "-c", _DRAW], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert said[0] == said[1]
    assert len(said[0]) > 128
