"""L7: the face of the house: what a user opens, joins, asks and holds."""

from fbkit.session.diagnosis import Diagnosis, triage
from fbkit.session.joined import Joined, Receipt
from fbkit.session.loop import Loop
from fbkit.session.opening import open_loop, with_paths

__all__ = ["Diagnosis", "Joined", "Loop", "Receipt", "open_loop", "triage", "with_paths"]
