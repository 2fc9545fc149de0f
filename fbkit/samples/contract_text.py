"""The contract of a simulated loop."""

from collections.abc import Collection
from datetime import datetime
from typing import Final

from fbkit.samples.config import WorldConfig

TEMPLATE: Final = """\
format = 1

[model]
name = "payment-fraud"
task = "binary"
purpose = "Stop fraudulent card payments before authorisation."
owners = ["payments-ml"]
business_metric = "net fraud loss avoided per 1000 payments"

[predictions]
path = "predictions/*.parquet"
timezone = "UTC"
score_kind = "probability"

[outcomes]
path = "outcomes/*.parquet"
timezone = "UTC"
complete_through = "{as_of:%Y-%m-%dT%H:%M:%SZ}"

{actions}{fallback}[label]
name = "fraud"
version = "1"
window = "{window}"
grace = "0d"
silence = "{silence}"
sources = ["review", "auto"]

[decision]
threshold = {threshold}

[slices]
columns = ["region", "device", "customer"]
critical = [{{ region = "EU" }}, {{ customer = "new" }}]
minimum = 20

{features}[metrics]
primary = "recall"
report = ["recall", "precision", "roc_auc", "brier"]
level = 0.95

[slo]
{promise}

[[alerts]]
name = "recall down"
metric = "recall"
condition = "drop"
by = "10%"
baseline = "reference"
every = "1d"
lasting = "2d"
slices = "all"

{alert}{changes}[value]
true_positive = 120.0
false_positive = -8.0
false_negative = -120.0
currency = "USD"
"""


ALERT: Final = """\
[[alerts]]
name = "labels missing"
metric = "availability"
condition = "below"
level = 0.85
every = "1d"
lasting = "1d"
slices = "all"

"""

ACTIONS: Final = """\
[actions]
path = "actions/*.parquet"
timezone = "UTC"
blocked = ["block"]

"""

FALLBACK: Final = """\
[join.fallback]
entity = ["entity_id"]
rule = "unique"

"""
CHANGES: Final = '[changes]\npath = "changes.csv"\n\n'


def contract_text(config: WorldConfig, *, threshold: float, as_of: datetime, without: Collection[str] = ()) -> str:
    """contract.toml of a loop simulated from `config` and evaluated at `as_of`.

    `without` names what the logs lack: `actions`, `features`, `ids`, `changes`; the contract then does not speak of it.
    """
    listed = ", ".join(f'"{name}"' for name in config.features)
    window, silent = f"{config.window_days}d", config.silence == "negative"
    promise = "feed_completeness" if silent else "label_availability"
    return TEMPLATE.format(
        as_of=as_of,
        window=window,
        threshold=f"{threshold:.{config.decimals}f}",
        silence=config.silence,
        features="" if "features" in without else f"[features]\ncolumns = [{listed}]\n\n",
        promise=f'{promise} = {{ at = "{window}", minimum = {0.90 if silent else 0.92:.2f} }}',
        alert="" if silent else ALERT,
        actions=ACTIONS if config.actions and "actions" not in without else "",
        fallback=FALLBACK if "ids" in without else "",
        changes=CHANGES if config.change_log and "changes" not in without else "",
    )
