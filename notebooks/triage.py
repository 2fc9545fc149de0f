# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: tags,-all
#     formats: ipynb,py:percent
#     notebook_metadata_filter: kernelspec,jupytext,-language_info
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The metric fell. Is it the model, the labels, or both?
#
# Somebody woke you up because of a number. This notebook goes from the two logs behind that number to a verdict, the
# evidence for it, what would overturn it, and the document you leave behind. Run it from top to bottom (Run > Run
# All Cells); nothing leaves this machine.
#
# To ask the same of your own model: `fbkit lab PATH_TO_YOUR_LOOP`.

# %%
import fbkit as fb

# %% tags=["parameters", "loop"]
LOOP = fb.samples.path("flights_2013")

# %% [markdown]
# ## What is logged, and can it be trusted?
#
# A loop is a folder: one contract and the logs it names. Before any statistics, nine questions that decide whether a
# verdict from these logs is worth anything. A failed one is not the end, but it belongs in the incident.

# %%
loop = fb.open_loop(LOOP)
loop

# %%
loop.check()

# %% [markdown] tags=["sample"]
# These are real flights out of New York in 2013. One hour before departure a model says whether a flight will arrive
# more than 30 minutes late; the label is known when the flight lands. Cancelled and diverted flights never get a
# label, and those are not just any flights: the model had flagged most of them.

# %% [markdown]
# ## Predictions meet their outcomes
#
# Every prediction is in exactly one state: positive, negative, pending (its window is open), missing (its window
# closed without a word) or censored (an action hid the outcome). Everything that was set aside is counted.

# %%
joined = loop.join()
joined

# %% [markdown]
# The primary metric week by week, on labels that are final, with its interval and with the bounds that hold whatever
# the missing labels are.

# %%
metric = joined.contract.metrics.primary
fb.metrics(joined, [metric], every="1w").select(
    "period_start", "value", "lower", "upper", "bound_lower", "bound_upper", "n", "n_labelled"
)

# %% [markdown]
# ## The verdict
#
# Left alone, triage compares the last seven days whose labels are final with the eight weeks before them.

# %%
weeks = joined.compare()
print(f"current {weeks.current}, reference {weeks.reference}")

# %% [markdown] tags=["sample"]
# The alert was about another week: recall fell from the week of 20 May to the week of 27 May. So say which.

# %% tags=["sample"]
weeks = fb.Comparison(reference="2013-05-20..2013-05-27", current="2013-05-27..2013-06-03")

# %%
diagnosis = fb.triage(joined, weeks)
diagnosis

# %% [markdown] tags=["sample"]
# Recall lost about thirty points, and yet there is nothing to mend in the labels: more of them arrived than the week
# before. What moved is the scores. The reference was a week of storms, when delay announces itself hours ahead; the
# week after had other flights, late for reasons that one hour before departure nobody can see. Given equal scores
# the outcomes are what they were, so neither retraining nor rolling back would bring the thirty points back.

# %% [markdown]
# The same with its evidence to leaf through. The button writes the incident document.

# %%
fb.explore.triage(diagnosis)

# %% [markdown]
# ## Look for yourself
#
# Do not believe the card; move things. All explorers are on one page and follow each other: drag over days in the
# first picture, click a slice, drag the time back and see what was known then. The line on top says which part of the
# loop is in order. Below, drift, thresholds, single predictions and the triage of what you picked open when you ask.

# %%
fb.explore(joined, weeks)

# %% [markdown]
# Each is there by itself, too. Which slices carry the change? The threshold can be moved; every point keeps its
# interval and the range that missing labels leave.

# %%
fb.explore.slices(joined, weeks)

# %% [markdown]
# Did scores or features move, by more than their own sampling noise, and since which day?

# %%
fb.explore.drift(joined, weeks)

# %% [markdown]
# ## Tell the others
#
# Three sentences for the incident channel.

# %%
print(diagnosis.status_line())

# %% [markdown]
# And the document that outlives the night: Markdown, one HTML file that needs no network, a Word file, figures, the
# data behind them, and a manifest with the hash of everything that went in.

# %%
bundle = diagnosis.incident("out/incident")
sorted(path.name for path in bundle.iterdir())

# %% [markdown] tags=["sample"]
# ## The storm week itself, as a negative control
#
# Nearly a quarter of the flights of 23 May were cancelled or diverted, so availability falls. If fewer labels meant
# lower recall, recall would have to fall too.

# %% tags=["sample"]
storm = fb.triage(joined, fb.Comparison(reference="2013-04-29..2013-05-20", current="2013-05-20..2013-05-27"))
storm

# %% [markdown] tags=["sample"]
# It rises, by more than twenty points. The lost labels cost a point or two, which the ladder shows as a rung of its
# own; the rest is the weather that makes late flights easy to see. Availability alone says nothing about recall: what
# counts is whether detected and missed positives lose their labels at the same rate.

# %% [markdown] tags=["sample"]
# ## Three incidents with one headline
#
# Weekly recall down by about 15 percent while label availability falls from 92 % to 70 %: quality, labelling, or
# both? The headline cannot tell. Here are three simulated loops that share it.

# %% tags=["sample"]
loops = {name: fb.open_loop(fb.samples.path(f"recall_drop/{name}")) for name in ("variant_a", "variant_b", "variant_c")}
verdicts = {name: fb.triage(challenge.join()) for name, challenge in loops.items()}
for name, found in verdicts.items():
    print(name, found.status_line(), "", sep="\n")

# %% tags=["sample"]
verdicts["variant_a"]

# %% [markdown] tags=["sample"]
# The truth of the three lies in a file that fbkit never reads. Read it now: what the simulator did to the model, and
# what the verdict said was left once the labels were repaired, in points of recall.

# %% tags=["sample"]
import json

import polars as pl

truth = json.loads((fb.samples.path("recall_drop") / "truth.json").read_text())
pl.DataFrame(
    [
        {
            "loop": name,
            "verdict": found.verdict,
            "truth": truth[name]["verdict"],
            "change of recall found": round(100 * found.true_change.value, 1),
            "from": round(100 * found.true_change.lower, 1),
            "to": round(100 * found.true_change.upper, 1),
            "true change": round(100 * truth[name]["true"]["change"], 1),
        }
        for name, found in verdicts.items()
    ]
)
