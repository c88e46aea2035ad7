"""What all labs share: headline, picture, controls, numbers, presets, a task, a static picture.

A lab is a small class with settable traits. It says which of them are `inputs`, and how to draw
its present state in `draw`, by calling the package's own functions. Everything else is here:

    hand or lesson -> trait changes -> draw() -> canvas, numbers, result line, tick

Text on screen never repeats what a function of the package does not compute.
"""

# mypy: disable-error-code="no-untyped-call"

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import ipywidgets as widgets
import torch
import traitlets

from detlab.widgets.canvas import FROM_HAND, BoxCanvas, Header, Numbers
from detlab.widgets.picture import lab_picture
from detlab.widgets.readout import Item, to_html

Goal = Callable[[Any], bool]


class UnitFloat(traitlets.Float[float, float]):
    """A number from 0 to 1: thresholds, IoUs, probabilities."""

    def validate(self, obj: Any, value: Any) -> float:
        """Refuse any other value, with a ValueError that names the trait."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise ValueError(f"{self.name}: want a number from 0 to 1, got {value!r}")
        return float(value)


class Lab(widgets.VBox):
    """A picture that answers, with its controls. Subclasses say `name`, `inputs` and `draw`."""

    name: ClassVar[str] = "lab"
    inputs: ClassVar[tuple[str, ...]] = ()
    """The traits that a hand or a lesson moves; each change draws anew."""
    headline: ClassVar[str] = ""
    """The attribute that a task's number is about: `iou` in an IoULab."""
    result: str = "not drawn yet"
    """The line under the picture."""

    def __init__(
        self,
        title: str,
        canvas: BoxCanvas,
        controls: Sequence[widgets.Widget],
        presets: Mapping[str, Mapping[str, Any]],
        task: str = "",
        goal: Goal | None = None,
    ) -> None:
        """Put the parts together and draw for the first time.

        Args:
            title: what to do here, in a few words.
            canvas: where the picture is.
            controls: sliders and the like, already linked to this lab's traits.
            presets: by name, the traits to set.
            task: what to reach; without a `goal`, the one number in it is the goal.
            goal: says of this lab whether the task is reached.
        """
        self.canvas = canvas
        self.items: list[Item] = []
        self._goal = check_goal(task, goal)
        self._start = {name: getattr(self, name) for name in self.inputs}
        self._header = Header(title=title, task=task)
        self.buttons = {
            **{name: self._button(name, values) for name, values in presets.items()},
            "reset": self._button("reset", self._start),
        }
        left = widgets.VBox([canvas, Numbers(canvas=canvas, place="below")])
        side: list[widgets.Widget] = [buttons_row(list(self.buttons.values()))]
        if controls:
            side.append(classed(widgets.VBox(list(controls)), "dl-controls"))
        right = widgets.VBox([*side, Numbers(canvas=canvas, place="beside")])
        body = widgets.Box([classed(left, "dl-left"), classed(right, "dl-right")])
        super().__init__([self._header, classed(body, "dl-body")])
        self.add_class("detlab-lab")
        self._drawn: list[Any] = []
        self.observe(self.refresh, names=list(self.inputs))
        self.refresh()

    def draw(self) -> tuple[str, list[Item]]:
        """Draw the present state; return the result line and the numbers beside the picture."""
        raise NotImplementedError

    def explain(self) -> list[Item]:
        """Say more about what is looked at, below the picture; called after `draw`."""
        return []

    def refresh(self, change: Any = None) -> None:
        """Draw, write the numbers, and tick the task when it is reached.

        A preset sets several traits, and each calls here: what is drawn already is left.
        """
        state = [getattr(self, name) for name in self.inputs]
        if change and change["owner"] is self and state == self._drawn:
            return
        self._drawn = state
        canvas = self.canvas
        with canvas.hold_sync():  # one message for all: each costs milliseconds and 0.6 kB
            self.result, beside = self.draw()
            below = self.explain()
            canvas.result = self.result
            canvas.beside, canvas.below = to_html(beside), to_html(below)
        self.items = [*beside, *below]
        if self._goal and not self.reached and self._goal(self):
            self._header.reached = True

    def preset(self, name: str) -> None:
        """Do what the button of that name does; "reset" is where the lab began."""
        if name not in self.buttons:
            raise ValueError(f"no preset {name!r}; there are {list(self.buttons)}")
        self.buttons[name].click()

    @property
    def task(self) -> str:
        """What to reach, in words."""
        return str(self._header.task)

    @property
    def reached(self) -> bool:
        """Was the task reached since the last reset?"""
        return bool(self._header.reached)

    def _button(self, name: str, values: Mapping[str, Any]) -> widgets.Button:
        def act(_: Any) -> None:
            if name == "reset":
                self._header.reached = False
                self.canvas.selected = -1
            with self.hold_trait_notifications():
                for trait, value in values.items():
                    setattr(self, trait, value)

        button = widgets.Button(description=name)
        button.on_click(act)
        return button

    def __repr__(self) -> str:
        """Say the result; the same state always reads the same."""
        return f"<{self.name} lab: {self.result}>"

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        """The living lab, and its present state as a picture and as text."""
        bundle = dict(super()._repr_mimebundle_(**kwargs) or {})
        picture = lab_picture(
            self._header.title, self.task, self.reached, self.canvas, self.items, self.result
        )
        return {**bundle, "text/plain": repr(self), "image/png": picture}


def check_goal(task: str, goal: Goal | None) -> Goal | None:
    """The goal of a task: the one given, or that the headline shows the task's number.

    >>> check_goal("Reach 0.50", None) is None
    False
    """
    if goal or not task:
        return goal
    numbers = re.findall(r"(?<![\w.])\d+(?:\.\d+)?(?![\w%])", task)
    if len(numbers) != 1:
        raise ValueError(f"task: want one number in it, or a goal beside it; got {task!r}")
    wanted = numbers[0]
    digits = len(wanted.partition(".")[2])
    return lambda lab: f"{float(getattr(lab, lab.headline)):.{digits}f}" == wanted


def classed(widget: widgets.DOMWidget, name: str) -> widgets.DOMWidget:
    """Give a widget a CSS class."""
    widget.add_class(name)
    return widget


def buttons_row(buttons: Sequence[widgets.Widget]) -> widgets.Widget:
    """Buttons side by side, wrapping."""
    return classed(widgets.Box(list(buttons)), "dl-buttons")


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute without helpers: while the browser draws, each waits for a core that is busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class QuietInt(widgets.IntSlider):
    """A slider whose every value the kernel does not send back, as ipywidgets' own does."""

    value = traitlets.CInt(0).tag(**FROM_HAND)


class QuietFloat(widgets.FloatSlider):
    """The same with decimals."""

    value = traitlets.CFloat(0.0).tag(**FROM_HAND)


def slider(
    lab: widgets.Widget,
    trait: str,
    label: str,
    low: float | int = 0.0,
    high: float | int = 1.0,
    step: float | int = 0.01,
) -> widgets.Widget:
    """A slider that moves a trait of a lab, and follows it."""
    whole = isinstance(getattr(lab, trait), int)
    kind = QuietInt if whole else QuietFloat
    look = {} if whole else {"readout_format": ".2f" if step < 0.1 else ".1f"}
    made = kind(min=low, max=high, step=step, description=label, **look)
    traitlets.link((lab, trait), (made, "value"))
    return made


def choice(lab: widgets.Widget, trait: str, label: str, options: Sequence[Any]) -> widgets.Widget:
    """A dropdown for a trait of a lab."""
    made = widgets.Dropdown(options=list(options), description=label)
    traitlets.link((lab, trait), (made, "value"))
    return made


def switch(lab: widgets.Widget, trait: str, label: str) -> widgets.Widget:
    """A checkbox for a trait of a lab."""
    made = widgets.Checkbox(description=label, indent=False)
    traitlets.link((lab, trait), (made, "value"))
    return made
