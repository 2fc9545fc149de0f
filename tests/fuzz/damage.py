"""Ways in which the bytes of a file go wrong; each takes bytes and gives others."""

import gzip
import io
import zlib
from collections.abc import Callable
from random import Random

import polars as pl
import pyarrow.parquet as pq

Damage = Callable[[bytes, Random], bytes]
TOKENS = (
    b"\0", b"\xff\xfe", b"\xc3\x28", b"\xed\xa0\x80", b"NaN", b"null", b"1e999", b"-0", b"{}", b"[]", b'"', b"'", b",",
    b";", b"\t", b"\n", b"\r", b"\r\n", b"\xe2\x80\xa8", b"\\", b'\\u0000', b"[[", b"=", b"#", b"9" * 23,
    b"9999-12-31T23:59:59Z", b"0001-01-01", b"\x1b[2J", b"  ", b"true", b'"""', b"{" * 50, b"[" * 2000,
)  # fmt: skip


def flip(data: bytes, random: Random) -> bytes:
    made = bytearray(data)
    for _ in range(random.choice([1, 1, 3, 20])):
        if made:
            made[random.randrange(len(made))] ^= 1 << random.randrange(8)
    return bytes(made)


def truncate(data: bytes, random: Random) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def behead(data: bytes, random: Random) -> bytes:
    return data[random.randrange(len(data) + 1) :]


def swap_blocks(data: bytes, random: Random) -> bytes:
    a, b, c = sorted(random.randrange(len(data) + 1) for _ in range(3))
    return data[:a] + data[b:c] + data[a:b] + data[c:]


def repeat_block(data: bytes, random: Random) -> bytes:
    a, b = sorted(random.randrange(len(data) + 1) for _ in range(2))
    return data[:b] + data[a:b] + data[b:]


def cut_block(data: bytes, random: Random) -> bytes:
    a = random.randrange(len(data) + 1)
    return data[:a] + data[a + random.choice([1, 5, 50]) :]


def splice(data: bytes, random: Random) -> bytes:
    for _ in range(random.choice([1, 1, 4])):
        a = random.randrange(len(data) + 1)
        data = data[:a] + random.choice(TOKENS) + data[a:]
    return data


def zeros(data: bytes, random: Random) -> bytes:
    a = random.randrange(len(data) + 1)
    n = min(random.choice([1, 16, 256]), len(data) - a)
    return data[:a] + b"\0" * n + data[a + n :]


def empty(data: bytes, random: Random) -> bytes:
    return random.choice([b"", b"\n", b" ", b"\xef\xbb\xbf", b"\0" * 100])


def tail(data: bytes, random: Random) -> bytes:
    return data + random.choice([b"\0", b"\n\n\n", b"garbage", data[: len(data) // 2], b"PAR1"])


def packed(data: bytes, random: Random) -> bytes:
    return gzip.compress(data, mtime=0) if random.random() < 0.7 else zlib.compress(data)


def recode(data: bytes, random: Random) -> bytes:
    """Another encoding, another end of line, a mark at the start."""
    text = data.decode("utf-8", "replace")
    return random.choice([
        lambda: text.encode("utf-16"), lambda: text.encode("utf-32"), lambda: text.encode("latin-1", "replace"),
        lambda: b"\xef\xbb\xbf" + data, lambda: data.replace(b"\n", b"\r\n"), lambda: data.replace(b"\n", b"\r"),
        lambda: data.replace(b"\n", b"\n\n"), lambda: data.rstrip(b"\n"),
    ])()  # fmt: skip


def separate(data: bytes, random: Random) -> bytes:
    return data.replace(b",", random.choice([b";", b"\t", b"|", b", ", b" "]))


def ragged(data: bytes, random: Random) -> bytes:
    lines = data.split(b"\n")
    at = random.randrange(len(lines))
    lines[at] = random.choice(
        [lines[at] + b",1,2", lines[at].rpartition(b",")[0], b'"' + lines[at], b"", b"a" * 10_000]
    )
    return b"\n".join(lines)


def quoted_newlines(data: bytes, random: Random) -> bytes:
    return data.replace(b"EU", b'"E\nU"').replace(b"auto", b'"au\r\n""to"""')


def twin_header(data: bytes, random: Random) -> bytes:
    first, _, rest = data.partition(b"\n")
    names = first.split(b",")
    names[random.randrange(len(names))] = random.choice([*names, b"", b" ", b'"a,b"'])
    return b",".join(names) + b"\n" + rest


def mixed_json(data: bytes, random: Random) -> bytes:
    lines = [line for line in data.split(b"\n") if line]
    at = random.randrange(len(lines)) if lines else 0
    odd = [
        b"[]", b"{}", b"null", b"3", b'{"score": "high"}', b'{"score": {"a": 1}}', b'{"score": [1]}',
        b'{"a": 1, "a": 2}',
        b'{"prediction_id": 5, "ts_pred": true}', b'{"score": 1e400}', b'{"score": NaN}', b"//", b'{"x": ' * 200,
    ]  # fmt: skip
    lines.insert(at, random.choice(odd))
    return b"\n".join(lines)


def rewritten(data: bytes, random: Random) -> bytes:
    """The same table by another writer: codec, pages, row groups, old timestamps, checksums, a dictionary."""
    try:
        table = pl.read_parquet(io.BytesIO(data)).to_arrow()
        buffer = io.BytesIO()
        pq.write_table(
            table,
            buffer,
            compression=random.choice(["none", "snappy", "gzip", "brotli", "lz4", "zstd"]),
            use_dictionary=random.random() < 0.5,
            data_page_version=random.choice(["1.0", "2.0"]),
            row_group_size=random.choice([1, 7, 1000]),
            version=random.choice(["1.0", "2.6"]),
            use_deprecated_int96_timestamps=random.random() < 0.3,
            write_page_checksum=random.random() < 0.5,
        )
    except (Exception, pl.exceptions.PanicException):  # noqa: BLE001 - what pyarrow cannot write is left as it was
        return data
    return buffer.getvalue()


def page_damage(data: bytes, random: Random) -> bytes:
    """Bits flipped where the values are, the footer left whole."""
    made = bytearray(rewritten(data, random) if random.random() < 0.5 else data)
    for _ in range(random.choice([1, 4])):
        if len(made) > 40:
            made[random.randrange(4, max(5, len(made) // 2))] ^= 1 << random.randrange(8)
    return bytes(made)


ANY: tuple[Damage, ...] = (
    flip, flip, truncate, behead, swap_blocks, repeat_block, cut_block, splice, splice, zeros, empty, tail, packed,
    recode,
)  # fmt: skip
OWN: dict[str, tuple[Damage, ...]] = {
    "csv": (separate, ragged, ragged, quoted_newlines, twin_header, recode),
    "ndjson": (mixed_json, mixed_json, ragged, recode),
    "parquet": (rewritten, rewritten, page_damage, page_damage),
}
