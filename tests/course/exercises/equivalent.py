"""Changes that change nothing a case could show, with the reason: by exercise, then by change."""

EQUIVALENT = {
    "match_detections": {
        "iou[:, best_object] = -1 -> iou[:, best_object] = -2": "any IoU below 0 is out of reach",
        "for row in scores.argsort(descending=True, stable=True): -> "
        "for row in scores.argsort(descending=True, stable=False):": "torch sorts so few numbers "
        "stably either way",
    },
    "precision_recall": {
        "best_first = scores.argsort(descending=True, stable=True) -> "
        "best_first = scores.argsort(descending=True, stable=False)": "torch sorts so few numbers "
        "stably either way",
    },
    "average_precision": {
        "beyond_the_end = best_from_here.new_zeros(1) -> "
        "beyond_the_end = best_from_here.new_zeros(2)": "nobody looks up the second zero",
    },
    "match_anchors": {
        "if not 0 <= negative_iou <= positive_iou <= 1: -> "
        "if not 0 <= negative_iou <= positive_iou <= 2:": "no right call has an IoU above 1",
        "portions = anchors.split(max(1, AT_ONCE // len(gt_boxes))) -> "
        "portions = anchors.split(max(2, AT_ONCE // len(gt_boxes)))": "portions of any size give "
        "the same overlaps",
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
    "to_detection": {
        "order = best_score.argsort(descending=True, stable=True) -> "
        "order = best_score.argsort(descending=True, stable=False)": "torch sorts so few numbers "
        "stably either way",
    },
    "collate": {
        "images, targets = zip(*batch, strict=True) -> "
        "images, targets = zip(*batch, strict=False)": "every item is a pair, so there is "
        "nothing to be strict about",
    },
    "smooth_l1_loss": {
        "return torch.where(distance < beta, distance ** 2 / (2 * beta), distance - beta / 2) -> "
        "return torch.where(distance <= beta, distance ** 2 / (2 * beta), distance - beta / 2)": (
            "at a distance of beta both pieces give beta / 2: there they meet"
        ),
    },
}
