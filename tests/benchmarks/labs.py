"""What bench_widgets.py shows in the notebook's kernel: labs, and matplotlib doing one's work."""

import time
from collections.abc import Callable
from functools import cache, partial
from itertools import islice
from typing import Any

import anywidget
import ipywidgets as widgets
import torch
import traitlets
from IPython.display import display
from matplotlib import pyplot as plt
from torch import Tensor

from detlab.data.transforms import Augmented
from detlab.detector.anchors import pyramid_anchors
from detlab.detector.config import named_config
from detlab.detector.model import build_detector
from detlab.detector.postprocess import detect
from detlab.detector.suppression import nms, separate_classes
from detlab.metrics.coco import coco_metrics
from detlab.reef.scene import CLASS_NAMES, TRAIN_SEED, Reef, Scene, draw_scene
from detlab.training.config import TrainConfig
from detlab.training.loop import fit
from detlab.training.run import augmentation
from detlab.types import Detection
from detlab.widgets import IoULab, MatchLab, NMSLab, TrainingView
from detlab.widgets.canvas import FROM_HAND

SIDE = 512  # pixels of the picture, and of its width on the screen
BOXES = 100


@cache
def reef_scene() -> Scene:
    """Six animals on a picture of 512 px."""
    return draw_scene(
        5, image_size=(SIDE, SIDE), objects=(6, 6), object_size=(0.3, 0.5), empty_fraction=0.0
    )


def candidates(scene: Scene, count: int = BOXES) -> Detection:
    """So many boxes around the objects, the better placed ones with the higher score."""
    generator = torch.Generator().manual_seed(0)
    objects = torch.arange(count) % len(scene.boxes)
    boxes = scene.boxes[objects]
    far = 0.2 * torch.rand(count, 1, generator=generator)
    sides = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    moved = boxes + far * sides * torch.randn(count, 4, generator=generator).clamp(-1.5, 1.5)
    scores = 0.95 - 3 * far[:, 0] + 0.1 * torch.rand(count, generator=generator)
    return Detection(
        boxes=moved.clamp(0, SIDE), labels=scene.labels[objects], scores=scores.clamp(0.02, 1)
    )


# ---------------------------------------------------------------- the least that can be


class RoundTrip(anywidget.AnyWidget):
    """Where the pointer is goes to the kernel, and comes back as text: no lab can be faster."""

    _esm = """
    export default {
      render({ model, el }) {
        const pad = document.createElement("div");
        pad.className = "round-trip";
        pad.style = "width: 512px; height: 60px";
        pad.textContent = "-";
        pad.addEventListener("pointermove", ({ offsetX }) => {
          model.set("asked", Math.round(offsetX));
          model.save_changes();
        });
        model.on("change:answered", () => (pad.textContent = model.get("answered")));
        el.append(pad);
      },
    };
    """
    asked = traitlets.Int(0).tag(**FROM_HAND)
    answered = traitlets.Int(0).tag(sync=True)

    @traitlets.observe("asked")
    def _answer(self, change: Any) -> None:
        self.answered = change["new"]


# ---------------------------------------------------------------- one slider, two ways


def nms_lab() -> NMSLab:
    """The lab of the course; all boxes are candidates."""
    scene = reef_scene()
    return NMSLab(scene.image, candidates(scene), scene.target, CLASS_NAMES, score_threshold=0.0)


def nms_with_matplotlib() -> widgets.Widget:
    """The same slider over the same boxes and the same suppression, as notebooks usually do it."""
    scene = reef_scene()
    found = candidates(scene)
    boxes, scores = separate_classes(found["boxes"], found["labels"]), found["scores"]

    def show(iou_threshold: float) -> None:
        kept = set(nms(boxes, scores, iou_threshold).tolist())
        figure = plt.figure(figsize=(SIDE / 100, SIDE / 100), dpi=100)
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.imshow(scene.image.permute(1, 2, 0).numpy())
        for row, (x1, y1, x2, y2) in enumerate(found["boxes"].tolist()):
            look = {"color": "orange", "lw": 2} if row in kept else {"color": "hotpink", "lw": 1}
            axes.add_patch(plt.Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, **look))
        axes.axis("off")
        plt.show()
        print(f"{len(kept)} boxes kept of {BOXES}")

    slider = widgets.FloatSlider(value=0.5, min=0, max=1, step=0.01, description="IoU above")
    output = widgets.interactive_output(show, {"iou_threshold": slider})
    return widgets.VBox([slider, output])


# ---------------------------------------------------------------- other labs


def iou_lab() -> IoULab:
    """Two boxes on the same picture, the prediction where there is room to drag it."""
    return IoULab(reef_scene().image, [150, 150, 350, 350], [100, 180, 300, 380])


def match_lab() -> MatchLab:
    """Ten thousand anchors, every one of them drawn."""
    scene = reef_scene()
    sizes = ((96.0, 160.0), (224.0, 320.0))
    anchors = pyramid_anchors(((64, 64), (32, 32)), sizes, (1.0,), torch.device("cpu"))
    lab = MatchLab(scene.image, scene.target, anchors[:10_000], CLASS_NAMES)
    lab.all_boxes = True
    return lab


def slowed(lab: Any, seconds: float = 0.15) -> Any:
    """The same lab in a kernel that takes its time for each answer; `answers` counts them."""
    draw: Callable[[], Any] = lab.draw
    lab.answers = 0

    def slow_draw() -> Any:
        lab.answers += 1
        time.sleep(seconds)
        return draw()

    lab.draw = slow_draw
    return lab


def value_in_kernel(lab: Any) -> str:
    """The value that a hand moves, as the page writes it."""
    if isinstance(lab, NMSLab):
        return f"{lab.iou_threshold:.2f}"
    x1, y1, x2, y2 = lab.prediction
    return f"prediction: x {x1:g} to {x2:g}, y {y1:g} to {y2:g}"


# ---------------------------------------------------------------- training


class Training:
    """The same steps of `fit`, with the view around them and without.

    `stage` is what the page shows: the view of the round, or none yet.
    """

    def __init__(self, steps: int, pictures: int = 320) -> None:
        reef = Reef(TRAIN_SEED, pictures)
        reef.draw(workers=0)
        self.dataset = Augmented(reef, augmentation("reef", TrainConfig()))
        self.looked_at = [reef[index] for index in range(6)]
        self.measured_on = [reef[index] for index in range(20)]
        self.steps = steps
        self.stage = widgets.VBox([])
        self.view: Any = None

    def run(self, watched: bool) -> float:
        """Seconds that the steps take, from the first batch to the last thing that is shown."""
        torch.manual_seed(0)
        detector = build_detector(named_config("course", len(CLASS_NAMES)))
        steps = islice(fit(detector, self.dataset, TrainConfig(epochs=1000.0)), self.steps)
        if watched:
            self.view = self._view(detector)
            self.stage.children = [self.view]
            time.sleep(2)  # the page builds the view, which is no part of training
        started = time.perf_counter()
        for _ in self.view.watch(steps) if watched else steps:
            pass
        return time.perf_counter() - started

    def _view(self, detector: Any) -> TrainingView:
        find = partial(detect, detector, score_threshold=0.2)
        pictures, truth = [list(part) for part in zip(*self.measured_on, strict=True)]

        def ap50() -> float:
            return coco_metrics(find(pictures), truth, CLASS_NAMES).coco["AP50"]

        images: list[Tensor] = [image for image, _ in self.looked_at]
        targets = [target for _, target in self.looked_at]
        return TrainingView(images, targets, find, CLASS_NAMES, ap50)


def start_training(steps: int) -> Training:
    """A training whose stage is on the page."""
    training = Training(steps)
    display(training.stage)
    return training
