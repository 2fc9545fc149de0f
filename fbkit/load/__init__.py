"""L1: files and frames become logs that satisfy their schema, with every refused row kept and counted."""
