"""Where the files of version 0.1.0 are now, so that what a learner wrote then still runs.

Texts are translated, not modules kept: nothing of the old layout is left in the package.
"""

import re
from collections.abc import Mapping
from pathlib import Path

PACKAGE = Path(__file__).parents[1]

MOVED = {
    **{name: f"detector.{name}" for name in ("anchors", "backbone", "checkpoint", "losses")},
    **{name: f"detector.{name}" for name in ("matching", "model", "postprocess", "suppression")},
    **{"tiling": "detector.tiling", "devices": "hardware", "processes": "hardware"},
    **{"evaluate": "metrics.average_precision", "coco": "metrics.coco"},
    **{"errors": "metrics.error_kinds", "calibration": "metrics.calibration"},
    **{"baselines": "metrics.baselines", "inference": "cli.detect_files"},
    **{"creatures": "reef.creatures", "seascape": "reef.seascape", "reef": "reef.scene"},
    **{name: f"data.{name}" for name in ("records", "pictures", "folders")},
    **{name: f"data.{name}" for name in ("archives", "corrections", "download", "transforms")},
    **{"data": "data.datasets", "defects": "data.check"},
    **{"draw": "draw.figures", "roles": "draw.roles"},
    **{"audit": "audit.findings", "twins": "audit.twins", "audit_sheet": "audit.sheet"},
    **{"faults": "audit.known_faults", "spoiled": "audit.planted_faults"},
    **{"batches": "training.batches", "train": "training.loop", "fitting": "training.anchor_fit"},
    **{"run": "training.run", "run_folder": "training.run_folder"},
    **{name: f"course.{name}" for name in ("advice", "exercises", "progress", "restore")},
    **{"server": "course.server", "status": "course.status", "course": "course.lessons"},
    **{"lesson": "course.notebook", "single": "course.single_object"},
    **{"parts": "course.your_parts", "rebuild": "course.stored_answers"},
    **{"doctor": "cli.doctor", "printout": "cli.printout", "cli": "cli.commands"},
}
"""Modules of 0.1.0, and where their names are now, both below detlab."""

LEFT: Mapping[str, tuple[str, str]] = {
    "checks": ("types", "check_boxes check_target"),
    "detector.config": ("model", "DetectorConfig ConfigName named_config scaled"),
    "detector.backbone": ("model", "Normalise IMAGENET_MEAN IMAGENET_STD"),
    "detector.head": ("model", "PRIOR SILENT Branch Head start_quiet"),
    "detector.box_losses": (
        "losses",
        "l1_loss squared_loss smooth_l1_loss iou_loss giou_loss "
        "l1_box_loss smooth_l1_box_loss giou_box_loss",
    ),
    "data.coco_format": ("formats", "read_coco coco_annotations"),
    "data.voc_format": ("formats", "read_voc voc_annotations"),
    "data.yolo_format": ("formats", "read_yolo"),
    "audit.kinds": ("audit", "Finding FEWEST COMMON"),
    "audit.odd_boxes": (
        "audit",
        "DOUBLE OUTLIER FACTOR double_boxes size_outliers robust_scores",
    ),
    "audit.missing_labels": ("audit", "missing_classes"),
    "audit.crowds": ("audit", "iou_in_class lost_to_nms"),
    "audit.twins": ("audit", "twins_of"),
    "audit.thumbnails": ("twins", "ROWS BLUR thumbnail"),
    "training.config": ("train", "TrainConfig DEFAULT_SECONDS"),
    "training.optimizers": ("train", "parameter_groups set_learning_rate"),
    "training.anchor_fit": ("anchors", "shape_iou refit_shapes fit_shapes"),
}
"""Files of today with names that stood in another one than the rest of theirs."""
RENAMED = {
    ("inference", "judge"): "metrics.evaluation.evaluate",
    ("coco", "evaluate"): "metrics.evaluation.evaluate_images",
    ("errors", "mend"): "metrics.error_kinds.fix_errors",
    ("errors", "Judgement"): "metrics.error_kinds.ErrorKinds",
    ("single", "judge_single"): "course.single_object.evaluate_single",
    ("audit", "crowded_share"): "audit.crowds.crowded_fraction",
    ("faults", "Fault"): "audit.known_faults.KnownFault",
    ("spoiled", "write_spoiled_reef"): "audit.planted_faults.write_faulty_reef",
}
ELSEWHERE = {
    **{
        (then, name): f"{now}.{name}"
        for now, (then, names) in LEFT.items()
        for name in names.split()
    },
    **RENAMED,
}
"""Single names that are now in another file than the rest of theirs, or are called otherwise."""


LISTED = r"\((?:#[^\n]*|[^)#])*\)|(?:\\\n|[^\n;#])+(?<! )"
"""The names of an import: within parentheses, with comments among them, or up to the line's end."""
IMPORT = re.compile(rf"from detlab(?:\.(\w+))? import ({LISTED})")
NO_NAMES = re.compile(r"#.*|[()\\]")
"""What stands between them: comments, parentheses, the sign that a line goes on."""
DOTTED = re.compile(r"\bdetlab\.(\w+)(?:\.(\w+))?")
BARE = re.compile("|".join(rf"(?<![\w.])({module})\.({name})\b" for module, name in ELSEWHERE))


def translate(source: str) -> str:
    """The same text with the imports of today.

    >>> translate("from detlab.train import fit; from detlab.anchors import anchor_grid")
    'from detlab.training.loop import fit; from detlab.detector.anchors import anchor_grid'
    >>> translate("from detlab import losses, lesson")
    'from detlab.detector import losses; from detlab.course import notebook as lesson'
    >>> translate("import detlab.boxes, detlab.anchors")
    'import detlab.boxes, detlab.detector.anchors'
    """
    pieces, end = [], 0
    for found in IMPORT.finditer(source):  # imports one way, all between them the other
        pieces += [DOTTED.sub(dotted_now, source[end : found.start()]), import_now(found)]
        end = found.end()
    return BARE.sub(bare_now, "".join([*pieces, DOTTED.sub(dotted_now, source[end:])]))


def import_now(found: re.Match[str]) -> str:
    """One `from detlab… import …`, as one such statement or several on one line."""
    module, listed = found[1], NO_NAMES.sub("", found[2]).strip().rstrip(",")
    statements: dict[str, list[str]] = {}
    for item in listed.split(","):
        name, _, alias = (part.strip() for part in item.strip().partition(" as "))
        home, _, now = place_now(module, name).rpartition(".")
        alias = alias or name
        statements.setdefault(home, []).append(now if now == alias else f"{now} as {alias}")
    return "; ".join(f"from {home} import {', '.join(names)}" for home, names in statements.items())


def place_now(module: str | None, name: str) -> str:
    """The full name of what `from detlab.MODULE import NAME` brought.

    >>> place_now("train", "fit"), place_now(None, "reef"), place_now("losses", "l1_loss")
    ('detlab.training.loop.fit', 'detlab.reef', 'detlab.detector.box_losses.l1_loss')
    """
    if module is None:  # the reef's folder offers what its file did
        return "detlab.reef" if name == "reef" else f"detlab.{MOVED.get(name, name)}"
    if is_a_file(module, name):  # so it is written for today's layout
        return f"detlab.{module}.{name}"
    return f"detlab.{ELSEWHERE.get((module, name), f'{MOVED.get(module, module)}.{name}')}"


def is_a_file(folder: str, name: str) -> bool:
    """Whether detlab has a file or folder of this name in that folder.

    >>> is_a_file("detector", "anchors"), is_a_file("course", "exercises")
    (True, True)
    """
    place = PACKAGE / folder / name
    return place.is_dir() or place.with_suffix(".py").is_file()


def dotted_now(found: re.Match[str]) -> str:
    """A name written out, as `detlab.anchors.fit_shapes`."""
    module, name = found[1], found[2]
    return place_now(module, name) if name else place_now(None, module)


def bare_now(found: re.Match[str]) -> str:
    """A name of a module at hand, as `anchors.fit_shapes`, where it has left that module."""
    module, name = filter(None, found.groups())
    return ".".join(ELSEWHERE[module, name].split(".")[-2:])
