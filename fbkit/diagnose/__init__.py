"""L5: why a metric moved. Counts in, plain data out; no charts, no files, no clock but the stopwatch."""
