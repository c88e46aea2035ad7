"""Changes that change nothing a case could show, with the reason: by exercise, then by change."""

EQUIVALENT = {
    "match_anchors": {
        "if not 0 <= negative_iou <= positive_iou <= 1: -> "
        "if not 0 <= negative_iou <= positive_iou <= 2:": "no right call has an IoU above 1",
    },
    "nms": {
        "waiting = scores.argsort(descending=True, stable=True) -> "
        "waiting = scores.argsort(descending=True, stable=False)": "torch sorts so few numbers "
        "stably either way",
    },
    "select_candidates": {
        "scores, best = scores[anchor, label].sort(descending=True, stable=True) -> "
        "scores, best = scores[anchor, label].sort(descending=True, stable=False)": "torch sorts "
        "so few numbers stably either way",
    },
}
