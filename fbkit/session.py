"""The face of the house: what a user opens, joins, asks and holds."""

from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from fbkit.diagnose.preflight import preflight
from fbkit.diagnose.trace import COUNT, SEED, trace
from fbkit.errors import ArgumentError, InputError
from fbkit.join.facts import joined_facts, loop_facts
from fbkit.join.joined import Joined as JoinedTable
from fbkit.join.opened import OpenLogs
from fbkit.join.periods import resolve
from fbkit.join.receipt import Receipt as ReceiptFacts
from fbkit.load.loop import Logs, scan_logs
from fbkit.load.outcomes import label_table
from fbkit.schema.contract import Contract
from fbkit.schema.diagnosis import Diagnosis as DiagnosisFacts
from fbkit.schema.evaluations import FILE as EVALUATIONS
from fbkit.schema.evaluations import EvaluationLog
from fbkit.schema.incomplete import incomplete_warnings
from fbkit.schema.period import Comparison, format_instant, parse_instant

if TYPE_CHECKING:
    from fbkit.measure.user import Metric
    from fbkit.report.contract_page import ContractPage


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt(ReceiptFacts):
    """Everything known about one prediction, made by :meth:`Joined.receipt`: a card in the notebook, frames, text.

    ``frame``, ``features``, ``statements``, ``rivals``, ``timeline`` and ``feedback`` are frames, described at
    :class:`fbkit.join.receipt.Receipt`.
    """

    def to_text(self, *, mask: bool = True) -> str:
        """The receipt as text; columns that the contract names as personal appear as hashes unless ``mask=False``."""
        from fbkit.report.receipt import receipt_text

        return receipt_text(self, mask=mask)

    def __str__(self) -> str:
        return self.to_text(mask=False).rstrip("\n")

    def __repr__(self) -> str:
        from fbkit.report.escape import terminal

        return terminal(f"<Receipt of {self.prediction_id} as known at {format_instant(self.as_of)}>")

    def _repr_html_(self) -> str:
        from fbkit.report.receipt import receipt_html

        return receipt_html(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined(JoinedTable):
    """The joined table as a user holds it, made by :meth:`Loop.join`; analysis functions take it first.

    ``frame`` has one row per used prediction, sorted by ``ts_pred`` and ``prediction_id``: the prediction log's
    columns, and state, label, rule, mature, late and the lags as known at ``as_of`` (UTC). ``label`` is null where
    none counts; ``state`` says why. ``audit`` accounts for every row of every log, ``receipt(id)`` for one prediction.
    """

    def compare(self, comparison: Comparison | None = None) -> Comparison:
        """Fix the periods of a comparison against these logs.

        Left open, the current period is the last seven full days that are mature, the reference the
        eight weeks before it.
        """
        return resolve(self, comparison)

    def receipt(self, prediction_id: str) -> Receipt:
        """What the model saw, what was done, what came back, who else could have claimed it, and which state when.

        Raises
        ------
        ArgumentError
            No used prediction has this id; the nearest ids are named, and the rule that refused a rejected row.

        Examples
        --------
        >>> import fbkit as fb
        >>> joined = fb.open_loop(fb.samples.path("recall_drop") / "variant_a").join()
        >>> joined.receipt("p0000005").timeline["state"].to_list()
        ['pending', 'negative', 'negative']
        """
        facts = JoinedTable.receipt(self, prediction_id)
        return Receipt(**{item.name: getattr(facts, item.name) for item in fields(facts)})

    def trace(self, *, n: int = COUNT, seed: int = SEED) -> pl.DataFrame:
        """Random predictions with their outcomes, to be followed by hand: see :func:`fbkit.diagnose.trace.trace`."""
        return trace(self, n=n, seed=seed)

    def __repr__(self) -> str:
        return f"<Joined: {self.frame.height:,} predictions as known at {format_instant(self.as_of)}>"

    def _repr_html_(self) -> str:
        from fbkit.report.card import loop_html

        return loop_html(f"joined as of {format_instant(self.as_of)}", joined_facts(self), warnings=self.warnings)

    def __str__(self) -> str:
        from fbkit.report.card import loop_text

        return loop_text(f"joined as of {format_instant(self.as_of)}", joined_facts(self), warnings=self.warnings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis(DiagnosisFacts):
    """The verdict as a user holds it: a card in the notebook, text in the terminal, a document on disk.

    Made by :func:`triage`. Metric values and changes are on the metric's own scale (0.1 of a rate is ten points);
    what could not be estimated is None beside a ``reason``. ``contributions`` sum to ``observed.change``; ``evidence``
    holds the small frames behind every number, ``method`` the thresholds, draws and seed.
    """

    joined: Joined = field(repr=False)
    call: str = field(default="", repr=False)

    @property
    def ladder(self) -> pl.DataFrame:
        """The contributions as a frame; their values sum to ``observed.change``."""
        return self.evidence["ladder"]

    def to_dict(self) -> dict[str, Any]:
        """The diagnosis under its documented JSON keys."""
        from fbkit.report.serial import diagnosis_facts

        return diagnosis_facts(self)

    def to_json(self) -> str:
        """The diagnosis as JSON with 10 significant digits."""
        from fbkit.report.serial import diagnosis_json

        return diagnosis_json(self)

    def status_line(self) -> str:
        """Three sentences to paste into the incident channel."""
        from fbkit.report.sentences import status_line

        return status_line(self)

    def incident(self, folder: str | Path, *, clock: datetime | None = None) -> Path:
        """Write the incident bundle (Markdown, HTML, figures, data, manifest) and return its folder.

        The folder appears whole or not at all; an earlier bundle is replaced only by a complete one.

        Raises
        ------
        OutputError
            The folder cannot be written, or holds something that is not a bundle.
        """
        from fbkit.report.incident import write

        sources = tuple((source.name, source.sha256, source.rows) for source in self.joined.sources)
        frames = {"audit": self.joined.audit}
        return write(
            self, folder, contract=self.joined.contract, sources=sources, call=self.call, frames=frames, clock=clock
        )

    def __str__(self) -> str:
        from fbkit.report.card import card_text

        return card_text(self)

    def __repr__(self) -> str:
        from fbkit.report.escape import terminal

        return terminal(f"<Diagnosis {self.verdict}: {self.headline}>")

    def _repr_html_(self) -> str:
        from fbkit.report.card import card_html

        return card_html(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """A feedback loop that is open: its contract and its checked logs. Made by :func:`open_loop`.

    ``logs`` are the rows that passed the load rules; ``audit`` counts those that did not, ``assumptions`` lists what
    was guessed where there is no contract; ``evaluations`` notes every result frame, if asked for.
    """

    name: str
    contract: Contract
    source: OpenLogs = field(repr=False)
    assumptions: tuple[str, ...] = ()
    evaluations: EvaluationLog | None = field(default=None, repr=False)

    @property
    def logs(self) -> Logs:
        """Every log, read and checked as a whole; of a long log, :meth:`join` reads a batch at a time instead."""
        return self.source.logs

    @property
    def audit(self) -> pl.DataFrame:
        """What was read, used and refused, by log and rule."""
        return self.source.account()

    @property
    def labels(self) -> pl.DataFrame:
        """Each label's name, role, version, window, silence and statements (rows about it, refused ones too)."""
        return label_table(self.logs.outcomes, contract=self.contract)

    def join(
        self, *, as_of: str | datetime | None = None, label: str | None = None, label_versions: str = "any"
    ) -> Joined:
        """Join predictions and outcomes as known at ``as_of`` (the newest arrival by default).

        Parameters
        ----------
        label
            Which of :attr:`labels` is looked at: the primary, or a proxy by its name.
        label_versions
            ``any``: a label of another definition version counts where there is no current one, and
            :attr:`Joined.warnings` says so; ``current``: only labels of the contract's version count.

        Raises
        ------
        ArgumentError
            No such label or choice of versions, or a time that cannot be read.
        InputError
            No prediction was known then, or the log holds no statement about this label.

        Examples
        --------
        >>> import fbkit as fb
        >>> loop = fb.open_loop(fb.samples.path("recall_drop") / "variant_a")
        >>> joined = loop.join()
        >>> joined.frame["state"].null_count()
        0
        """
        at = None if as_of is None else parse_instant(as_of)
        table = self.source.join(as_of=at, label=label, label_versions=label_versions)
        joined = Joined(**{item.name: getattr(table, item.name) for item in fields(table)})
        if self.evaluations is None:
            return joined
        about = {"contract": table.contract.hash, "as_of": format_instant(table.as_of)}
        return replace(joined, evaluations=self.evaluations.of(**about, evaluation_key=table.evaluation_key))

    def check(self, *, as_of: str | datetime | None = None) -> pl.DataFrame:
        """The pre-flight checklist: id, question, status, evidence, fix."""
        return preflight(self.join(as_of=as_of))

    def trace(self, *, n: int = COUNT, seed: int = SEED, as_of: str | datetime | None = None) -> pl.DataFrame:
        """The random predictions behind the last item of :meth:`check`, one row each: ``clear`` says without doubt."""
        return self.join(as_of=as_of).trace(n=n, seed=seed)

    def contract_page(self) -> "ContractPage":
        """The contract on one page, for people; ``.write("out")`` writes it as Markdown and HTML.

        Examples
        --------
        >>> import fbkit as fb
        >>> page = fb.open_loop(fb.samples.path("flights_2013")).contract_page()
        >>> print(str(page).splitlines()[0])
        # Model contract: flight-delay
        """
        from fbkit.report.contract_page import ContractPage

        return ContractPage(contract=self.contract)

    def __repr__(self) -> str:
        from fbkit.report.escape import terminal

        return terminal(f"<Loop {self.name}>")

    def _repr_html_(self) -> str:
        from fbkit.report.card import loop_html

        facts, missing = loop_facts(self.source)
        return loop_html(self.name, facts, missing=missing)

    def __str__(self) -> str:
        from fbkit.report.card import loop_text

        facts, missing = loop_facts(self.source)
        return loop_text(self.name, facts, missing=missing)


def open_loop(
    path: str | Path | None = None,
    *,
    contract: Contract | str | Path | None = None,
    predictions: Any = None,
    outcomes: Any = None,
    actions: Any = None,
    changes: Any = None,
    feedback: Any = None,
    window: str | timedelta | None = None,
    threshold: float | None = None,
    timezone: str | None = None,
    skip_unreadable: bool = False,
    log_evaluations: bool = False,
) -> Loop:
    """Open a loop from its folder, or from two logs.

    Parameters
    ----------
    path
        A folder with ``contract.toml`` and the logs it names, or the contract file itself.
    contract
        A contract (or its file) when ``path`` is not given, or to replace the folder's own.
    predictions, outcomes, actions, changes, feedback
        Frames (Polars, pandas, Arrow, DuckDB relations) or file paths that replace what the contract names.
    window
        The label window when there is no contract; then columns are guessed and each guess is listed in
        :attr:`Loop.assumptions`.
    threshold, timezone
        Without a contract: flag if score >= threshold; the zone of times that carry none.
    skip_unreadable
        Leave out files that cannot be read. Their periods are marked incomplete wherever a number rests on them.
    log_evaluations
        Append a line to ``evaluations.ndjson`` beside the contract for every result frame: which question, on which
        logs, when, and the hash of the answer. :meth:`Loop.evaluations.read` gives it back.

    Returns
    -------
    The open loop: every row of the logs is used, or set aside under a rule and counted in ``audit``.

    Raises
    ------
    ContractError, InputError
        What is wrong with the contract or a log.
    """
    given = {"predictions": predictions, "outcomes": outcomes, "actions": actions, "changes": changes}
    given["feedback"] = feedback
    paths = {name: str(data) for name, data in given.items() if isinstance(data, str | Path)}
    frames = {name: data for name, data in given.items() if data is not None and name not in paths}
    if path is None and contract is None:
        how: dict[str, Any] = {"window": window, "threshold": threshold, "timezone": timezone}
        loop = _guessed(frames, paths=paths, skip_unreadable=skip_unreadable, **how)
        return _noting(loop, Path()) if log_evaluations else loop
    root, made = _contract(path, contract)
    made = with_paths(made, {name: str(Path(item).absolute()) for name, item in paths.items()})
    loop = _opened(made, root=root, frames=frames, skip_unreadable=skip_unreadable)
    return _noting(loop, root) if log_evaluations else loop


def _noting(loop: Loop, root: Path) -> Loop:
    log = EvaluationLog(root / EVALUATIONS)
    log.check()
    return replace(loop, evaluations=log)


def _contract(path: str | Path | None, contract: Contract | str | Path | None) -> tuple[Path, Contract]:
    folder = Path(path) if path is not None else Path()
    if isinstance(contract, Contract):
        return folder, contract
    if contract is not None:
        return (folder if path is not None else Path(contract).parent), Contract.load(contract)
    if folder.is_dir():
        return folder, Contract.load(folder / "contract.toml")
    if not folder.exists():
        raise InputError(
            "there is no such loop",
            got=str(path),
            allowed="a folder with contract.toml, or a contract file",
            next_step="name the folder of a loop, or a contract; 'fbkit contract new' writes one",
        )
    return folder.parent, Contract.load(folder)


def with_paths(contract: Contract, paths: dict[str, str]) -> Contract:
    """The contract with some of its logs read from other files."""
    if not paths:
        return contract
    raw = contract.model_dump(mode="json", exclude_unset=True)
    for name, path in paths.items():
        part = raw.setdefault(name, {})
        raw[name] = {key: item for key, item in part.items() if key not in ("query", "connection_env", "format")}
        raw[name]["path"] = path
    return Contract.from_dict(raw)


def _guessed(
    frames: dict[str, Any],
    *,
    paths: dict[str, str],
    window: str | timedelta | None,
    threshold: float | None,
    timezone: str | None,
    skip_unreadable: bool,
) -> Loop:
    from fbkit.load.guess import guess_contract
    from fbkit.load.scan import scan_source
    from fbkit.schema.contract_parts import Source

    if window is None or not {"predictions", "outcomes"} <= {*frames, *paths}:
        raise ArgumentError(
            "without a contract the predictions, the outcomes and the label window are needed",
            got=", ".join([*frames, *paths]) or "nothing",
            next_step='give predictions, outcomes and window="7d" (as options: --window 7d), or a loop folder',
            allowed="predictions, outcomes and window",
        )
    looked_at = dict(frames)
    for name, path in paths.items():
        scan = scan_source(Source(path=path), root=Path(), table=name, skip_unreadable=skip_unreadable)
        looked_at[name] = scan.collect()
    contract, assumptions = guess_contract(looked_at, window=window, threshold=threshold, timezone=timezone)
    contract = with_paths(contract, paths)
    return _opened(contract, root=Path(), frames=frames, skip_unreadable=skip_unreadable, assumptions=assumptions)


def _opened(
    contract: Contract,
    *,
    root: Path,
    frames: dict[str, Any],
    skip_unreadable: bool,
    assumptions: tuple[str, ...] = (),
) -> Loop:
    """Short logs are read at once, so that what is wrong with them is said here; of long ones the columns are."""
    source = OpenLogs(scan_logs(contract, root=root, frames=frames, skip_unreadable=skip_unreadable), contract=contract)
    source.check()
    return Loop(name=contract.model.name, contract=contract, source=source, assumptions=assumptions)


def triage(
    joined: Joined,
    comparison: Comparison | None = None,
    *,
    metric: "str | Metric | None" = None,
    draws: int = 200,
    seed: int = 0,
) -> Diagnosis:
    """Say why the metric moved: the model, the labels, both, or undecidable from these logs.

    Labels that are missing are never dropped in silence: the ladder says what they do. The method, its assumptions
    and its references (Begg and Greenes 1983, Manski 2003, Shapley 1953) stand in ``docs/method.md``.

    Parameters
    ----------
    joined
        From :meth:`Loop.join`.
    comparison
        Reference and current period; by default the last seven mature days against the eight weeks before.
    metric
        A metric name, or an :class:`fbkit.Metric` that is a mean over labelled rows; the contract's primary by default.
    draws, seed
        Bootstrap draws for the intervals (at least 20; 0 leaves out intervals and claims), and their seed.

    Returns
    -------
    A verdict whose contributions sum to the observed change. What cannot be estimated is None with a reason.

    Raises
    ------
    ArgumentError
        An unknown metric, overlapping periods, or 1 to 19 draws.
    InputError
        A period without predictions.

    Examples
    --------
    >>> import fbkit as fb
    >>> joined = fb.open_loop(fb.samples.path("recall_drop") / "variant_a").join()
    >>> diagnosis = fb.triage(joined, draws=20)
    >>> total = sum(row.value for row in diagnosis.contributions)
    >>> abs(total - diagnosis.observed.change) < 1e-9
    True
    """
    from fbkit.diagnose.triage import triage as diagnose

    fixed = resolve(joined, comparison)
    facts = diagnose(joined, fixed, metric=metric, draws=draws, seed=seed)
    incomplete = (*incomplete_warnings(joined, within=fixed.periods()), *joined.definition_warnings)
    if facts.warnings and (comparison is None or comparison.current is None):
        instead = "No full period of that length is mature at the as-of time, so the newest full days stand in for it."
        facts = replace(facts, warnings=(instead, *facts.warnings))
    facts = replace(facts, warnings=(*incomplete, *facts.warnings))
    call = (
        f'fb.triage(loop.join(as_of="{joined.as_of.isoformat()}"), fb.Comparison(reference="{fixed.reference}", '
        f'current="{fixed.current}"), metric="{facts.metric}", draws={draws}, seed={seed})'
    )
    return Diagnosis(**{item.name: getattr(facts, item.name) for item in fields(facts)}, joined=joined, call=call)
