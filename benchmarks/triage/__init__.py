"""The benchmark of verdicts: incidents of known truth, scored by the JSON of a diagnosis."""
