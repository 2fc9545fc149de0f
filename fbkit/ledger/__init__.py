"""L3: one pass over joined rows to additive counts."""
