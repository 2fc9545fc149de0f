"""The same numbers from a ledger: milliseconds, whatever the number of rows behind it."""
