"""A canary that scores badly is blamed; drift that reaches every version is not."""

import numpy as np
import pytest
from scipy.special import expit, logit

from fbkit.diagnose.triage import triage


def canary(frame):
    """A third of the current rows run on a new version."""
    third = np.arange(frame.height) % 3 == 0
    return np.where(frame["current"].to_numpy() & third, "2", "1")


def flatter_for(which):
    """Scores of these versions separate less than they did."""

    def truth(frame):
        score = np.clip(frame["score"].to_numpy(), 0.001, 0.999)
        hit = np.isin(canary(frame), which) & frame["current"].to_numpy()
        return np.where(hit, expit(0.45 * logit(score)), score)

    return truth


@pytest.mark.parametrize(("which", "cause"), [(["2"], "version_regression"), (["1", "2"], "concept_drift")])
def test_only_what_known_versions_were_spared_is_the_new_ones_doing(by_hand, weeks, which, cause):
    said = triage(by_hand(truth=flatter_for(which), version=canary), weeks, metric="recall", draws=100)
    assert said.top_cause == cause
    part = next(part for part in said.contributions if part.cause == cause)
    assert ("model_version=2" in part.where) is (cause == "version_regression")


def test_a_harmless_canary_is_nobodys_fault(by_hand, weeks):
    said = triage(by_hand(version=canary), weeks, metric="recall", draws=100)
    assert said.verdict == "noise"
