"""The labs: pictures that answer under the hand. One small file each, on one canvas.

roles     what a box can be: one colour and one line style each
canvas    the drawing surface (canvas.js, canvas.css) and its Python side
readout   the numbers beside a picture
picture   the same as a PNG, for readers without a kernel
checks    what labs refuse
decisions what NMS decides, step by step
sheet     several pictures as one
lab       what all labs share: headline, presets, task, numbers

commit classifier iou format loss lambda_ window anchors match nms training threshold audit:
one file for each lab, in the order of the lessons
"""

from detlab.widgets.anchors import AnchorLab
from detlab.widgets.audit import AuditLab
from detlab.widgets.canvas import BoxCanvas
from detlab.widgets.classifier import ClassifierLab
from detlab.widgets.commit import Commit
from detlab.widgets.format import FormatLab
from detlab.widgets.iou import IoULab
from detlab.widgets.lambda_ import LambdaLab, LambdaRun
from detlab.widgets.loss import LossLab
from detlab.widgets.match import MatchLab
from detlab.widgets.nms import NMSLab
from detlab.widgets.threshold import ThresholdLab
from detlab.widgets.training import TrainingView
from detlab.widgets.window import WindowLab

__all__ = [
    "AnchorLab",
    "AuditLab",
    "BoxCanvas",
    "ClassifierLab",
    "Commit",
    "FormatLab",
    "IoULab",
    "LambdaLab",
    "LambdaRun",
    "LossLab",
    "MatchLab",
    "NMSLab",
    "ThresholdLab",
    "TrainingView",
    "WindowLab",
]
