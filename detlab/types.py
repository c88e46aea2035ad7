"""Names for what travels between the parts: targets in, predictions out, detections at the end.

The lists of dicts are torchvision's: one dict per image, labels from 1, 0 is background.
"""

from typing import Literal, NamedTuple, NotRequired, TypedDict

from jaxtyping import Float, Int64
from torch import Tensor

Activation = Literal["sigmoid", "softmax"]


class Target(TypedDict):
    """What is really in one image.

    What need not be there is for evaluation, see `coco.coco_metrics`; training drops it.
    """

    boxes: Float[Tensor, "M 4"]
    """x1 y1 x2 y2 in pixels of the image, continuous, see `boxes`."""
    labels: Int64[Tensor, " M"]
    """1 to K − 1; 0 is background."""
    areas: NotRequired[Float[Tensor, " M"]]
    """Square pixels that each object itself covers, nan where nobody says: then its box's area."""
    ignored_boxes: NotRequired[Float[Tensor, "R 4"]]
    """Regions in which a detection of their class is neither right nor wrong, as in a crowd."""
    ignored_labels: NotRequired[Int64[Tensor, " R"]]
    """As labels; one for each of ignored_boxes."""


class Detection(TypedDict):
    """What the detector says is in one image, best score first."""

    boxes: Float[Tensor, "N 4"]
    """As in a Target."""
    labels: Int64[Tensor, " N"]
    scores: Float[Tensor, " N"]
    """0 to 1."""


class Predictions(NamedTuple):
    """Everything the network says about a batch, and all that is needed to read it."""

    logits: Float[Tensor, "B A K"]
    """A score per anchor and class, before sigmoid or softmax; class 0 is background."""
    deltas: Float[Tensor, "B A 4"]
    """How to move and stretch each anchor, see `anchors.encode_boxes`."""
    anchors: Float[Tensor, "A 4"]
    """x1 y1 x2 y2 in pixels of the batch's images."""
    activation: Activation = "sigmoid"
    """How logits become scores: one yes or no per class, or one choice among all."""
    delta_weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    """What the deltas of x, y, width and height were multiplied by."""
