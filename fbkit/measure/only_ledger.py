"""What only a ledger can be asked for, and what only rows can."""

from fbkit.errors import ArgumentError


def not_of_rows(**given: object) -> None:
    """Refuse arguments that belong to ledgers when a joined table was given."""
    for name, value in given.items():
        if value is not None:
            instead = "loop.join(as_of=...)" if name == "as_of" else "fb.threshold_curve(joined)"
            raise ArgumentError(
                f"{name} is for ledgers; a joined table has its own",
                got=f"{name}={value}",
                allowed="a ledger first: joined.ledger()",
                next_step=f"use {instead}, or ask joined.ledger()",
            )


def not_of_ledgers(**given: object) -> None:
    """Refuse arguments that need rows when a ledger was given."""
    for name, value in given.items():
        if value is not None:
            raise ArgumentError(
                f"{name} needs the rows",
                got=f"a ledger and {name}",
                allowed="a joined table first",
                next_step="use what loop.join() returns",
            )
