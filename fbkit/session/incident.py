"""An incident bundle after the incident: does it still hold, was it right, and what differs from another one."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from fbkit.errors import ArgumentError, ContractError
from fbkit.report.asked import Asked
from fbkit.report.bundle import Bundle
from fbkit.schema.contract import Contract
from fbkit.schema.period import Comparison
from fbkit.session.diagnosis import Diagnosis, triage
from fbkit.session.loop import Loop
from fbkit.session.opening import open_loop

if TYPE_CHECKING:
    from fbkit.measure.user import Metric
    from fbkit.report.judgement import Judgement


def verify(
    folder: str | Path, loop: "Loop | str | Path | None" = None, *, metric: "Metric | None" = None
) -> pl.DataFrame:
    """Which numbers of an incident bundle still hold.

    Parameters
    ----------
    folder
        The bundle.
    loop
        The logs, or their folder: the same question is asked again as of the same time. Without them (and without a
        contract of the same content in the working directory) the shipped frames have to do.
    metric
        The bundle's own metric, if its question was about one.

    Returns
    -------
    One row per thing that was checked, as :func:`fbkit.report.verify.verify` describes; ``status`` is ``holds``,
    ``changed`` or ``edited by hand``.

    Raises
    ------
    InputError
        The folder is no bundle, or a file of it is damaged or of a newer format.

    Examples
    --------
    >>> import tempfile, fbkit as fb
    >>> loop = fb.open_loop(fb.samples.path("recall_drop") / "variant_b")
    >>> with tempfile.TemporaryDirectory() as out:
    ...     folder = fb.triage(loop.join(), draws=20).incident(f"{out}/incident")
    ...     found = verify(folder, loop)
    >>> found["status"].unique().to_list()
    ['holds']
    """
    from fbkit.report.verify import verify as check

    bundle = Bundle.open(folder)
    known = _found(bundle) if loop is None else _opened(loop)
    if known is None:
        return check(bundle)
    again = _asked_again(known, bundle.asked, metric=metric)
    later = {} if not bundle.history else _later(bundle, known, metric=metric)
    return check(bundle, again=again, later=later, why=_differences(bundle.asked, again))


def _later(bundle: Bundle, loop: Loop, *, metric: "Metric | None") -> dict[str, pl.DataFrame]:
    """What the logs say now about the frames that were appended when the bundle was reopened."""
    from fbkit.report.judgement import then_now

    frames = {name: bundle.need_frame(name) for name in ("availability_by_decision", "key_numbers")}
    found: dict[str, pl.DataFrame] = {}
    for entry, as_of in zip(bundle.history, bundle.reopened_at(), strict=True):
        now = _asked_again(loop, bundle.asked, metric=metric, as_of=as_of)
        found[str(entry.get("frame"))] = then_now(bundle.diagnosis, now, frames=frames)
    return found


def reopen(
    folder: str | Path,
    loop: "Loop | str | Path",
    *,
    as_of: str | datetime | None = None,
    metric: "Metric | None" = None,
    clock: datetime | None = None,
) -> "Judgement":
    """Ask a bundle's question again with what is known later, and append the answer to its documents.

    Parameters
    ----------
    folder
        The bundle; its documents keep what they say, and what people added to them.
    loop
        The logs, or their folder.
    as_of
        As known at this time (UTC); the newest arrival in the logs by default.
    metric
        The bundle's own metric, if its question was about one.
    clock
        The time of writing; pin it and equal input gives equal bytes.

    Returns
    -------
    ``outcome`` (right, partly right, wrong, still open, decided now), ``because``, ``final`` and ``sentence``.

    Raises
    ------
    ArgumentError
        Nothing later than what the bundle tells is known at that time.
    InputError
        The folder is no bundle, or a part that is not for editing was edited.
    OutputError
        The folder cannot be written; then nothing has changed.
    """
    from fbkit.report.reopen import reopen as append

    bundle = Bundle.open(folder)
    now = _asked_again(_opened(loop), bundle.asked, metric=metric, as_of=as_of, newest=as_of is None)
    return append(bundle, now, call=now.call, clock=clock)[1]


def _opened(loop: "Loop | str | Path") -> Loop:
    return loop if isinstance(loop, Loop) else open_loop(loop)


def _found(bundle: Bundle) -> Loop | None:
    """The loop in the working directory, if it is the one that the bundle was made of."""
    here = Path("contract.toml")
    if not here.is_file() or here.is_symlink():
        return None
    try:
        contract = Contract.load(here)
    except ContractError:
        return None
    hashes = {contract.hash, *(contract.for_label(name).hash for name in contract.label_names)}
    return open_loop(Path()) if bundle.asked.contract in hashes else None


def _asked_again(
    loop: Loop,
    asked: Asked,
    *,
    metric: "Metric | None" = None,
    as_of: str | datetime | None = None,
    newest: bool = False,
) -> Diagnosis:
    """The bundle's question, put to the logs as of the same time, a later one, or the newest."""
    contract, names = loop.contract, loop.contract.label_names
    label = next((name for name in names if contract.for_label(name).hash == asked.contract), None)
    at = None if newest else asked.as_of if as_of is None else as_of
    chosen = None if contract.hash == asked.contract else label
    joined = loop.join(as_of=at, label=chosen, label_versions=asked.label_versions)
    for name, value in asked.narrowed:
        joined = joined.only({name: value})
    weeks = Comparison(reference=asked.reference, current=asked.current)
    try:
        return triage(joined, weeks, metric=metric or asked.metric, draws=asked.draws, seed=asked.seed)
    except ArgumentError as error:
        raise ArgumentError(
            f"the bundle's question cannot be put again: {error.what}",
            got=asked.metric[:80],
            allowed=error.allowed,
            next_step="give the metric it was asked about: verify(folder, loop, metric=your_metric)",
        ) from error


def _differences(asked: Asked, again: Diagnosis) -> str:
    """What is known to be different now, as the end of a sentence; empty if nothing is."""
    from fbkit.report.provenance import source_rows, versions

    joined = again.joined
    now = {name: digest for name, digest, _ in source_rows([(s.name, s.sha256, s.rows) for s in joined.sources])}
    said: list[str] = []
    if joined.contract.hash != asked.contract:
        said.append("the contract is another one")
    logs = sorted(name for name in {*now, *asked.sources} if now.get(name) != asked.sources.get(name))
    if logs:
        said.append(f"logs that differ: {', '.join(logs[:5])}{' and more' if len(logs) > 5 else ''}")
    said += [
        f"{name} {number} then, {versions().get(name, 'not installed')} now"
        for name, number in asked.versions.items()
        if name in ("fbkit", "polars", "numpy") and versions().get(name) != number
    ]
    return f": {'; '.join(said)}" if said else ", from the same logs, contract and versions"


def diff(before: str | Path, after: str | Path) -> pl.DataFrame:
    """What differs between two incident bundles, in words: see :func:`fbkit.report.diff.diff`; empty if nothing does.

    Raises
    ------
    InputError
        One of the folders is no bundle, or a file of it is damaged.

    Examples
    --------
    >>> import tempfile, fbkit as fb
    >>> joined = fb.open_loop(fb.samples.path("recall_drop") / "variant_b").join()
    >>> with tempfile.TemporaryDirectory() as out:
    ...     one = fb.triage(joined, draws=20, seed=0).incident(f"{out}/one")
    ...     other = fb.triage(joined, draws=20, seed=1).incident(f"{out}/other")
    ...     found = diff(one, other)
    >>> found.filter(part="question").select("what", "before", "after").row(0)
    ('seed', '0', '1')
    """
    from fbkit.report.diff import diff as compare

    return compare(Bundle.open(before), Bundle.open(after))
