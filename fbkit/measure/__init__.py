"""L4: pure functions from joined rows (or a ledger) to small result frames."""
