"""A question that is answered before the evidence: committed is committed."""

# mypy: disable-error-code="no-untyped-call"

from collections.abc import Mapping
from typing import Any

import ipywidgets as widgets

from detlab.course.progress import read_progress, remember
from detlab.widgets.canvas import Header
from detlab.widgets.lab import classed


class Commit(widgets.VBox):
    """Pick an option, commit to it, read its own reply. The answer is locked from then on.

    >>> question = Commit("Half shared: the IoU?", {"1/2": "Of what?", "1/3": "Yes."}, "1/3")
    >>> question.commit(2)
    >>> question
    <Commit: 1/3, right>
    """

    def __init__(
        self,
        question: str,
        options: Mapping[str, str],
        answer: str,
        key: str = "",
    ) -> None:
        """Ask.

        Args:
            question: one sentence.
            options: each option with the reply that it gets.
            answer: the option that is right.
            key: under which the learner's progress remembers it; without one it is forgotten.
        """
        if len(options) < 2:
            raise ValueError(f"options: want at least two, got {list(options)}")
        if answer not in options:
            raise ValueError(f"answer: want one of {list(options)}, got {answer!r}")
        self.question, self.options, self.answer, self.key = question, dict(options), answer, key
        self.picked: str | None = None
        self.chosen: str | None = None
        """What was committed to, None before."""
        self._header = Header(title=question)
        self.buttons = {option: self._button(option) for option in self.options}
        self.confirm = widgets.Button(description="Commit", button_style="primary")
        self.confirm.on_click(self._confirmed)
        options_box = classed(widgets.VBox(list(self.buttons.values())), "dl-options")
        confirm_box = classed(widgets.Box([self.confirm]), "dl-buttons")
        super().__init__([self._header, options_box, confirm_box])
        self.add_class("detlab-lab")
        self.add_class("dl-question")
        remembered = read_progress()["commits"].get(key) if key else None
        if remembered in self.options:
            self.picked = self.chosen = remembered
        self._show()

    @property
    def right(self) -> bool:
        """Was the right option committed to?"""
        return self.chosen == self.answer

    def commit(self, option: int | str) -> None:
        """Lock an option in, by its number from 1 or by its text.

        Raises:
            ValueError: there is no such option, or another one was committed to before.
        """
        names = list(self.options)
        if isinstance(option, int):
            if not 1 <= option <= len(names):
                raise ValueError(f"option: want 1 to {len(names)}, got {option}")
            option = names[option - 1]
        if option not in self.options:
            raise ValueError(f"option: want one of {names}, got {option!r}")
        if self.chosen not in (None, option):
            raise ValueError(f"committed to {self.chosen!r} before; the answer is locked")
        self.picked = self.chosen = option
        if self.key:
            remember("commits", self.key, option)
        self._show()

    def _button(self, option: str) -> widgets.Button:
        button = widgets.Button()

        def pick(_: Any) -> None:
            if self.chosen is None:
                self.picked = option
                self._show()

        button.on_click(pick)
        return button

    def _confirmed(self, _: Any) -> None:
        if self.picked is None:
            self._header.note = "Pick an option first."
        elif self.chosen is None:
            self.commit(self.picked)

    def _show(self) -> None:
        for number, (option, button) in enumerate(self.buttons.items(), start=1):
            sign = "●" if option == self.picked else "○"
            if self.chosen is not None and option == self.answer:
                sign = "✓"
                button.add_class("dl-right-answer")
            if self.chosen is not None and option == self.chosen:
                sign = "✓" if self.right else "✗"
                button.add_class("dl-own-answer")
            button.description = f"{sign}  {number}  ·  {option}"
        if self.chosen is not None:
            verdict = "Right." if self.right else f"Not quite; it is {self.answer}."
            self._header.note = f"{verdict} {self.options[self.chosen]}"
            self.confirm.description = "Committed"
            self.confirm.button_style = ""
        else:
            self._header.note = ""

    def __repr__(self) -> str:
        """Say what was answered."""
        if self.chosen is None:
            return "<Commit: not answered yet>"
        return f"<Commit: {self.chosen}, {'right' if self.right else 'wrong'}>"

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        """The living question, and its text for readers without a kernel."""
        bundle = dict(super()._repr_mimebundle_(**kwargs) or {})
        listed = "".join(f"\n{row}. {text}" for row, text in enumerate(self.options, start=1))
        note = f"\n\n{self._header.note}" if self._header.note else ""
        words = f"**{self.question}**\n{listed}{note}"
        return {**bundle, "text/plain": repr(self), "text/markdown": words}
