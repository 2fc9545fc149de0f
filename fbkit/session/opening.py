"""Open a loop: from its folder, from a contract, or from two logs of which the rest is guessed."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from fbkit.errors import ArgumentError, InputError
from fbkit.join.opened import OpenLogs
from fbkit.load.loop import scan_logs
from fbkit.schema.contract import Contract
from fbkit.schema.evaluations import FILE as EVALUATIONS
from fbkit.schema.evaluations import EvaluationLog
from fbkit.session.loop import Loop


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
