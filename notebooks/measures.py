# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     notebook_metadata_filter: kernelspec,jupytext,-language_info
#     cell_metadata_filter: tags,-all
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Every number with its truth band
#
# "Recall is 0.46" is not an answer. How sure is that, on how many labels, and what if the missing labels are not like
# the ones that came? This notebook asks every question of that kind once, on real flights out of New York in 2013.
# Run it from top to bottom; nothing leaves this machine.

# %%
import polars as pl

import fbkit as fb

joined = fb.open_loop(fb.samples.path("flights_2013")).join()
weeks = fb.Comparison(reference="2013-05-20..2013-05-27", current="2013-05-27..2013-06-03")

# %% [markdown]
# ## A number, and what it rests on
#
# `lower` and `upper` are chance: another week of the same kind would fall there. The `bound` columns are ignorance: the
# number lies there whatever the missing labels are. `n_labelled` of `n` says how much is known at all.

# %%
week = fb.metrics(joined, ["recall", "precision", "roc_auc", "brier"], period=weeks.current)
week.select("metric", "value", "lower", "upper", "bound_lower", "bound_upper", "n", "n_labelled", "method")

# %% [markdown]
# Between the two extremes stand assumptions. Each is named, and each gives its own answer: labels missing at random
# among rows of the same score and decision, missing positives twice as likely, or no labels at all, only what the
# scores promise. Where the answers agree you need not argue about the assumption.

# %%
bands = fb.truth_bands(joined, "recall", period=weeks.current)
bands.select("assumption", "value", "lower", "upper", "bound_lower", "bound_upper", "band_lower", "band_upper")

# %% [markdown]
# ## Where is it bad?
#
# The largest of many noisy numbers is always large. So a gap between groups comes with what chance alone would show
# (`null_limit`), and groups too thin to say anything are named, not hidden.

# %%
gaps = fb.slice_gaps(joined, "recall", by=["carrier", "origin", "hour_band"], period=weeks.current)
gaps.select("by", "gap", "value", "lower", "upper", "null_limit", "p_adjusted", "low_slice", "high_slice", "thin")

# %% [markdown]
# Which slices carry the drop? All conjunctions of up to three conditions are looked at, every one of them is tested,
# and "no slice stands out" is an answer. `contribution` is in points of recall, `shrunken` what to expect next week.

# %%
found = fb.find_slices(joined, weeks, metric="recall", columns=["carrier", "origin", "hour_band", "dow"], k=5)
found.select("slice", "value", "reference", "contribution", "shrunken", "p_adjusted", "n_tested", "reason")

# %% [markdown]
# ## A measure of your own
#
# What counts for you may be in no library. A Polars expression is a mean over rows, a function of the confusion
# counts is one too; both get intervals, slices, weeks, guardrails and, if they are means, the verdict.

# %%
missed = fb.Metric(name="missed_share", needs="counts", fn=lambda c: c.fn / (c.tp + c.fp + c.fn + c.tn), better="lower")
surprise = fb.Metric(name="surprise", needs="rows", fn=(pl.col("label") - pl.col("score")).abs(), better="lower")
fb.metrics(joined, [missed, surprise], every="1w").select("metric", "period_start", "value", "lower", "upper", "method")

# %% [markdown]
# ## Do scores mean what they say?
#
# Calibration errors are never zero, not even of a perfect model. So beside each stands what a calibrated model of this
# size shows (`null_95`), the value without that part (`debiased`) and a p-value.

# %%
summary = fb.calibration_summary(joined, by="origin", period=weeks.current)
summary.select("origin", "brier", "mcb", "mcb_debiased", "mcb_null_95", "mcb_p_value", "ece", "ece_null_95")

# %% [markdown]
# Would recalibrating help? Fitted on two weeks, judged on a third that the map has not seen. A change whose interval
# holds zero is no reason to deploy anything.

# %%
recalibration = fb.recalibrate(joined, fit="2013-05-06..2013-05-20", judge=weeks.reference)
recalibration.table.select("metric", "before", "after", "change", "change_lower", "change_upper")

# %%
print(recalibration.to_sql("score")[:200], "...")

# %% [markdown]
# And the threshold for four fifths of the delays? What it gave on the rows it was chosen on is too good; `value` is
# what it gives on another week.

# %%
chosen = fb.choose_threshold(joined, fit="2013-05-06..2013-05-20", judge=weeks.reference, target="recall", at_least=0.8)
chosen.select(
    "threshold", "fit_value", "value", "lower", "upper", "value_before", "flags_per_day_before", "flags_per_day"
)

# %% [markdown]
# ## The same numbers without the rows
#
# A ledger holds counts and no row: it can be added to another, saved, sent, and asked as of any earlier day. What was
# recall, as known on the morning of 30 May?

# %%
ledger = joined.ledger()
pl.concat(
    fb.metrics(ledger, "recall", period="2013-05-27..2013-05-29", stage="any", as_of=day).with_columns(
        as_of=pl.lit(day)
    )
    for day in ("2013-05-28", "2013-05-29", "2013-05-30", "2013-06-04")
).select("as_of", "value", "lower", "upper", "bound_lower", "bound_upper", "n", "n_labelled", "stage")

# %% [markdown]
# ## Which question was that?
#
# Every frame carries an `evaluation_id`: the hash of contract, logs, as-of time and question. Equal ids mean equal
# numbers; `fb.open_loop(..., log_evaluations=True)` keeps a log of them beside the contract.

# %%
week.select("metric", "evaluation_id")
