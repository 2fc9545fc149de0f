"""Commands that explain a drop: the verdict and the incident bundle, and what becomes of it later."""

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from fbkit.cli.app import FINE, FIRED, cli
from fbkit.cli.options import COMPARISON_OPTIONS, LOOP_OPTIONS, given_comparison, open_given, with_options
from fbkit.cli.output import audit_rows, print_json, remark, sources_text, told
from fbkit.errors import ArgumentError
from fbkit.schema.escape import terminal
from fbkit.schema.period import parse_instant
from fbkit.session import Diagnosis, Loop, triage

_FOLDER = click.argument("folder", type=click.Path(path_type=Path))
_JSON = click.option("--json", "as_json", is_flag=True, help="The same facts as JSON on standard output.")
_QUIET = click.option("--quiet", is_flag=True, help="Only the result, no remarks.")
_CLOCK = click.option(
    "--clock", metavar="TIME", help="The time of writing; pin it and equal input gives equal bytes (default: now)."
)


def _diagnose(given: dict[str, Any]) -> tuple[Loop, Diagnosis]:
    loop = open_given(given)
    joined = loop.join(as_of=given["as_of"])
    return loop, triage(
        joined,
        given_comparison(given),
        metric=given["metric"],
        model=given["model"],
        draws=given["draws"],
        seed=given["seed"],
    )


@cli.command(name="triage")
@with_options(*LOOP_OPTIONS, *COMPARISON_OPTIONS)
@click.option("--status-line", is_flag=True, help="Three sentences for the incident channel.")
def triage_command(**given: Any) -> int:
    """Say why a metric moved; exit status 0 whenever a verdict is reached, undecided included."""
    loop, diagnosis = _diagnose(given)
    assumed = told(given, loop)
    if given["as_json"]:
        facts = diagnosis.to_dict()
        print_json({**facts, "audit": audit_rows(diagnosis.joined.audit), **assumed})
    elif given["status_line"]:
        click.echo(diagnosis.status_line())
    else:
        click.echo(str(diagnosis))
        remark(given, sources_text(diagnosis.joined))
    return FINE


@cli.group()
def incident() -> None:
    """Write an incident bundle, check it, open it again, compare two."""


@incident.command(name="write")
@with_options(*LOOP_OPTIONS, *COMPARISON_OPTIONS)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the bundle.")
@click.option("--pdf", is_flag=True, help='Write incident.pdf too; needs pip install "fbkit[pdf]".')
@click.option("--note", metavar="TEXT", multiple=True, help="A note beside the verdict; may be given several times.")
@click.option("--author", metavar="NAME", help="Who says what --note says.")
@_CLOCK
def incident_write(**given: Any) -> int:
    """Diagnose and write the bundle: Markdown, HTML, Word, figures, data, manifest."""
    clock = _clock(given)
    if given["author"] is not None and not given["note"]:
        raise ArgumentError(
            "--author says who a note is from, and there is no note",
            got=given["author"],
            allowed="--note TEXT --author NAME",
            next_step="give the note, or leave the author out",
        )
    loop, diagnosis = _diagnose(given)
    for text in given["note"]:
        diagnosis = diagnosis.annotate(text, author=given["author"], at=clock)
    folder = diagnosis.incident(given["out"], clock=clock, pdf=given["pdf"])
    assumed = told(given, loop)
    if given["as_json"]:
        facts = {"folder": str(folder), "verdict": diagnosis.verdict, "headline": diagnosis.headline}
        print_json({**facts, "evaluation_id": diagnosis.evaluation_id, **assumed})
    else:
        click.echo(f"{diagnosis.headline}\nwrote {folder}")
    return FINE


@incident.command(name="verify")
@_FOLDER
@click.argument("loop", required=False, type=click.Path(path_type=Path))
@_JSON
@_QUIET
def incident_verify(**given: Any) -> int:
    """Say which numbers of a bundle no longer hold; exit status 1 if there is one.

    With LOOP the same question is asked of the logs again, as of the same time; so it is in a folder whose contract is
    the bundle's. Otherwise the shipped frames have to do. Words that somebody edited are no fault; numbers are.
    """
    from fbkit.report.verify import CHANGED, EDITED, HOLDS, holds, verify_text
    from fbkit.session.incident import verify

    found = verify(given["folder"], given["loop"])
    fine = holds(found)
    if given["as_json"]:
        counts = {name.replace(" ", "_"): found.filter(status=name).height for name in (HOLDS, CHANGED, EDITED)}
        rows = found.filter(found["status"] != HOLDS).to_dicts()
        print_json({"folder": str(given["folder"]), "all_hold": fine, **counts, "rows": rows})
    else:
        click.echo(verify_text(found, quiet=given["quiet"]))
    return FINE if fine else FIRED


@incident.command(name="reopen")
@_FOLDER
@click.argument("loop", type=click.Path(path_type=Path))
@click.option("--as-of", metavar="TIME", help="As known at this time (default: the newest arrival in the logs).")
@_CLOCK
@_JSON
@_QUIET
def incident_reopen(**given: Any) -> int:
    """Ask a bundle's question again with what is known later; append to its documents whether the verdict was right."""
    from fbkit.session.incident import reopen

    judgement = reopen(given["folder"], given["loop"], as_of=given["as_of"], clock=_clock(given))
    if given["as_json"]:
        facts = {name: getattr(judgement, name) for name in ("outcome", "because", "final", "sentence")}
        print_json({"folder": str(given["folder"]), **facts})
    else:
        click.echo(terminal(judgement.sentence))
        remark(given, f"appended to {given['folder']}")
    return FINE


@incident.command(name="diff")
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
@_JSON
def incident_diff(**given: Any) -> int:
    """Compare two bundles in words: verdict, contributions, answers, numbers, logs, versions."""
    from fbkit.report.diff import diff_text
    from fbkit.session.incident import diff

    found = diff(given["before"], given["after"])
    if given["as_json"]:
        print_json({"before": str(given["before"]), "after": str(given["after"]), "rows": found.to_dicts()})
    else:
        click.echo(diff_text(found))
    return FINE


def _clock(given: dict[str, Any]) -> datetime | None:
    return None if given["clock"] is None else parse_instant(given["clock"])
