"""Bad data is never taken quietly: spoilt files end in a result with a true account, or in the kit's own error."""

from collections import Counter
from pathlib import Path

import pytest

from tests.fuzz.case import make
from tests.fuzz.damage import ANY, OWN
from tests.fuzz.exercise import exercise
from tests.fuzz.values import VALUES

NORMAL, DEEP, BATCH = 1_000, 20_000, 500


def run(first: int, last: int, folder: Path) -> tuple[Counter[str], Counter[str]]:
    """How the cases of these numbers ended, and what was done to them."""
    ends: Counter[str] = Counter()
    done: Counter[str] = Counter()
    for number in range(first, last):
        case = make(number)
        place = folder / str(number)
        case.write(place)
        try:
            ends[exercise(place)] += 1
        except BaseException as error:
            error.add_note(
                f"case {number}, {case.how}: {case.steps}; to see it: python -m tests.fuzz {number} {number + 1}"
            )
            raise
        done.update(step.rpartition(" ")[2] for step in case.steps)
        for path in place.iterdir():
            path.unlink()
    return ends, done


@pytest.mark.parametrize("first", range(0, NORMAL, BATCH))
def test_a_thousand_spoilt_inputs_end_in_a_true_account_or_in_our_own_error(first: int, tmp_path: Path) -> None:
    ends, done = run(first, first + BATCH, tmp_path)
    # A fuzz that only ever meets the first check proves little.
    assert ends["result"] > BATCH / 6
    assert min(ends[f"refused: {kind}"] for kind in ("input", "contract", "argument", "command")) > 0
    every = {mutation.__name__ for mutation in (*VALUES, *ANY, *OWN["csv"], *OWN["ndjson"], *OWN["parquet"])}
    assert len(every - set(done)) < 6


@pytest.mark.deep
@pytest.mark.parametrize("first", range(NORMAL, DEEP, BATCH))
def test_twenty_thousand_spoilt_inputs_do_too(first: int, tmp_path: Path) -> None:
    ends, _ = run(first, first + BATCH, tmp_path)
    assert ends["result"] > BATCH / 6
