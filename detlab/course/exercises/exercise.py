"""An exercise: a function of the package, cases that tell right from wrong, and known mistakes.

Uses call.py and compare.py: one runs a learner's function safely, one says how two answers differ.
The files beside this one hold the exercises themselves, one file a lesson.
"""

import inspect
import textwrap
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from html import escape
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from detlab.course.exercises.call import call, explain, not_written
from detlab.course.exercises.compare import Outcome, same_outcome, show
from detlab.course.progress import remember, today
from detlab.draw.figures import to_png

Function = Callable[..., Any]
Case = tuple[Any, ...]
"""The arguments of one call, in their order."""
Draw = Callable[[Axes, Case, Any, Any], None]
"""Draws a case on an axis: arguments, the learner's answer (None if none came), the right one."""


@dataclass(frozen=True)
class Mistake:
    """A wrong version that people write, and what to tell them."""

    function: Function
    hint: str

    def __call__(self, *arguments: Any) -> Any:
        """What the wrong version answers."""
        return self.function(*arguments)


@dataclass(frozen=True)
class Verdict:
    """What a check found. Shows itself in a notebook: text, and the failing case drawn."""

    status: str
    """"right", "wrong", "not written", or what else was asked for: "hint", "solution"."""
    text: str
    mistake: str = ""
    """The known mistake that gives the same answers, "" if none does."""
    draw_case: Callable[[], bytes] = bytes
    """Draws the failing case; nothing by default."""

    @cached_property
    def picture(self) -> bytes:
        """PNG of the failing case, drawn when it is first looked at."""
        return self.draw_case()

    @property
    def passed(self) -> bool:
        """Is it right?"""
        return self.status == "right"

    def __repr__(self) -> str:
        """The words alone."""
        return self.text

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        """The words and, where there is one, the picture below them.

        As HTML, because of a text and a PNG side by side JupyterLab shows the PNG alone.
        """
        if not self.picture:
            return {"text/plain": self.text}
        words = f'<pre style="white-space: pre-wrap">{escape(self.text)}</pre>'
        source = f"data:image/png;base64,{b64encode(self.picture).decode()}"
        html = f'{words}<img src="{source}" alt="the case, drawn">'
        return {"text/plain": self.text, "image/png": self.picture, "text/html": html}


class Exercise:
    """One function to write, and all that is needed to grade it."""

    def __init__(
        self,
        reference: Function,
        cases: Mapping[str, Case],
        mistakes: Mapping[str, tuple[Function, str]],
        hints: Sequence[str],
        draw: Draw | None = None,
    ) -> None:
        """Put an exercise together.

        Args:
            reference: the package's function; its name is the exercise's.
            cases: by name, the arguments of one call each.
            mistakes: by name, a wrong version and the hint that it deserves.
            hints: of growing strength, for who asks.
            draw: shows a failing case.
        """
        self.reference, self.name = reference, reference.__name__
        self.cases, self.hints, self.draw = dict(cases), list(hints), draw
        self.mistakes = {name: Mistake(*pair) for name, pair in mistakes.items()}
        self.hints_given = 0

    def check(self, mine: Function) -> Verdict:
        """Compare with the package's function on every case; remember it if it is right."""
        verdict = self.grade(mine)
        if verdict.passed:
            remember("exercises", self.name, {"passed": today(), "source": source_of(mine)})
        return verdict

    def grade(self, mine: Function) -> Verdict:
        """The same comparison, remembering nothing."""
        if not callable(mine):
            return Verdict("not written", f"{self.name}: want a function, got {show(mine)}")
        found = {}
        for case, arguments in self.cases.items():
            found[case] = call(mine, arguments)
            if found[case].stopped:  # one case without an end is enough
                break
        if all(map(not_written, found.values())):
            return Verdict("not written", f"{self.name}: {self._what_is_missing(mine)}")
        wanted = {case: self.right_outcome(case) for case in found}
        wrong = [case for case in found if not same_outcome(found[case], wanted[case])]
        if not wrong:
            return Verdict("right", f"{self.name}: right in all {len(self.cases)} cases.")
        return self._describe(found, wanted, wrong[0])

    def _what_is_missing(self, mine: Function) -> str:
        code = getattr(mine, "__code__", None)
        if code is not None and code.co_nlocals > code.co_argcount:  # it has worked something out
            return "it returns nothing. Is a return missing?"
        return (
            f"not written yet. Write it, run this cell again; exercises.{self.name}.hint() helps."
        )

    def right_outcome(self, case: str) -> Outcome:
        """What the package's function does with a case.

        Raises:
            Exception: it raised; then the case is wrong, not the learner.
        """
        outcome = call(self.reference, self.cases[case])
        if outcome.error is not None:
            raise outcome.error
        return outcome

    def _describe(
        self, found: dict[str, Outcome], wanted: dict[str, Outcome], case: str
    ) -> Verdict:
        mistake = self.recognise(found)
        lines = [
            f"{self.name}: not right yet. The case: {case}.",
            *explain(found[case], wanted[case].answer, self.cases[case], self.reference),
        ]
        if mistake:
            lines += [f"What happened: {mistake}.", self.mistakes[mistake].hint]
        draw_case = partial(self._picture, case, found[case].answer, wanted[case].answer)
        return Verdict("wrong", "\n".join(lines), mistake, draw_case)

    def recognise(self, found: Mapping[str, Outcome]) -> str:
        """The known mistake that answers every case in the same way; "" if none does."""
        for name, mistake in self.mistakes.items():
            theirs = ((case, call(mistake.function, self.cases[case])) for case in found)
            if all(same_outcome(found[case], outcome) for case, outcome in theirs):
                return name
        return ""

    def _picture(self, case: str, got: Any, wanted: Any) -> bytes:
        if self.draw is None:
            return b""
        try:
            return self._drawn(case, got, wanted)
        except Exception:  # an answer may be anything; the case alone can always be drawn
            return self._drawn(case, None, wanted)

    def _drawn(self, case: str, got: Any, wanted: Any) -> bytes:
        figure = Figure(figsize=(5, 3.4), layout="constrained")
        axes = figure.add_subplot()
        axes.set_title(f"{self.name}: {case}")
        assert self.draw is not None
        self.draw(axes, self.cases[case], got, wanted)
        return to_png(figure)

    def hint(self) -> Verdict:
        """The next hint, each stronger than the one before."""
        if self.hints_given == len(self.hints):
            return Verdict("hint", f"No more hints. exercises.{self.name}.solution() shows it.")
        self.hints_given += 1
        left = len(self.hints) - self.hints_given
        words = f"Hint {self.hints_given} of {len(self.hints)}: {self.hints[self.hints_given - 1]}"
        return Verdict("hint", words if left else f"{words}\nThat was the last one.")

    def solution(self) -> Verdict:
        """The package's own function, as the detector uses it."""
        return Verdict("solution", source_of(self.reference))

    def mine_or_reference(self, mine: Function) -> Function:
        """What a lesson goes on with: the learner's function where it is right, else ours."""
        return mine if self.grade(mine).passed else self.reference

    def __repr__(self) -> str:
        """Say what is to be written."""
        return f"<Exercise {self.name}: {len(self.cases)} cases, {len(self.hints)} hints>"


def source_of(function: Function) -> str:
    """The text of a function, as its author wrote it; "" where it stands in no file or cell.

    >>> source_of(len)
    ''
    """
    try:
        return text_of(function)
    except (OSError, TypeError):
        return ""


def text_of(function: Function) -> str:
    """The text of a function, as its author wrote it.

    Raises:
        OSError, TypeError: it stands in no file or cell.
    """
    return textwrap.dedent(inspect.getsource(inspect.unwrap(function)))
