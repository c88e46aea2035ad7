"""Watch a detector learn: losses, AP so far, boxes that move onto their objects."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator, Sequence
from threading import RLock
from typing import Any, ClassVar

import ipywidgets as widgets
import torch
from torch import Tensor

from detlab.types import Detection, Target
from detlab.widgets.canvas import BoxCanvas
from detlab.widgets.checks import check_detection, check_truth, names_of
from detlab.widgets.lab import Lab, UnitFloat, buttons_row
from detlab.widgets.readout import Bar, Chart, Item, Row
from detlab.widgets.roles import STATE
from detlab.widgets.sheet import contact_sheet, on_sheet
from detlab.widgets.threshold import thin

DRAW_EVERY = 0.5  # seconds between two repaints of the numbers
PAUSE = 0.002  # seconds: a message that waits passes through several hands of the kernel
LOOKING_FRACTION = 0.04  # of the training's time, at most: pictures and AP included


class TrainingView(Lab):
    """Put this around a training loop; it passes every step through.

        async for step in view.listen(fit(detector, reef)):
            ...

    `view.stop()` or the button ends the loop after the step in hand. A cell hears a button only
    where it awaits (ipykernel 7), hence `async for`; in a plain program `for step in view.watch(…)`
    does the same without a button. Some kernels hand clicks to a second thread: drawing is locked.
    """

    name: ClassVar[str] = "training"
    inputs: ClassVar[tuple[str, ...]] = ("score_threshold",)

    score_threshold = UnitFloat(0.4)

    def __init__(
        self,
        images: Sequence[Tensor],
        targets: Sequence[Target],
        detect: Callable[[list[Tensor]], list[Detection]],
        class_names: Sequence[str] = (),
        measure: Callable[[], float] | None = None,
    ) -> None:
        """Prepare the view.

        Args:
            images: uint8 [3, H, W]; six are shown.
            targets: their truth.
            detect: pictures to detections, with the network as it is at that moment.
            class_names: "background" first; for the texts.
            measure: gives the AP so far, 0 to 1; None shows none.
        """
        images = list(images)[:6]
        if not images or len(targets) < len(images):
            raise ValueError(f"want a target per picture, got {len(images)} and {len(targets)}")
        self.images, self.detect, self.measure = images, detect, measure
        self.class_names = class_names
        self.forget()
        self._found: list[Detection] = []
        self._drawing = RLock()
        sheet, self._places = contact_sheet(images)
        self._truth = [
            check_truth(target, (image.shape[1], image.shape[2]))["boxes"]
            for image, target in zip(images, targets, strict=False)
        ]
        canvas = BoxCanvas(sheet, "pictures under the boxes of the moment", tags=20)
        self.stop_button = widgets.Button(description="stop training")
        self.stop_button.on_click(lambda _: self.stop())
        presets = {
            "sure boxes": {"score_threshold": 0.6},
            "more boxes": {"score_threshold": 0.2},
        }
        title = "Training: the boxes learn where the animals are"
        super().__init__(title, canvas, [buttons_row([self.stop_button])], presets)

    def forget(self) -> None:
        """Nothing has been seen of a training."""
        self.history: list[dict[str, float]] = []
        self.ap_history: list[tuple[float, float]] = []
        self.stopped, self.ended, self.looking = False, False, 0.0

    def stop(self) -> None:
        """End the loop after the step in hand."""
        if not self.ended:
            self.stopped = True

    def watch(self, steps: Iterable[dict[str, float]]) -> Iterator[dict[str, float]]:
        """Pass the steps of a training through, and show them now and then.

        A look waits until it and the one at the end, estimated from the last one, take
        less than LOOKING_FRACTION of the time so far; so a slow network is looked at less often.
        What was shown of a training before this one is forgotten.
        """
        self.forget()
        began = time.perf_counter()
        last_draw = 0.0
        cost = 0.0
        for step in steps:
            self.history.append(step)
            now = time.perf_counter() - began
            if now - last_draw >= DRAW_EVERY:
                if self.looking + 2 * cost <= LOOKING_FRACTION * now:
                    before = time.perf_counter()
                    self.look()
                    cost = time.perf_counter() - before
                    self.looking += cost
                else:
                    self.refresh()
                last_draw = now
            yield step
            if self.stopped:
                break
        if isinstance(steps, Generator):
            steps.close()  # a stopped `fit` leaves the averaged weights behind
        self.ended = True
        self.look()

    async def listen(self, steps: Iterable[dict[str, float]]) -> AsyncIterator[dict[str, float]]:
        """Watch, and let the kernel hear hands between two steps: the stop button, the presets."""
        for step in self.watch(steps):
            yield step
            await asyncio.sleep(PAUSE)

    def refresh(self, _: Any = None) -> None:
        """Draw, one thread at a time."""
        with self._drawing:
            super().refresh()

    def look(self) -> None:
        """Detect on the pictures with the network as it is, and measure."""
        self._found = [check_detection(each, "detect") for each in self.detect(self.images)]
        if self.measure:
            step = self.history[-1]["step"] if self.history else 0
            self.ap_history.append((float(step), self.measure()))
        self.refresh()

    def draw(self) -> tuple[str, list[Item]]:
        """Show the last step and the last look."""
        self._show_boxes()
        if not self.history:
            return "not started", [Row("truth", "", "truth"), Row("prediction", "", "prediction")]
        last = self.history[-1]
        progress = 1.0 if self.ended and not self.stopped else min(1.0, last["progress"])
        left = last["seconds"] * (1 - progress) / progress if progress else float("inf")
        ending = f"{left:,.0f} s left" if left < 1e6 else "…"
        if self.ended:
            ending = "stopped" if self.stopped else "finished"
        items: list[Item] = [
            Bar("progress", progress, f"{progress:.0%}"),
            Row("time", f"{last['seconds']:,.0f} s, {ending}"),
            Row("class loss", f"{last['loss_class']:.3f}"),
            Row("box loss", f"{last['loss_box']:.3f}"),
        ]
        if self.ap_history:
            items.append(Row("AP so far", f"{self.ap_history[-1][1]:.2f}", strong=True))
        items.append(self._chart())
        return f"step {last['step']:,.0f}: loss {last['loss_total']:.3f}", items

    def _chart(self) -> Chart:
        curves: dict[str, Sequence[tuple[float, float]]] = {
            part: thin([(float(step["step"]), step[f"loss_{part}"]) for step in self.history])
            for part in ("total", "class", "box")
        }
        highest = max(value for points in curves.values() for _, value in points) or 1.0
        end = float(max(self.history[-1]["step"], 1))
        return Chart(curves, "step", "loss", None, (0.0, end), (0.0, highest))

    def _show_boxes(self) -> None:
        kept: list[Any] = []
        for found in self._found:
            sure = found["scores"] >= self.score_threshold
            kept.append((found["boxes"][sure], found["labels"][sure], found["scores"][sure]))
        boxes = [*self._truth, *(each[0] for each in kept)]
        places = torch.cat([self._places, self._places[: len(kept)]])
        count = sum(len(each) for each in self._truth)
        texts = [""] * count
        for _, labels, scores in kept:
            names = names_of(labels, self.class_names)
            texts += [f"{name} {score:.2f}" for name, score in zip(names, scores, strict=True)]
        states = torch.full((len(texts),), STATE["prediction"], dtype=torch.uint8)
        states[:count] = STATE["truth"]
        self.canvas.show_boxes(on_sheet(boxes, places), states, texts)
