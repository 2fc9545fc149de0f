"""Incidents of regression and ranking loops."""

from typing import Final

from fbkit.samples.config import WorldConfig
from fbkit.samples.faults import (
    CovariateShift,
    FeatureCorruption,
    ImmatureWindow,
    Injection,
    LabelSliceLoss,
    MixShift,
    PredictionLogLoss,
    ServingFallback,
    VersionRegression,
)
from fbkit.samples.ranking import FallbackOrder, RankerRegression, RankingConfig, TasteDrift
from fbkit.samples.regression import CostDrift, RegressionConfig
from fbkit.samples.scenarios.base import Kind, Scenario

BUSINESS: Final = {"customer": "business"}
COSTS: Final[dict[str, tuple[Injection, ...]]] = {
    "healthy": (),
    "concept_drift-mild": (CostDrift(severity=0.06),),
    "concept_drift-severe": (CostDrift(severity=0.2),),
    "concept_drift-noise": (CostDrift(severity=0.3, how="noise"),),
    "version_regression": (VersionRegression(severity=0.3),),
    "covariate_shift": (CovariateShift(severity=0.6, feature="log_amount"),),
    "mix_shift": (MixShift(severity=4.0, where=BUSINESS),),
    "feature_corruption": (FeatureCorruption(severity=0.2, feature="log_amount"),),
    "feature_corruption-rescale": (FeatureCorruption(severity=-0.3, feature="log_amount", how="rescale"),),
    "serving_fallback": (ServingFallback(severity=0.15),),
    "label_slice_loss": (LabelSliceLoss(severity=0.95, where=BUSINESS),),
    "label_slice_loss-dear_region": (LabelSliceLoss(severity=0.95, where={"region": "LATAM"}),),
    "prediction_log_loss": (PredictionLogLoss(severity=0.8, where=BUSINESS),),
    "healthy-immature_window": (ImmatureWindow(severity=12.0),),
    "drift_and_slice_loss": (CostDrift(severity=0.2), LabelSliceLoss(severity=0.95, where=BUSINESS)),
    "drift_behind_slice_loss": (CostDrift(severity=0.06), LabelSliceLoss(severity=1.0, where=BUSINESS)),
}
LISTS: Final[dict[str, tuple[Injection, ...]]] = {
    "healthy": (),
    "concept_drift": (TasteDrift(severity=0.6),),
    "concept_drift-severe": (TasteDrift(severity=1.0),),
    "version_regression": (RankerRegression(severity=4.0),),
    "serving_fallback": (FallbackOrder(severity=0.5),),
    "serving_fallback-silent": (FallbackOrder(severity=0.5, status=False),),
    "mix_shift": (MixShift(severity=4.0, where=BUSINESS),),
    "label_slice_loss": (LabelSliceLoss(severity=0.95, where=BUSINESS),),
    "prediction_log_loss": (PredictionLogLoss(severity=0.8, where=BUSINESS),),
    "drift_and_slice_loss": (TasteDrift(severity=1.0), LabelSliceLoss(severity=0.95, where=BUSINESS)),
}


def tasks() -> list[Scenario]:
    """Every incident of both tasks; of the lists one for each metric."""
    costs = [_scenario(f"costs-{name}", RegressionConfig(), faults, metric="mae") for name, faults in COSTS.items()]
    lists = RankingConfig(per_day=400)
    return [
        *costs,
        *(_scenario(f"lists-{name}", lists, faults, metric="ctr") for name, faults in LISTS.items()),
        *(_scenario(f"lists-{name}-ndcg", lists, faults, metric="ndcg@10") for name, faults in LISTS.items()),
    ]


def _scenario(name: str, config: WorldConfig, faults: tuple[Injection, ...], *, metric: str) -> Scenario:
    causes = {fault.cause for fault in faults}
    kinds: tuple[Kind, ...] = ("no_change", "cause", "compound")
    kind = "masked" if "behind" in name else kinds[0 if "healthy" in name else min(len(causes), 2)]
    return Scenario(name=name, kind=kind, config=config, faults=faults, metric=metric)
