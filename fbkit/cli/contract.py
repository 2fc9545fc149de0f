"""Commands on the contract: write one, show one, compare two."""

import os
from pathlib import Path
from typing import Any

import click

from fbkit.cli.app import FINE, FIRED, cli
from fbkit.cli.output import print_json
from fbkit.errors import ArgumentError, ContractError, OutputError
from fbkit.schema.contract import Contract
from fbkit.schema.contract_diff import diff
from fbkit.schema.contract_gate import gate

_JSON = click.option("--json", "as_json", is_flag=True, help="The same facts as JSON on standard output.")
_OLD = click.argument("old", type=click.Path(path_type=Path))
_NEW = click.argument("new", type=click.Path(path_type=Path))


@cli.group()
def contract() -> None:
    """The contract of a loop: new, page, diff, gate."""


@contract.command(name="new")
@click.option("--predictions", metavar="FILE", help="Prediction log; its columns are guessed.")
@click.option("--outcomes", metavar="FILE", help="Outcome log; its columns are guessed.")
@click.option("--actions", metavar="FILE", help="Action log (optional).")
@click.option("--window", metavar="7d", help="Label window (default: the shortest that holds 99.9 % of the outcomes).")
@click.option("--threshold", type=float, help="Flag if score >= threshold.")
@click.option("--timezone", metavar="ZONE", help="Zone of times that carry none.")
@click.option("--name", metavar="NAME", help="Name of the model.")
@click.option("--out", default="contract.toml", show_default=True, help="A file that is not there yet; - for stdout.")
@_JSON
def contract_new(*, out: str, as_json: bool, **given: Any) -> int:
    """Write a commented contract: with logs their columns filled in, without them every key and its default."""
    from fbkit.report.escape import terminal
    from fbkit.schema.contract_template import template

    target = None if out == "-" else _free(Path(out))
    made, said = _draft(given, folder=Path() if target is None else target.parent)
    text = template(made, remarks=said)
    if as_json:
        print_json({"contract": text, "assumptions": list(said), "path": None if target is None else str(target)})
    elif target is None:
        click.echo(text, nl=False)
    if target is not None:
        _write_new(target, text)
        if not as_json:
            for line in said:
                click.echo(f"  - {terminal(line)}")
            click.echo(f"wrote {target}")
    return FINE


def _draft(given: dict[str, Any], *, folder: Path) -> tuple[Contract | None, tuple[str, ...]]:
    paths = {table: given[table] for table in ("predictions", "outcomes", "actions") if given[table] is not None}
    options = {name: given[name] for name in ("window", "threshold", "timezone", "name") if given[name] is not None}
    if not paths and not options:
        return None, ()
    if not {"predictions", "outcomes"} <= set(paths):
        raise ArgumentError(
            "columns are guessed from the predictions and the outcomes together",
            got=", ".join(f"--{name}" for name in [*paths, *options]),
            allowed="--predictions FILE --outcomes FILE, or neither and none of their options",
            next_step="give both logs, or leave all of these out for an empty template",
        )
    from fbkit.load.draft import draft_contract

    return draft_contract(paths, folder=folder, **options)


def _free(target: Path) -> Path:
    target = target / "contract.toml" if target.is_dir() else target
    if os.path.lexists(target):
        raise OutputError(
            "a contract is never overwritten, and something stands there already",
            got=target.name,
            allowed="a name that is free, or - for standard output",
            next_step="give another name with --out",
        )
    return target


def _write_new(target: Path, text: str) -> None:
    from fbkit.report.files import write_file

    write_file(_free(target), text.encode())


@contract.command(name="page")
@click.argument("loop", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="A folder (both forms), or a file .md or .html.")
@click.option("--format", "form", type=click.Choice(["md", "html"]), help="One form only (default on stdout: md).")
def contract_page(*, loop: Path, out: Path | None, form: str | None) -> int:
    """The contract on one page, for people: Markdown and HTML."""
    from fbkit.report.contract_page import ContractPage

    page = ContractPage(contract=read_contract(loop))
    if out is None:
        click.echo(page.html() if form == "html" else page.markdown(), nl=False)
        return FINE
    for file in page.write(out, form=form):
        click.echo(f"wrote {file}")
    return FINE


@contract.command(name="diff")
@_OLD
@_NEW
@_JSON
def contract_diff(*, old: Path, new: Path, as_json: bool) -> int:
    """What changed between two contracts, in words, and what it makes invalid."""
    from fbkit.report.escape import terminal

    before, after = read_contract(old, which="the old contract"), read_contract(new, which="the new contract")
    changes = diff(before, after)
    if as_json:
        facts = [{name: getattr(item, name) for name in item.__slots__} for item in changes]
        print_json({"old": before.hash, "new": after.hash, "changes": facts})
        return FINE
    for item in changes:
        where = "" if item.path in item.words else f"{item.path}: "
        click.echo(f"{terminal(where + item.words)}\n  invalidates {terminal(item.invalidates)}")
    click.echo(f"{len(changes)} difference{'' if len(changes) == 1 else 's'} ({before.hash[:12]} to {after.hash[:12]})")
    return FINE


@contract.command(name="gate")
@_OLD
@_NEW
@_JSON
def contract_gate(*, old: Path, new: Path, as_json: bool) -> int:
    """Stop a definition that changed without a new version or its consumers' word; exit status 1 when one did."""
    from fbkit.report.escape import terminal

    before, after = read_contract(old, which="the old contract"), read_contract(new, which="the new contract")
    violations = gate(before, after)
    if as_json:
        facts = [{name: getattr(item, name) for name in item.__slots__} for item in violations]
        print_json({"old": before.hash, "new": after.hash, "violations": facts})
        return FIRED if violations else FINE
    for item in violations:
        click.echo(f"{terminal(item.path)}\n  before: {_shown(item.before)}\n  after:  {_shown(item.after)}")
        click.echo(f"  fix: {terminal(item.fix)}")
    count = len(violations)
    click.echo(f"{count} change{'' if count == 1 else 's'} nobody announced" if count else "every change is announced")
    return FIRED if violations else FINE


def _shown(value: Any) -> str:
    from fbkit.report.escape import terminal

    return "nothing" if value is None else terminal(", ".join(map(str, value)) if isinstance(value, list) else value)


def read_contract(path: Path, *, which: str | None = None) -> Contract:
    """The contract of a loop folder, or of the file itself; of two, the message says which one is wrong."""
    try:
        return Contract.load(path / "contract.toml" if path.is_dir() else path)
    except ContractError as error:
        if which is None:
            raise
        raise ContractError(
            f"{which}: {error.what}", got=error.got, allowed=error.allowed, next_step=error.next_step
        ) from error
