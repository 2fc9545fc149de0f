"""Make fbkit/charts/fonts from DejaVu 2.37: Latin, Greek, Cyrillic and signs, under a name of its own.

The fonts are those of Debian's package fonts-dejavu-extra (Condensed) and fontTools comes with the development
environment: ``python requirements/subset_fonts.py FOLDER``, by default /usr/share/fonts/truetype/dejavu.
"""

import sys
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont

FAMILY = "fbkit Sans"
STYLES = {"Regular": "DejaVuSansCondensed.ttf", "Bold": "DejaVuSansCondensed-Bold.ttf"}
# Latin to Cyrillic with combining marks; Greek and Latin additions; punctuation to dingbats; what texts and axes use.
KEPT = [*range(0x20, 0x530), *range(0x1E00, 0x2000), *range(0x2000, 0x27C0), *range(0xFB00, 0xFB05), 0xFFFD]
TARGET = Path(__file__).parents[1] / "fbkit" / "charts" / "fonts"


def main() -> None:
    """Write the two fonts and their licence."""
    source = Path(sys.argv[1] if len(sys.argv) > 1 else "/usr/share/fonts/truetype/dejavu")
    TARGET.mkdir(exist_ok=True)
    for style, name in STYLES.items():
        font = TTFont(source / name, recalcTimestamp=False)
        (TARGET / "LICENSE.txt").write_text(_licence(font), encoding="utf-8")
        options = subset.Options(hinting=False, layout_features=["kern", "mark", "mkmk", "ccmp", "locl"])
        options.name_IDs = [0, 13, 14]
        subsetter = subset.Subsetter(options)
        subsetter.populate(unicodes=KEPT)
        subsetter.subset(font)
        _rename(font, style)
        font.save(TARGET / f"fbkit-sans-{style.lower()}.ttf")


def _licence(font: TTFont) -> str:
    names = font["name"]
    told = "\n\n".join(str(names.getDebugName(number)).strip() for number in (0, 13, 14))
    changed = f'"{FAMILY}" is a subset of DejaVu Sans Condensed 2.37 without hints, under another name.'
    return f"{changed}\n\n{told}\n"


def _rename(font: TTFont, style: str) -> None:
    full = f"{FAMILY} {style}"
    texts = {1: FAMILY, 2: style, 3: f"{full} 2.37", 4: full, 5: "Version 2.37", 6: full.replace(" ", "-")}
    for number, text in texts.items():
        font["name"].setName(text, number, 3, 1, 0x409)
    font["OS/2"].usWidthClass = 5  # the only width of its family: nothing should look for a wider one


if __name__ == "__main__":
    main()
