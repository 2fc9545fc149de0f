import io
import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fbkit.charts.png import smaller

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(pixels: bytes, *, width: int, height: int, parts: int = 1) -> bytes:
    """A grey picture, hardly compressed, its pixels in so many pieces."""
    rows = b"".join(b"\x00" + pixels[i * width : (i + 1) * width] for i in range(height))
    packed = zlib.compress(rows, 0)
    step = -(-len(packed) // parts)
    pieces = b"".join(chunk(b"IDAT", packed[i : i + step]) for i in range(0, len(packed), step))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return SIGNATURE + head + chunk(b"pHYs", b"\x00" * 9) + pieces + chunk(b"IEND", b"")


@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 5), st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_another_reader_sees_the_same_pixels(width: int, height: int, parts: int, random) -> None:
    image = pytest.importorskip("PIL.Image")
    pixels = bytes(random.choice((0, 7, 255)) for _ in range(width * height))
    before = png(pixels, width=width, height=height, parts=parts)
    after = image.open(io.BytesIO(smaller(before)))
    assert after.size == (width, height)
    assert after.tobytes() == pixels
    assert smaller(before) == smaller(smaller(before))


def test_it_is_smaller_and_keeps_what_else_the_file_says() -> None:
    before = png(b"\x05" * 10_000, width=100, height=100, parts=3)
    after = smaller(before)
    assert len(after) < len(before) / 20
    assert b"pHYs" in after
    assert after.count(b"IDAT") == after.count(b"IEND") == 1
    assert after.endswith(chunk(b"IEND", b""))


@pytest.mark.parametrize("other", [b"", b"GIF89a", b"\x89PN"])
def test_what_is_no_png_comes_back(other: bytes) -> None:
    assert smaller(other) == other
