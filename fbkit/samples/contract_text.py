"""The contract of a simulated loop."""

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

[label]
name = "fraud"
version = "1"
window = "{window}"
grace = "0d"
silence = "missing"
sources = ["review", "auto"]

[decision]
threshold = {threshold:.4f}

[slices]
columns = ["region", "device", "customer"]
critical = [{{ region = "EU" }}, {{ customer = "new" }}]
minimum = 20

[features]
columns = [{features}]

[metrics]
primary = "recall"
report = ["recall", "precision", "roc_auc", "brier"]
level = 0.95

[slo]
label_availability = {{ at = "{window}", minimum = 0.92 }}

[[alerts]]
name = "recall down"
metric = "recall"
condition = "drop"
by = "10%"
baseline = "reference"
every = "1d"
lasting = "2d"
slices = "all"

[[alerts]]
name = "labels missing"
metric = "availability"
condition = "below"
level = 0.85
every = "1d"
lasting = "1d"
slices = "all"

{changes}[value]
true_positive = 120.0
false_positive = -8.0
false_negative = -120.0
currency = "USD"
"""


def contract_text(config: WorldConfig, *, threshold: float) -> str:
    """contract.toml of a loop simulated from `config`."""
    return TEMPLATE.format(
        as_of=config.as_of,
        window=f"{config.window_days}d",
        threshold=threshold,
        features=", ".join(f'"{name}"' for name in config.features),
        changes='[changes]\npath = "changes.csv"\n\n' if config.change_log else "",
    )
