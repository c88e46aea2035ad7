"""From an image to boxes, one idea a file, and the course that builds it.

A file uses files above its own line only, so it can be read from here downwards.

    errors.py              what a user can cause: one base class
    types.py               names for what travels: Target, Detection, Predictions
    checks.py              what functions refuse, and in which words
    boxes.py               geometry: formats, area, IoU, GIoU, clip
    images.py              images of any size to one batch
    classify.py            from logits to one label: softmax, cross-entropy, accuracy
    files.py               written whole, or not at all
    locks.py               files that one program at a time may hold
    signals.py             being asked to stop
    hardware.py            devices, precision, and processes that train together

    detector/              what the lessons build: image to loss, image to boxes
        anchors.py             a grid of guesses; boxes to deltas and back
        matching.py            which anchor answers for which object
        box_losses.py          how far boxes are off: L1, Smooth L1, IoU, GIoU
        losses.py              class loss + lambda * box loss
        backbone.py            image to feature maps
        config.py              what a detector is made of
        head.py                feature maps to classes and deltas
        model.py               backbone + head + anchors = Detector
        fusion.py              a copy that only detects, faster
        suppression.py         one box per object: NMS, per class, Soft-NMS
        padding.py             padding is not picture: what seems to stand in it is left out
        postprocess.py         predictions to detections: decode, threshold, suppress
        tiling.py              small objects in large images: tile after tile
        checkpoint.py          weights, settings and class names in one file

    metrics/               is it any good?
        average_precision.py   TP, FP, FN; precision, recall, average precision
        ignored.py             what lies in a crowd is neither right nor wrong
        coco.py                COCO's twelve numbers, for all classes and thresholds at once
        evaluation.py          a detector on a data set: mAP, and images per second
        error_kinds.py         kinds of error, and what each of them costs
        calibration.py         whether a score means what it says
        baselines.py           detectors that never look, to stand beside

    reef/                  the drawn world: pictures with boxes and masks, as many as you like
        creatures.py           the animals, as outlines
        seascape.py            water, light, sand, rock and plants around them
        scene.py               one scene, or a data set of them, from a seed
        frozen.py              the evaluation set, kept as files

    data/                  a folder or a name becomes pictures with targets
        records.py             what a folder says of its pictures, and the faults met on the way
        pictures.py            picture files to tensors
        tree.py                every file of a folder, looked at once
        splits.py              which split a picture belongs to
        layout.py              how a folder is understood
        coco_format.py         COCO's JSON to records
        coco_layout.py         a COCO file for each split, and its pictures
        voc_format.py          Pascal VOC's XML to records
        labelme_format.py      labelme's JSON to records
        voc_layout.py          an annotation file for each picture: VOC and labelme
        yolo_names.py          YOLO's classes, and where its .yaml says that the splits lie
        yolo_format.py         YOLO's text to records
        yolo_layout.py         YOLO's splits, and the label files of its pictures
        foreign.py             formats that are not read, by name and with the cure
        folders.py             which format a folder has, and its splits
        check.py               what is wrong with a folder, fault by fault
        archives.py            downloads that go on where they stopped; safe unpacking
        download.py            public sets by name, checked as they come
        corrections/           a public set with its known faults fixed
        datasets.py            pictures with targets, ready to train on
        transforms.py          a picture seen anew at every visit
        writers.py             records to the files of COCO, Pascal VOC and YOLO
        convert.py             a set in one format becomes a folder in another
        symmetry.py            whether objects may be mirrored or turned upside down
        statistics.py          what a set is like, in a few numbers

    draw/                  boxes on figures
        roles.py               one colour and one line style for each kind of box
        figures.py             pictures, grids and curves on matplotlib axes

    audit/                 labels that deserve a second look
        kinds.py               a finding, and its kinds in the order in which they matter
        distinct.py            the different rows of a table, counted
        thumbnails.py          small pictures without what a camera always shows
        candidates.py          which pictures may show one scene, without comparing all with all
        twins.py               pictures of the same scene
        crowds.py              how boxes of a class overlap
        odd_boxes.py           boxes drawn twice, of odd size, or that never move
        missing_labels.py      pictures that look as if boxes were forgotten
        classes.py             classes that are rare, unused, misspelt or missing from a split
        findings.py            all that an audit suspects
        page.py                what it found, as a page of text and as a table
        sheet.py               what it found, drawn
        known_faults.py        what is known to be wrong with a set, to evaluate an audit
        planted_faults.py      a drawn set with the faults of real ones, planted and listed

    training/              how a detector learns
        anchor_fit.py          anchors that suit a data set
        recipe.py              how to learn a set, chosen by what is in it
        batches.py             the order in which it sees its pictures
        config.py              how long and how fast it learns
        muon.py                an optimizer that moves a weight equally far in all directions
        optimizers.py          which optimizer moves which weights, how fast
        loop.py                one step, one run, on one processor or many
        run_folder.py          settings, numbers, and where an interrupted run goes on
        run.py                 one training run, from the data to its folder

    course/                a learner's way
        lessons.py             the lessons in their order
        single_object.py       the network of the first lessons: one picture, one object
        progress.py            what was answered, solved and finished
        exercises/             what a learner writes, and the mistakes that are known
        status.py              how far a learner is, lesson by lesson
        restore.py             a lesson as it was shipped
        moved.py               where the files of earlier versions are now
        stored_answers.py      a learner's function outside its lesson
        your_parts.py          what a learner built, put into the real detector
        records.py             what takes longer than a lesson may, measured once
        own_cells.py           a learner's own cells beside those of a newer lesson
        update.py              the lessons of this version, and what a learner wrote in earlier ones
        clone.py               a clone brought to the newest version by git
        server.py              JupyterLab's server, which sends at once
        advice.py              what to run when a cell fails because of others
        notebook.py            what notebooks need beside the package

    widgets/               boxes to drag, thresholds to slide

    cli/                   all of it from the command line
        printout.py            numbers and tables
        data_check.py          how a set is understood, its faults, and what deserves a look
        doctor.py              what this machine has and lacks
        detect_files.py        picture files to detections, drawn and as JSON
        commands.py            what you type after `detlab`
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from detlab.data.datasets import load_dataset as load_dataset
    from detlab.detector.checkpoint import load_checkpoint as load_checkpoint
    from detlab.detector.checkpoint import save_checkpoint as save_checkpoint
    from detlab.detector.config import DetectorConfig as DetectorConfig
    from detlab.detector.losses import detection_loss as detection_loss
    from detlab.detector.model import Detector as Detector
    from detlab.detector.model import build_detector as build_detector
    from detlab.detector.postprocess import detect as detect
    from detlab.errors import DetlabError as DetlabError
    from detlab.metrics.evaluation import evaluate as evaluate
    from detlab.training.config import TrainConfig as TrainConfig
    from detlab.training.loop import fit as fit

    __version__: str

FRONT_DOOR = {
    "Detector": "detector.model",
    "DetectorConfig": "detector.config",
    "build_detector": "detector.model",
    "load_checkpoint": "detector.checkpoint",
    "save_checkpoint": "detector.checkpoint",
    "detect": "detector.postprocess",
    "detection_loss": "detector.losses",
    "TrainConfig": "training.config",
    "fit": "training.loop",
    "load_dataset": "data.datasets",
    "evaluate": "metrics.evaluation",
    "DetlabError": "errors",
}
"""What `import detlab` offers, and the file that it is loaded from when it is first used."""

__all__ = [*FRONT_DOOR, "__version__"]


def __getattr__(name: str) -> Any:
    """Load a name of the front door when it is first used: `import detlab` alone loads nothing."""
    if name == "__version__":
        from importlib.metadata import version

        return version("detlab")
    if name not in FRONT_DOOR:
        raise AttributeError(f"module 'detlab' has no attribute {name!r}")
    value = getattr(import_module(f"detlab.{FRONT_DOOR[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """What is offered after `detlab.` and Tab."""
    return sorted(__all__)
