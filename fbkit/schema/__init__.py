"""L0: the nouns. Polars and pydantic only; nothing here computes a statistic."""
