"""The command that ``fbkit`` starts: its group, and how every fault ends."""

import json
import sys
from pathlib import Path
from typing import NoReturn

import click
import polars as pl

from fbkit import __version__
from fbkit.cli.interrupt import noticed
from fbkit.errors import ArgumentError, FbkitError, InputError

FINE, FIRED, WRONG = 0, 1, 2


def main(argv: list[str] | None = None) -> None:
    """Run the command line; every expected fault ends as one message on standard error and exit status 2."""
    arguments = sys.argv[1:] if argv is None else argv
    with noticed() as interrupt:
        try:
            status = cli.main(args=arguments, prog_name="fbkit", standalone_mode=False)
        except (click.Abort, KeyboardInterrupt):
            _interrupted()
        except (Exception, pl.exceptions.PanicException) as error:
            # An interrupt that arrives while Polars calls back into Python comes out as its panic, or as another error.
            if interrupt.pressed or "KeyboardInterrupt" in str(error):
                _interrupted()
            known = _explained(error, arguments)
            if known is None:
                raise
            _fail(known, as_json="--json" in arguments)
    sys.exit(status if isinstance(status, int) else FINE)


def _explained(error: BaseException, arguments: list[str]) -> FbkitError | None:
    """The error as it is told to a person; None for one that nobody foresaw."""
    if isinstance(error, FbkitError):
        return error
    if isinstance(error, click.ClickException):
        return ArgumentError(
            error.format_message(),
            got=" ".join(["fbkit", *arguments]),
            allowed="the commands and options that --help lists",
            next_step="see fbkit --help, or --help after the command",
        )
    if isinstance(error, BrokenPipeError):
        sys.stderr.close()
        sys.exit(0)
    if isinstance(error, OSError):
        reason = f"{error.strerror or error}: {Path(str(error.filename)).name[:100]}" if error.filename else str(error)
        return InputError(
            "a file or folder cannot be used",
            got=reason,
            allowed="a file or folder that is there and that you may read",
            next_step="look whether it exists, and who may read it",
        )
    return None


def _interrupted() -> NoReturn:
    click.echo("interrupted", err=True)
    sys.exit(130)


def _fail(error: FbkitError, *, as_json: bool) -> NoReturn:
    click.echo(json.dumps(error.as_json(), ensure_ascii=False) if as_json else f"fbkit: {error}", err=True)
    sys.exit(WRONG)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="fbkit")
def cli() -> None:
    """Why did the metric drop: the model, the labels, both, or undecidable from these logs?"""
