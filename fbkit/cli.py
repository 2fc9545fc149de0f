"""The command line: thin, readable by people, ``--json`` for machines; 0 fine, 1 something fired, 2 wrong input."""

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click
import polars as pl

from fbkit import __version__
from fbkit.errors import ArgumentError, FbkitError, InputError
from fbkit.schema.logs import SourceFile
from fbkit.schema.period import Comparison, format_instant
from fbkit.schema.results import ESTIMATE_COLUMNS, PERIOD_END, PERIOD_START
from fbkit.session import Diagnosis, Joined, Loop, open_loop, triage

FINE, FIRED, WRONG = 0, 1, 2


def main(argv: list[str] | None = None) -> None:
    """Run the command line; every expected fault ends as one message on standard error and exit status 2."""
    arguments = sys.argv[1:] if argv is None else argv
    try:
        status = cli.main(args=arguments, prog_name="fbkit", standalone_mode=False)
    except FbkitError as error:
        _fail(error, as_json="--json" in arguments)
    except click.ClickException as error:
        wrong = ArgumentError(error.format_message(), next_step="see fbkit --help, or --help after the command")
        _fail(wrong, as_json="--json" in arguments)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        reason = f"{error.strerror or error}: {Path(str(error.filename)).name[:100]}" if error.filename else str(error)
        _fail(InputError("a file or folder cannot be used", got=reason), as_json="--json" in arguments)
    sys.exit(status if isinstance(status, int) else FINE)


def _fail(error: FbkitError, *, as_json: bool) -> NoReturn:
    click.echo(json.dumps(error.as_json(), ensure_ascii=False) if as_json else f"fbkit: {error}", err=True)
    sys.exit(WRONG)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="fbkit")
def cli() -> None:
    """Why did the metric drop: the model, the labels, both, or undecidable from these logs?"""


_LOOP_OPTIONS = (
    click.argument("loop", required=False, type=click.Path(path_type=Path)),
    click.option("--predictions", metavar="FILE", help="Prediction log, when there is no contract."),
    click.option("--outcomes", metavar="FILE", help="Outcome log, when there is no contract."),
    click.option("--actions", metavar="FILE", help="Action log (optional)."),
    click.option("--window", metavar="7d", help="Label window, when there is no contract."),
    click.option("--threshold", type=float, help="Flag if score >= threshold, when there is no contract."),
    click.option("--timezone", metavar="ZONE", help="Zone of times that carry none, when there is no contract."),
    click.option(
        "--draft", metavar="FILE", default="contract.draft.toml", show_default=True,
        help="Where the guessed contract is written, when there is none.",
    ),
    click.option("--as-of", metavar="TIME", help="As known at this time (default: the newest arrival in the logs)."),
    click.option("--json", "as_json", is_flag=True, help="The same facts as JSON on standard output."),
    click.option("--quiet", is_flag=True, help="Only the result, no remarks."),
)  # fmt: skip
_COMPARISON_OPTIONS = (
    click.option("--metric", help="Metric to diagnose (default: the contract's primary)."),
    click.option("--reference", metavar="A..B", help="Reference period, half-open, UTC."),
    click.option("--current", metavar="A..B", help="Current period (default: the last 7 mature days)."),
    click.option("--last", metavar="7d", help="Current period as a duration, instead of --current."),
    click.option("--versus", metavar="30d", help="Reference period as a duration before the current one."),
    click.option("--draws", type=click.IntRange(0), default=200, show_default=True, help="Draws; 0: no intervals."),
    click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the draws."),
)  # fmt: skip


def _with(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def decorate(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def _open(given: dict[str, Any]) -> Loop:
    """Open the loop that the options describe; print and write down what was guessed."""
    names = ("predictions", "outcomes", "actions", "window", "threshold", "timezone")
    options = {name: given[name] for name in names if given.get(name) is not None}
    if given["loop"] is not None:
        idle = sorted(set(options) & {"window", "threshold", "timezone"})
        if idle:
            raise ArgumentError(
                f"--{idle[0]} belongs to a call without a contract",
                got=str(given["loop"]),
                next_step="set it in the contract",
            )
        return open_loop(given["loop"], **options)
    return open_loop(**options)


def _told(given: dict[str, Any], loop: Loop) -> dict[str, object]:
    """Print what was guessed and write it down, once the call has succeeded; the same facts for ``--json``."""
    if not loop.assumptions:
        return {}
    draft = _write_draft(loop, Path(given["draft"]))
    if not given["as_json"]:
        _remark(given, "assumed, because there is no contract:")
        for line in loop.assumptions:
            _remark(given, f"  - {line}")
        _remark(given, f"draft contract: {draft}")
    return {"assumptions": list(loop.assumptions), "draft": str(draft)}


def _write_draft(loop: Loop, wanted: Path) -> Path:
    """Write the guessed contract without touching another file that stands there."""
    from fbkit.report.files import write_file

    text = loop.contract.to_toml().encode()
    wanted = wanted / "contract.draft.toml" if wanted.is_dir() else wanted
    target, number = wanted, 1
    while target.exists() and not (target.is_file() and target.read_bytes() == text):
        number += 1
        target = wanted.with_name(f"{wanted.stem}-{number}{wanted.suffix}")
    return write_file(target, text)


def _remark(given: dict[str, Any], text: str) -> None:
    if not given["quiet"]:
        click.echo(text)


def _print_json(facts: object) -> None:
    from fbkit.report.serial import to_json

    click.echo(to_json(facts), nl=False)


def _audit(frame: pl.DataFrame) -> list[dict[str, object]]:
    return frame.select("table", "rule", "rows", "detail").to_dicts()


def _comparison(given: dict[str, Any]) -> Comparison:
    if given["last"] is not None:
        if given["current"] is not None or given["reference"] is not None:
            raise ArgumentError(
                "--last stands in place of --current and --reference", got="both", next_step="give one of them"
            )
        return Comparison.last(given["last"], versus=given["versus"])
    if given["versus"] is not None:
        return Comparison.last("7d", versus=given["versus"])
    return Comparison(reference=given["reference"], current=given["current"])


def _diagnose(given: dict[str, Any]) -> tuple[Loop, Diagnosis]:
    loop = _open(given)
    joined = loop.join(as_of=given["as_of"])
    return loop, triage(joined, _comparison(given), metric=given["metric"], draws=given["draws"], seed=given["seed"])


@cli.command()
@_with(*_LOOP_OPTIONS)
def check(**given: Any) -> int:
    """Ask the pre-flight questions of a loop; exit status 1 when one fails."""
    loop = _open(given)
    joined = loop.join(as_of=given["as_of"])
    from fbkit.diagnose.preflight import FAILED, preflight

    items = preflight(joined)
    told = _told(given, loop)
    if given["as_json"]:
        _print_json({"as_of": joined.as_of, "items": items.to_dicts(), "audit": _audit(joined.audit), **told})
    else:
        from fbkit.report.terminal import table_text

        for row in items.iter_rows(named=True):
            click.echo(f"{row['status']:<14} {row['question']}\n{'':<14} {row['evidence']}")
            if row["fix"]:
                click.echo(f"{'':<14} fix: {row['fix']}")
        _remark(given, f"\nas of {format_instant(joined.as_of)}; every row accounted for:")
        _remark(given, table_text(joined.audit))
    return FIRED if FAILED in items["status"] else FINE


@cli.command()
@_with(*_LOOP_OPTIONS)
@click.option("--metrics", "names", metavar="A,B", help="Metrics (default: the contract's report).")
@click.option("--by", metavar="A,B", help="Slice columns.")
@click.option("--every", type=click.Choice(["1h", "1d", "1w", "1mo"]), help="Time grain.")
@click.option("--period", metavar="A..B", help="Only predictions of this period.")
@click.option("--stage", default="final", show_default=True, help="final, any, or provisional@30d.")
def metrics(**given: Any) -> int:
    """Metrics with intervals, worst-case bounds and counts, by slice and time."""
    from fbkit.measure.metrics import metrics as measure

    loop = _open(given)
    joined = loop.join(as_of=given["as_of"])
    names = _listed(given["names"]) or list(joined.contract.metrics.report)
    by = _listed(given["by"])
    frame = measure(joined, names, by=by or None, every=given["every"], period=given["period"], stage=given["stage"])
    told = _told(given, loop)
    if given["as_json"]:
        columns = [name for name in ESTIMATE_COLUMNS if name in frame.columns]
        rows = [
            {"slice": {name: row[name] for name in by}, **{name: row[name] for name in columns}}
            for row in frame.iter_rows(named=True)
        ]
        _print_json({"as_of": joined.as_of, "rows": rows, "audit": _audit(joined.audit), **told})
    else:
        from fbkit.report.terminal import table_text

        shown = frame if given["every"] else frame.drop(PERIOD_START, PERIOD_END, strict=False)
        click.echo(table_text(shown.drop("evaluation_id", strict=False)))
        _remark(given, f"as of {format_instant(joined.as_of)}")
    return FINE


def _listed(text: str | None) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()] if text else []


@cli.command(name="triage")
@_with(*_LOOP_OPTIONS, *_COMPARISON_OPTIONS)
@click.option("--status-line", is_flag=True, help="Three sentences for the incident channel.")
def triage_command(**given: Any) -> int:
    """Say why a metric moved; exit status 0 whenever a verdict is reached, undecided included."""
    loop, diagnosis = _diagnose(given)
    told = _told(given, loop)
    if given["as_json"]:
        facts = diagnosis.to_dict()
        _print_json({**facts, "audit": _audit(diagnosis.joined.audit), **told})
    elif given["status_line"]:
        click.echo(diagnosis.status_line())
    else:
        click.echo(str(diagnosis))
        _remark(given, _sources(diagnosis.joined))
    return FINE


def _sources(joined: Joined) -> str:
    """One line per log: how many files and rows, and what identifies them."""
    tables: dict[str, list[SourceFile]] = {}
    for source in joined.sources:
        tables.setdefault(source.name.split("/")[0].removesuffix(" (frame)"), []).append(source)
    lines = []
    for table, files in tables.items():
        rows = sum(file.rows for file in files)
        digest = (
            files[0].sha256
            if len(files) == 1
            else hashlib.sha256("".join(file.sha256 for file in files).encode()).hexdigest()
        )
        lines.append(
            f"  {table:<12} {rows:>9,} rows in {len(files)} file{'s' if len(files) > 1 else ''}, sha256 {digest[:12]}"
        )
    return "\n".join(["sources:", *lines])


@cli.group()
def incident() -> None:
    """The incident bundle."""


@incident.command(name="write")
@_with(*_LOOP_OPTIONS, *_COMPARISON_OPTIONS)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the bundle.")
def incident_write(**given: Any) -> int:
    """Diagnose and write the bundle: Markdown, HTML, figures, data, manifest."""
    loop, diagnosis = _diagnose(given)
    folder = diagnosis.incident(given["out"])
    told = _told(given, loop)
    if given["as_json"]:
        _print_json({"folder": str(folder), "verdict": diagnosis.verdict, "headline": diagnosis.headline, **told})
    else:
        click.echo(f"{diagnosis.headline}\nwrote {folder}")
    return FINE


@cli.command()
@click.argument("loop", required=False, type=click.Path(path_type=Path))
@click.option("--print-only", is_flag=True, help="Write the notebook and print its path; do not start JupyterLab.")
@click.argument("lab_args", nargs=-1, type=click.UNPROCESSED)
def lab(loop: Path | None, print_only: bool, lab_args: tuple[str, ...]) -> int:
    """Open JupyterLab on the triage notebook, filled in for LOOP."""
    from fbkit.lab import prepare_notebook, start

    notebook = prepare_notebook(loop)
    click.echo(f"notebook: {notebook}")
    return FINE if print_only else start(notebook, lab_args)


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="The same facts as JSON on standard output.")
def doctor(as_json: bool) -> int:
    """The environment, the optional parts, and what to install."""
    from fbkit.lab import environment

    facts = environment()
    if as_json:
        _print_json(facts)
    else:
        for row in facts["parts"]:
            state = row["version"] or "missing"
            click.echo(
                f"{row['name']:<22} {state:<14} {row['for']}"
                + ("" if row["version"] else f"\n{'':<22} install: {row['install']}")
            )
    return FINE if all(row["version"] or not row["required"] for row in facts["parts"]) else FIRED


@cli.command()
@click.option(
    "--out", default="out/incident", show_default=True, type=click.Path(path_type=Path), help="Folder of the bundle."
)
def demo(out: Path) -> int:
    """The main job on the shipped loops: verdicts in the terminal, the incident bundle on disk."""
    from fbkit.samples.cases import CASES

    for number, case in enumerate(CASES):
        loop = open_loop(case.folder())
        diagnosis = triage(loop.join(), Comparison(reference=case.reference, current=case.current))
        click.echo(f"{'=' * 100}\n{case.title}\n{case.source}")
        click.echo(_sources(diagnosis.joined))
        click.echo(str(diagnosis))
        if number == 0:
            click.echo(f"incident bundle: {diagnosis.incident(out)}\n")
    return FINE


if __name__ == "__main__":
    main()
