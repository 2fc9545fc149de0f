"""Names of a ledger's tables and columns, and the codes that its keys hold."""

from typing import Final, NamedTuple

from fbkit.schema import results

# Keys. Days are counted from 1970-01-01 UTC; what happens later is counted in whole days from the prediction's day.
DAY: Final = "day"
VERSION: Final = "model_version"
FLAGGED: Final = "flagged"
STATE: Final = "state"
SEEN: Final = "seen"
KNOWN: Final = "known"
LAG: Final = "lag"
MATURES: Final = "matures"
SETTLED: Final = "settled"
MATURE: Final = "mature"
BIN: Final = "score_bin"
BUCKET: Final = "bucket"

TIMING: Final = (SEEN, KNOWN, LAG, MATURES, SETTLED)
STATES: Final = (
    results.POSITIVE,
    results.NEGATIVE,
    results.LABELLED,
    results.PENDING,
    results.MISSING,
    results.CENSORED,
)
CODE: Final = {state: code for code, state in enumerate(STATES)}
LABELLED_CODES: Final = (0, 1, 2)

# Sums. Powers of the score are added up as whole multiples of 2^-36, so that sums do not depend on the order of rows.
ROWS: Final = "n"
SCALE: Final = 2**36
POWERS: Final = ("s1", "s2", "s3", "s4")
FAR: Final = "far"  # sum of |1 - 2 score|: how far apart the two losses of an unlabelled row are


class Product(NamedTuple):
    """A sum of weight^w label^y score^s; ``far`` has |1 - 2 score| in place of the score."""

    weight: int
    label: int
    score: int
    far: bool = False

    @property
    def name(self) -> str:
        """For example ``w2y1s3``."""
        return f"w{self.weight}y{self.label}" + (FAR if self.far else f"s{self.score}")


# What weighted rows and fractional labels need: every proportion's and the Brier score's value and variance.
PRODUCTS: Final = (
    Product(1, 0, 0), Product(1, 0, 1), Product(1, 0, 2), Product(1, 0, 0, far=True), Product(1, 1, 0),
    Product(1, 1, 1), Product(2, 0, 0), Product(2, 0, 2), Product(2, 0, 4), Product(2, 1, 0), Product(2, 1, 1),
    Product(2, 1, 2), Product(2, 1, 3), Product(2, 2, 0), Product(2, 2, 1), Product(2, 2, 2),
)  # fmt: skip
WEIGHED: Final = "n_weighed"
WEIGHT_SCALE: Final = 2**30

# Tables, by kind: all counts by day; score histograms; groups of entities for cluster-robust intervals.
CELLS: Final = "cells"
BINS: Final = "bins"
GROUPS: Final = "groups"
BUCKETS: Final = 32
DAYS_OF_WEEK: Final = 7
FIRST_MONDAY: Final = 4  # 1970-01-05

Cut = tuple[str, ...]
TableId = tuple[str, Cut]


def slice_key(position: int) -> str:
    """The key column that holds the codes of a cut's slice column."""
    return f"slice_{position}"


def keys_of(kind: str, cut: Cut) -> tuple[str, ...]:
    """The key columns of a table, in sort order.

    Overall, ``cells`` has score bins too, so there is no overall ``bins``; ``groups`` counts days overall. By slice,
    ``bins`` and ``groups`` count weeks (``day`` is the Monday) and know the ledger's own as-of only.
    """
    slices = tuple(slice_key(position) for position in range(len(cut)))
    common = (*slices, DAY, VERSION, STATE)
    if kind == CELLS:
        return (*common, FLAGGED, *TIMING) if cut else (*common, FLAGGED, *TIMING, BIN)
    return (*common, MATURE, SETTLED, BIN) if kind == BINS else (*common, FLAGGED, MATURE, SETTLED, BUCKET)


def products_of(kind: str) -> tuple[Product, ...]:
    """The weighted sums of a table: all of them, or those that values need (intervals come from ``cells``)."""
    return PRODUCTS if kind == CELLS else tuple(item for item in PRODUCTS if item.weight == 1 and not item.far)


def sums_of(kind: str, *, extended: bool) -> tuple[str, ...]:
    """The sum columns of a table."""
    plain = (ROWS, *POWERS, FAR) if kind == CELLS else (ROWS, *POWERS[:2])
    if not extended:
        return plain
    weighed = (WEIGHED,) if kind == CELLS else ()
    return (*plain, *weighed, *(product.name for product in products_of(kind)))


def product_scale(weights: str | None) -> int:
    """Weighted sums are whole multiples of one over this."""
    return SCALE if weights is None else WEIGHT_SCALE


def by_week(kind: str, cut: Cut) -> bool:
    """Whether a table counts weeks instead of days."""
    return kind != CELLS and bool(cut)
