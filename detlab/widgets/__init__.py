"""The labs: pictures that answer under the hand. One small file each, on one canvas.

roles     what a box can be: one colour and one line style each
canvas    the drawing surface (canvas.js, canvas.css) and its Python side
readout   the numbers beside a picture
picture   the same as a PNG, for readers without a kernel
lab       what all labs share: headline, presets, task, numbers

iou, format, commit   and one file for each further lab
"""

from detlab.widgets.canvas import BoxCanvas
from detlab.widgets.commit import Commit
from detlab.widgets.format import FormatLab
from detlab.widgets.iou import IoULab

__all__ = ["BoxCanvas", "Commit", "FormatLab", "IoULab"]
