"""Column names seen in the wild, most telling first; compared without case and punctuation."""

PREDICTIONS: dict[str, tuple[str, ...]] = {
    "ts_pred": (
        "tspred", "predictiontime", "predictedat", "predictionts", "predictiontimestamp", "scoredat", "scoretime",
        "requesttime", "eventtime", "timestamp", "createdat", "datetime", "time", "ts", "date",
    ),
    "score": (
        "score", "probability", "proba", "prob", "predictedprobability", "predproba", "yscore", "yprob", "riskscore",
        "modelscore", "fraudscore", "prediction", "pred", "yhat", "p",
    ),
    "threshold": ("threshold", "cutoff", "cut"),
    "decision": ("decision", "flagged", "isflagged", "predictedlabel", "predictedclass", "ypred", "blocked"),
    "model_version": ("modelversion", "version", "modelid", "model"),
    "entity_id": (
        "entityid", "userid", "customerid", "accountid", "clientid", "memberid", "deviceid", "user", "customer",
    ),
}  # fmt: skip
OUTCOMES: dict[str, tuple[str, ...]] = {
    "label": (
        "label", "ytrue", "y", "target", "outcome", "actual", "groundtruth", "truth", "isfraud", "fraud",
        "ischargeback", "converted", "clicked", "churned", "defaulted", "class",
    ),
    "ts_event": (
        "tsevent", "eventtime", "eventts", "occurredat", "happenedat", "outcometime", "labeltime", "eventtimestamp",
        "timestamp", "datetime", "time", "ts", "date", "createdat",
    ),
    "ts_arrival": (
        "tsarrival", "arrivaltime", "arrivedat", "tsingest", "ingestedat", "ingesttime", "ingestiontime", "receivedat",
        "loadedat", "reportedat", "recordedat", "labeledat", "labelledat", "updatedat",
    ),
    "source": ("source", "labelsource"),
    "label_version": ("labelversion", "labeldefversion"),
}  # fmt: skip
IDS = (
    "predictionid", "predid", "scoreid", "transactionid", "txnid", "paymentid", "requestid", "eventid", "orderid",
    "caseid", "applicationid", "loanid", "flightid", "uuid", "id", "key",
)  # fmt: skip
ACTIONS: dict[str, tuple[str, ...]] = {
    "action": ("action", "actiontaken", "decision", "treatment", "intervention", "response"),
    "propensity": ("propensity", "propensityscore", "actionprob", "actionprobability", "probability", "prob"),
    "policy_id": ("policyid", "policy", "policyversion"),
    "ts_action": ("tsaction", "actiontime", "actedat", "actionts", "timestamp", "datetime", "time", "ts", "createdat"),
    "explored": ("explored", "explore", "exploration", "israndom", "randomized", "randomised"),
}  # fmt: skip
# Actions after which nobody can see what would have happened.
BLOCKING = ("block", "blocked", "decline", "declined", "deny", "denied", "reject", "rejected", "refuse", "refused")
