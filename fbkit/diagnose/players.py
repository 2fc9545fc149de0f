"""What is said of each cause that a replay opens, and what a broken feature does to the reference's values."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from fbkit.diagnose import words
from fbkit.diagnose.bootstrap import Floats, Ints
from fbkit.diagnose.corruption import Finding, Follow
from fbkit.diagnose.features import Feature, Move
from fbkit.diagnose.player import CORRUPTION, COVARIATE, MIX, THRESHOLD, VERSION, Numbers, Player
from fbkit.diagnose.rescore import Fit
from fbkit.diagnose.rows import CURRENT, REFERENCE, WINDOWS
from fbkit.diagnose.rule import Decided
from fbkit.diagnose.scene import Scene
from fbkit.diagnose.selection import Test
from fbkit.diagnose.version import VersionContrast

Groups = list[tuple[Floats, Mapping[str, Floats]]]
MOST_GROUPS = 3
TOGETHER = 0.7
"""Nulls of two features are one break if this share of the rarer ones coincides."""


def groups(broken: Sequence[Finding], features: Sequence[Feature], index: Ints) -> Groups:
    """Share of each stand-in that is hit, and the values it is served then; breaks of the same rows are one group."""
    by_name = {feature.name: feature for feature in features}
    made: list[tuple[Finding, Floats, dict[str, Floats]]] = []
    for finding in sorted(broken, key=lambda one: -one.share * one.scope.days):
        feature = by_name[finding.name]
        changed = feature.values[index] if finding.change is None else finding.change(feature.values[index])
        partner = next((one for one in made if _same_rows(one[0], finding, by_name)), None)
        if partner is not None:
            partner[2][finding.name] = changed
        elif len(made) < MOST_GROUPS:
            # A null rate already is a share of all rows in its days; a changed value is that of the hit days.
            made.append((finding, finding.share * finding.scope.of(index), {finding.name: changed}))
    return [(share, changed) for _, share, changed in made]


def _same_rows(one: Finding, other: Finding, features: Mapping[str, Feature]) -> bool:
    if one.kind != other.kind:
        return False
    if one.kind != "nulls":
        return one.scope.where == other.scope.where and min(one.share, other.share) > TOGETHER
    mine = [features[part.name].null & part.scope.current for part in (one, other)]
    return int((mine[0] & mine[1]).sum()) > TOGETHER * min(int(mine[0].sum()), int(mine[1].sum()))


def threshold(scene: Scene, moved: Decided) -> Player:
    """The operating threshold."""
    frame = scene.rows.frame
    medians = [frame["threshold"].filter(scene.rows.of(w)).median() for w in (REFERENCE, CURRENT)]
    numbers: dict[str, tuple[str, float | None]] = {"decisions_moved_share": ("share", moved.share)}
    text = f"{words.percent(moved.share)} of the current rows are decided otherwise than equal scores were before"
    known = [float(m) for m in medians if isinstance(m, int | float)]
    if len(known) == 2:
        text += f"; the median threshold went from {known[0]:.3g} to {known[1]:.3g}"
        numbers |= {f"median_threshold_{name}": ("ratio", value) for name, value in zip(WINDOWS, known, strict=True)}
    return Player(
        cause=THRESHOLD,
        where="the operating threshold",
        evidence=f"{text}. The current rule applied to the reference's rows moves {{move}}.",
        next_evidence="The log of threshold changes; the earlier threshold applied to the current rows.",
        numbers=numbers,
        p_value=moved.p_value,
    )


def mix(scene: Scene, columns: Sequence[str], tests: Sequence[Test]) -> Player:
    """Shares of slices."""
    best = max((abs(float(move)), f"{c}={v}") for c in columns for v, move in _share_moves(scene, c))
    names = ", ".join(columns)
    p = min((test.p for test in tests if test.column in columns), default=None)
    return Player(
        cause=MIX,
        where=best[1],
        evidence=f"The shares of {names} moved; the reference's rows reweighted to the current shares move {{move}}.",
        next_evidence=f"The metric within each value of {names}: if it fell there as well, the mix is not the cause.",
        p_value=p,
    )


def _share_moves(scene: Scene, column: str) -> list[tuple[str, float]]:
    values, code = scene.encoded[column]
    share = [np.bincount(code[scene.rows.of(w)], minlength=len(values)) for w in (REFERENCE, CURRENT)]
    moved = share[1] / share[1].sum() - share[0] / share[0].sum()
    return list(zip(values, [float(x) for x in moved], strict=True))


def scores_moved(scene: Scene, test: Test, follow: Follow | None) -> Player:
    """Other cases, seen by their scores only."""
    mean = [float(scene.rows.score[scene.rows.of(w)].mean()) for w in (REFERENCE, CURRENT)]
    text = (
        f"The scores moved (mean {mean[0]:.3g} to {mean[1]:.3g}); the reference's outcomes at the current scores move "
        "{move}. No logged feature moved further than between windows of the reference."
    )
    followed = follow is not None and follow.decides
    return Player(
        cause=COVARIATE,
        where="the score distribution",
        evidence=text,
        next_evidence="The features as served: if one is broken rather than different, the cause is the pipeline.",
        numbers={f"mean_score_{name}": ("ratio", value) for name, value in zip(WINDOWS, mean, strict=True)},
        p_value=test.p,
        best="established" if followed else "probable",
    )


def served_wrong(scene: Scene, test: Test, follow: Follow) -> Player:
    """The scores moved and the outcomes did not: nobody logged what was served wrong."""
    mean = [float(scene.rows.score[scene.rows.of(w)].mean()) for w in (REFERENCE, CURRENT)]
    text = (
        f"The scores moved (mean {mean[0]:.3g} to {mean[1]:.3g}) and the outcomes did not follow: the share of "
        f"positives moved {follow.ratio:.1f} times as far as the scores say. An input that is not logged may be wrong."
    )
    numbers = {f"mean_score_{name}": ("ratio", value) for name, value in zip(WINDOWS, mean, strict=True)}
    return Player(
        cause=CORRUPTION,
        where="an input that is not logged",
        evidence=text,
        next_evidence="The features as served in both windows.",
        numbers={**numbers, "scores_outcomes_followed": ("ratio", follow.ratio)},
        p_value=test.p,
        best="probable",
    )


def shifted(
    scene: Scene, features: Sequence[Feature], findings: Mapping[str, Finding], moves: Mapping[str, Move]
) -> Player:
    """Other cases, seen by their features; a personal column is counted and not named."""
    personal = set(scene.joined.contract.privacy.personal)
    order = sorted(features, key=lambda f: -abs(moves[f.name].rank))
    told = [f.name for f in order if f.name not in personal][:3]
    names = ", ".join(told) or "a feature"
    first = findings[order[0].name]
    text = f"The cases are different in {names}{_together(first)}"
    return Player(
        cause=COVARIATE,
        where=names,
        evidence=f"{text}; the reference's rows weighted to be like the current ones move {{move}}.",
        next_evidence="The source of the features: if the values are wrong rather than different, it is the pipeline.",
        best=first.best,
        numbers=_follows(first, cause=COVARIATE),
    )


def _together(finding: Finding) -> str:
    parts: list[str] = []
    for name, follow in (("the other features", finding.others), ("the outcomes", finding.outcomes)):
        if follow is not None and follow.decides:
            parts.append(f"{name} moved {follow.ratio:.1f} times as far as their relation to it says")
    return f" ({'; '.join(parts)})" if parts else ""


def _follows(finding: Finding, *, cause: str) -> dict[str, tuple[str, float | None]]:
    pairs = (("others", finding.others), ("outcomes", finding.outcomes))
    return {
        f"{cause}_{name}_followed": ("ratio", follow.ratio)
        for name, follow in pairs
        if follow is not None and follow.decides
    }


def corrupted(
    broken: Sequence[Finding], moves: Mapping[str, Move], told: Fit | None, *, personal: Collection[str]
) -> Player:
    """Features that are served wrong; of a personal column neither name nor value is told."""
    first = broken[0]
    name = "a personal column" if first.name in personal else first.name
    place = f"feature {name}" if name == first.name else name
    more = f" and {len(broken) - 1} more" if len(broken) > 1 else ""
    numbers: dict[str, tuple[str, float | None]] = {"features_broken": ("count", float(len(broken)))}
    text, own = _how(first, moves[first.name], name=name)
    numbers |= {**own, **_follows(first, cause=CORRUPTION)}
    text += _together(first)
    if told is not None:
        by = "the model" if told.by == "model" else "a surrogate of it"
        text += f". The reference's rows with the broken values, re-scored by {by} (R2 {told.r2:.2f}), move {{move}}."
        numbers["corruption_r2"] = ("ratio", told.r2)
    else:
        text += ". What that does to the score could not be replayed; it moves {move}."
    where = f"{place}{more}" + (f", {first.scope.where}" if first.scope.where else "")
    sure = all(one.best == "established" for one in broken)
    return Player(
        cause=CORRUPTION,
        where=where,
        evidence=text,
        next_evidence=f"The source of {name} beside the value as served, for the same predictions.",
        best="established" if sure else "probable",
        numbers=numbers,
    )


def _how(finding: Finding, move: Move, *, name: str) -> tuple[str, Numbers]:
    line = finding.line
    if name != finding.name and finding.kind != "nulls":
        return f"The values of {name} are wrong", {}
    if finding.kind == "nulls":
        rates = {f"null_rate_{w}": ("share", rate) for w, rate in zip(WINDOWS, move.null, strict=True)}
        return f"Nulls of {name} went from {words.percent(move.null[0])} to {words.percent(move.null[1])}", rates
    if finding.kind == "default":
        said = f"{words.percent(finding.share)} more rows than before have {name} = {finding.value:.4g}"
        return said, {"default_share": ("share", finding.share), "default_value": ("ratio", finding.value)}
    part = finding.mixture
    if part is not None:
        share, times = words.percent(part.share), part.kind == "rescale"
        how = f"at {part.factor:.3g} times its values" if times else f"{part.addend:+.3g} off its values"
        own = {"feature_factor": ("ratio", part.factor)} if times else {"feature_addend": ("ratio", part.addend)}
        return f"{name} is served {how} in {share} of the rows", {"feature_broken_share": ("share", part.share), **own}
    if finding.kind == "rescale" and line is not None:
        return f"{name} is served at {line.factor:.3g} times its values", {"feature_factor": ("ratio", line.factor)}
    if finding.kind == "shift" and line is not None:
        return f"{name} is served {line.addend:+.3g} off its values", {"feature_addend": ("ratio", line.addend)}
    if finding.kind == "impossible values":
        said = f"{words.percent(finding.share)} of the rows have values of {name} far outside the reference's range"
        return said, {"impossible_share": ("share", finding.share)}
    return f"The values of {name} changed", {}


def rescored(found: VersionContrast, told: Fit) -> Player:
    """A new version, by its scores of the same rows."""
    by = "The model" if told.by == "model" else "A surrogate of the model"
    text = (
        f"{words.percent(found.share)} of the current rows ran on version {', '.join(found.names)}. {by} (R2 "
        f"{told.r2:.3f}) scores the reference's rows as that version would; that moves {{move}}."
    )
    return Player(
        cause=VERSION,
        where=f"model_version={', '.join(found.names)}",
        evidence=text,
        next_evidence="The same rows scored by both versions.",
        numbers={"version_share_current": ("share", found.share), "version_r2": ("ratio", told.r2)},
    )


def contrasted(found: VersionContrast) -> Player:
    """A new version beside the known ones in the current window."""
    text = (
        f"{words.percent(found.share)} of the current rows ran on version {', '.join(found.names)}; beside the known "
        f"versions, in the same days and at the same mix, it moves {{move}}."
    )
    return Player(
        cause=VERSION,
        where=f"model_version={', '.join(found.names)}",
        evidence=text,
        next_evidence="The same rows scored by both versions.",
        numbers={"version_share_current": ("share", found.share)},
    )
