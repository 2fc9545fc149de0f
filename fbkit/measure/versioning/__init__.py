"""How rows of two versions are paired and held against guardrails."""
