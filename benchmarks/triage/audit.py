"""What a diagnosis says after the audit that it asks for: the simulator answers, and triage runs again."""

from collections.abc import Callable, Mapping
from typing import Any

from fbkit.diagnose.next_labels import next_labels
from fbkit.join.joined import Joined
from fbkit.samples.audit import answered
from fbkit.samples.simulate import Simulation
from fbkit.schema.diagnosis import Diagnosis

BUDGET = 800


def after_audit(
    said: Diagnosis, joined: Joined, simulation: Simulation, ask: Callable[[Simulation], Diagnosis]
) -> Mapping[str, Any] | None:
    """verdict and top_cause once the chosen rows were labelled; None where the engine has no row to audit."""
    chosen = next_labels(joined, said, budget=BUDGET).rows
    if chosen.is_empty():
        return None
    known = answered(simulation, chosen.select("prediction_id", "audit_prob"))
    again = ask(known)
    return {"verdict": again.verdict, "top_cause": again.top_cause, "rows": chosen.height}
