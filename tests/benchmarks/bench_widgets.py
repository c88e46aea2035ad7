"""How fast the labs answer under the hand, in a real JupyterLab: `make bench-widgets`.

Headless Chromium moves the pointer; stopwatch.js takes the times in the page, from the input event
until the browser has finished the frame that shows its effect. labs.py is what the kernel shows.
Prints a Markdown table and writes every single measurement as JSON. Nothing here is a test: times
depend on the machine and on who else uses it, so the load average stands above the table.

    make bench-widgets                                everything, about six minutes
    make bench-widgets ARGS="--only nms iou"          some rows
"""

import argparse
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from report import Row, describe_machine, publish, ratios, table

from detlab.course.records import spread

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent))
from widgets.jupyter import Lab, open_browser, open_jupyter  # noqa: E402

WARM_UP = 5  # events that are not counted
QUIET = 150  # ms without any change, after which an answer is complete and the next event may come
SETUP = f"""
import os, sys, torch
torch.set_num_threads(os.cpu_count())  # as in a learner's kernel; the test's server says 1
sys.path.append({str(HERE)!r})
import labs
"""
NMS_STOPS = [0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9]
"""Values of the slider; each is another picture."""
ANCHOR_STOPS = [0.45, 0.5, 0.55, 0.6, 0.65, 0.7]
Marks = dict[str, Any]
"""What stopwatch.js noted of one event: times in ms, bytes on the websocket."""

# What is watched on a page, see stopwatch.js.
CANVAS = {"selector": ".dl-stage", "attribute": "data-painted"}
BOX = {"selector": ".dl-box:nth-of-type(2) > rect", "attribute": "x", "early": True}
RESULT = {"selector": ".dl-result"}
NUMBERS = {"selector": ".dl-right .dl-numbers"}
ERROR = "[data-mime-type$=error]"
PLOT = {"selector": ".widget-output", "picture": True}


def main() -> None:
    """Measure the rows that were asked for, one after the other."""
    options = parse_arguments()
    machine = describe_machine()
    rows = []
    with open_place() as place:
        machine["browser"] = f"Chromium {place.browser.version}"
        for name in options.only:
            print(f"{name} …", flush=True)
            measured = MEASUREMENTS[name](place, options)
            print(table(measured), flush=True)
            rows += measured
    publish(machine, rows, options.json)
    print(f"in {machine['browser']}, {versions('jupyterlab', 'ipywidgets', 'anywidget')}")


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """What to measure, how often, and where to write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = list(MEASUREMENTS)
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="these rows alone")
    parser.add_argument("--events", type=int, default=80, help="moves of the pointer for each row")
    parser.add_argument("--bursts", type=int, default=20, help="bursts of 20 moves each")
    parser.add_argument("--rounds", type=int, default=8, help="trainings with and without the view")
    parser.add_argument("--steps", type=int, default=80, help="steps of each training")
    parser.add_argument("--json", type=Path, default=Path("runs/bench_widgets.json"))
    return parser.parse_args(arguments)


def versions(*packages: str) -> str:
    """Names and versions of installed packages.

    >>> versions("pytest").split()[0]
    'pytest'
    """
    return ", ".join(f"{package} {version(package)}" for package in packages)


# ---------------------------------------------------------------- the page


@dataclass
class Place:
    """A browser, and a JupyterLab for it."""

    browser: Browser
    jupyter: Lab

    @contextmanager
    def notebook(self, name: str, *cells: str, shows: str = ".dl-stage") -> Iterator[Page]:
        """A notebook of these cells, run, in a page tall enough to show all that they show."""
        self.jupyter.write(f"{name}.ipynb", SETUP, *cells)
        context = self.browser.new_context(viewport={"width": 1400, "height": 1900})
        page = context.new_page()
        page.add_init_script(path=HERE / "stopwatch.js")
        self.jupyter.open(page, f"{name}.ipynb")
        self.jupyter.run_all(page)
        page.wait_for_selector(f"{shows}, {ERROR}", state="attached", timeout=300_000)
        self.ask(page, "pass")  # answered when every cell has run
        if errors := page.locator(ERROR).all_inner_texts():
            raise RuntimeError("\n".join(errors))
        page.wait_for_timeout(2000)  # pictures, fonts and the page's own start-up
        yield page
        context.close()

    def ask(self, page: Page, code: str) -> str:
        """What the code prints in the notebook's kernel."""
        return self.jupyter.ask(page, code)


@contextmanager
def open_place() -> Iterator[Place]:
    """The browser and the server; without a browser the benchmark ends and says so."""
    try:
        with open_browser() as browser, open_jupyter() as jupyter:
            yield Place(browser, jupyter)
    except pytest.skip.Exception as missing:
        raise SystemExit(str(missing)) from missing


def time_move(page: Page, to: tuple[float, float], watched: dict[str, Any]) -> Marks:
    """Move the pointer once and wait until everything that follows is drawn."""
    page.evaluate("watched => stopwatch.start('pointermove', watched)", watched)
    page.mouse.move(*to)
    return settled(page, QUIET, events=1)


def settled(page: Page, quiet: int, events: int) -> Marks:
    """What the page noted, once it has been quiet for so many ms."""
    marks: Marks = page.evaluate("quiet => stopwatch.settled(quiet)", quiet)
    if marks["events"] != events:
        raise RuntimeError(f"moved the pointer {events} times, the page saw {marks['events']}")
    return marks


def delays(marks: Sequence[Marks], *names: str, since: str = "stamp") -> list[float]:
    """Milliseconds from each event until the last of what is named was drawn.

    >>> marks = {"stamp": 100.0, "dispatch": 104.0, "drawn": {"box": 110.0, "text": 130.0}}
    >>> delays([marks], "box"), delays([marks], "box", "text")
    ([10.0], [30.0])
    >>> delays([marks], "box", since="dispatch")
    [6.0]
    """
    return [max(mark["drawn"][name] for name in names) - mark[since] for mark in marks]


def traffic(marks: Marks) -> int:
    """Bytes on the websocket, both ways.

    >>> traffic({"received": 2000, "sent": 500})
    2500
    """
    return int(marks["received"] + marks["sent"])


class Slider:
    """A slider on the page whose handle stands at `fraction` of its range, 0 to 1."""

    def __init__(self, page: Page, place: str, name: str, fraction: float) -> None:
        labelled = f"{place} .widget-slider:has(.widget-label:text-is('{name}'))"
        box = page.locator(labelled).locator(".noUi-base").bounding_box()
        assert box, f"no slider {name!r} in {place}"
        self.page, self.track, self.fraction = page, box, fraction
        self.readout = page.locator(labelled).locator(".widget-readout")

    def at(self, fraction: float) -> tuple[float, float]:
        """Where on the screen a fraction of the whole range is."""
        track = self.track
        return track["x"] + fraction * track["width"], track["y"] + track["height"] / 2

    @contextmanager
    def held(self) -> Iterator[None]:
        """The pointer on the handle, pressed."""
        self.page.mouse.move(*self.at(self.fraction))
        self.page.mouse.down()
        yield
        self.page.mouse.up()

    def slide(self, fraction: float, watched: dict[str, Any]) -> Marks:
        """Drag the handle there in one move, and wait until all that follows is drawn."""
        with self.held():
            marks = time_move(self.page, self.at(fraction), watched)
        self.fraction = fraction
        return marks


def back_and_forth(stops: Sequence[float], count: int) -> list[float]:
    """So many moves through the stops and back, again and again; none twice in a row.

    >>> back_and_forth([0.0, 0.5, 1.0], count=6)
    [0.0, 0.5, 1.0, 0.5, 0.0, 0.5]
    """
    tour = [*stops, *stops[-2:0:-1]]
    return [tour[move % len(tour)] for move in range(count)]


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that so many percent do not exceed, between neighbours in proportion.

    >>> percentile([10.0, 20.0, 30.0], 50), percentile([0.0, 100.0], 95)
    (20.0, 95.0)
    """
    return quantiles(values, n=100, method="inclusive")[percent - 1]


def in_words(values: Sequence[float], unit: str = "ms", digits: int = 0) -> str:
    """Median, 95th percentile and range.

    >>> in_words([10.0, 20.0, 30.0])
    'median 20, p95 29 ms (10–30)'
    """
    middle, high = (f"{percentile(values, percent):.{digits}f}" for percent in (50, 95))
    ends = f"{min(values):.{digits}f}–{max(values):.{digits}f}"
    return f"median {middle}, p95 {high} {unit} ({ends})"


# ---------------------------------------------------------------- what the machine allows


def measure_round_trip(place: Place, options: argparse.Namespace) -> list[Row]:
    """A number to the kernel and back: no row below can be faster than this one."""
    tour = back_and_forth([fraction / 20 for fraction in range(1, 20)], WARM_UP + options.events)
    watched = {"text": {"selector": ".round-trip"}}
    with place.notebook("round_trip", "labs.RoundTrip()", shows=".round-trip") as page:
        pad = page.locator(".round-trip").bounding_box()
        assert pad, "nothing to move over"
        row = pad["y"] + pad["height"] / 2
        places = [(pad["x"] + fraction * pad["width"], row) for fraction in tour]
        marks = [time_move(page, place, watched) for place in places][WARM_UP:]
    trip = delays(marks, "text")
    return [
        Row(
            "a widget that only sends a number to the kernel and shows what comes back",
            "–",
            in_words(trip),
            None,
            {"marks": marks},
        )
    ]


# ---------------------------------------------------------------- a slider over 100 boxes


def measure_nms(place: Place, options: argparse.Namespace) -> list[Row]:
    """The lab and matplotlib in one notebook and one kernel; they are moved in turn."""
    cells = "lab = labs.nms_lab()\nlab", "labs.nms_with_matplotlib()"
    with place.notebook("nms", *cells) as page:
        page.wait_for_selector(".widget-output img", timeout=120_000)
        ours, theirs = time_both(place, page, options.events)
        check_shown(place, page, "lab.result", page.locator(".dl-result").inner_text())
    repaint, plot = delays(ours, "canvas"), delays(theirs, "plot")
    faster = ratios(plot, repaint)
    sizes = {"ours": [traffic(mark) for mark in ours], "matplotlib": [traffic(m) for m in theirs]}
    middle, high = percentile(repaint, 50), percentile(repaint, 95)
    details = {"ours": ours, "matplotlib": theirs}
    return [
        Row(
            "NMS slider over 100 boxes on a picture of 512 px, from the event to the repaint",
            "median ≤ 45, p95 ≤ 70 ms",
            in_words(repaint),
            middle <= 45 and high <= 70,
            details,
        ),
        Row(
            "the same, against matplotlib inline with `interactive_output`, in turn",
            "≥ 4 × faster",
            f"{spread(faster, 1)} ×; matplotlib {in_words(plot)}",
            median(faster) >= 4,
        ),
        Row(
            "bytes on the websocket for one move of that slider, both ways",
            "≤ 4 kB",
            f"{spread([size / 1000 for size in sizes['ours']], 1)} kB; "
            f"matplotlib {spread([size / 1000 for size in sizes['matplotlib']], 0)} kB",
            max(sizes["ours"]) <= 4000,
            sizes,
        ),
    ]


def time_both(place: Place, page: Page, events: int) -> tuple[list[Marks], list[Marks]]:
    """Move our slider and matplotlib's in turn, through the same values."""
    ours = Slider(page, ".detlab-lab", "IoU above", 0.5)
    theirs = Slider(page, ".widget-vbox:has(> .widget-output)", "IoU above", 0.5)
    pairs = []
    for fraction in back_and_forth(NMS_STOPS, WARM_UP + events):
        place.ask(page, "pass")  # an Output widget's pictures go back and forth for a while
        first = ours.slide(fraction, {"canvas": CANVAS, "result": RESULT, "numbers": NUMBERS})
        pairs.append((first, theirs.slide(fraction, {"plot": PLOT})))
    lab, plot = zip(*pairs[WARM_UP:], strict=True)
    return list(lab), list(plot)


def check_shown(place: Place, page: Page, code: str, shown: str) -> None:
    """The page must show what the kernel has.

    Raises:
        RuntimeError: it shows something else, so what was timed is not the answer.
    """
    meant = place.ask(page, f"print({code})")
    if meant != shown:
        raise RuntimeError(f"the page shows {shown!r}, the kernel has {meant!r}")


# ---------------------------------------------------------------- a dragged box


class Box:
    """The prediction of an IoULab, dragged away from the truth: no two places have one IoU."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.node = page.locator(".dl-box").nth(1)
        frame = self.node.locator("rect").first.bounding_box()
        assert frame, "no box to drag"
        self.start = frame["x"] + frame["width"] / 4, frame["y"] + frame["height"] * 3 / 4

    def at(self, fraction: float) -> tuple[float, float]:
        """Where on the screen the pointer is after a fraction of the way, 0 to 1."""
        return self.start[0] - 90 * fraction, self.start[1] + 60 * fraction

    @contextmanager
    def held(self) -> Iterator[None]:
        """The pointer in the box, pressed."""
        self.page.mouse.move(*self.at(0.0))
        self.page.mouse.down()
        yield
        self.page.mouse.up()


def measure_drag(place: Place, options: argparse.Namespace) -> list[Row]:
    """A box under the pointer: with the kernel's answers, then while the kernel sleeps."""
    count = WARM_UP + options.events
    tour = back_and_forth([fraction / 20 for fraction in range(1, 21)], count)
    watched = {"box": BOX, "result": RESULT, "numbers": NUMBERS}
    with place.notebook("iou", "lab = labs.iou_lab()\nlab") as page:
        box = Box(page)
        with box.held():
            answered = [time_move(page, box.at(fraction), watched) for fraction in tour][WARM_UP:]
            check_shown(place, page, "lab.result", page.locator(".dl-result").inner_text())
            with sleeping_kernel(page):
                alone = [time_move(page, box.at(fraction), {"box": BOX}) for fraction in tour][
                    WARM_UP:
                ]
        check_shown(place, page, "labs.value_in_kernel(lab)", dragged_value(page))
    asleep, awake = delays(alone, "box"), delays(answered, "box")
    text = delays(answered, "result", "numbers")
    return [
        Row(
            "a dragged box, from the pointer's move to the repaint, while the kernel sleeps",
            "median ≤ 16 ms",
            f"{in_words(asleep)}; while the kernel answers, {in_words(awake)}",
            percentile(asleep, 50) <= 16 and percentile(awake, 50) <= 16,
            {"asleep": alone, "awake": answered},
        ),
        Row(
            "IoU and all numbers beside it, from the pointer's move to the new text on the screen",
            "median ≤ 35 ms",
            f"{in_words(text)}; the IoU alone, {in_words(delays(answered, 'result'))}",
            percentile(text, 50) <= 35,
        ),
    ]


@contextmanager
def sleeping_kernel(page: Page) -> Iterator[None]:
    """A kernel that answers nothing until it is interrupted."""
    kernel = "jupyterapp.shell.currentWidget.sessionContext.session.kernel"
    page.evaluate(f"void {kernel}.requestExecute({{code: 'import time; time.sleep(600)'}})")
    page.wait_for_timeout(500)
    yield
    page.evaluate(f"{kernel}.interrupt()")
    page.wait_for_timeout(1000)


def dragged_value(page: Page) -> str:
    """What a screen reader is told of the dragged box, without the help."""
    label = page.locator(".dl-box").nth(1).get_attribute("aria-label") or ""
    return label.partition(";")[0]


# ---------------------------------------------------------------- ten thousand anchors


def measure_anchors(place: Place, options: argparse.Namespace) -> list[Row]:
    """Ten thousand anchors, all drawn, take the colours of another threshold."""
    with place.notebook("anchors", "lab = labs.match_lab()\nlab") as page:
        slider = Slider(page, ".detlab-lab", "positive from", 0.5)
        stops = back_and_forth(ANCHOR_STOPS, WARM_UP + options.events)
        watched = {"canvas": CANVAS, "result": RESULT}
        marks = [slider.slide(fraction, watched) for fraction in stops][WARM_UP:]
        check_shown(place, page, "lab.result", page.locator(".dl-result").inner_text())
        count = int(place.ask(page, "print(len(lab.anchors))"))
    repaint = delays(marks, "canvas")
    return [
        Row(
            f"{count:,} anchors recoloured, from the slider's event to the repaint",
            "median ≤ 60 ms",
            in_words(repaint),
            percentile(repaint, 50) <= 60,
            {"marks": marks},
        )
    ]


# ---------------------------------------------------------------- a slow kernel

MOVES = 20
LATE = 800  # ms without any change, far more than two answers of a slow kernel


def measure_slow(place: Place, options: argparse.Namespace) -> list[Row]:
    """A kernel that takes 150 ms for each answer, and 20 moves faster than it can follow."""
    with place.notebook("slow_slider", "lab = labs.slowed(labs.nms_lab())\nlab") as page:
        slider = Slider(page, ".detlab-lab", "IoU above", 0.5)
        read = slider.readout.inner_text
        by_slider = bursts(place, page, slider, (0.5, 0.8), read, options.bursts)
    with place.notebook("slow_box", "lab = labs.slowed(labs.iou_lab())\nlab") as page:
        box = Box(page)
        by_box = bursts(place, page, box, (0.0, 1.0), lambda: dragged_value(page), options.bursts)
    return [slow_row("slider", by_slider), slow_row("dragged box", by_box)]


def bursts(
    place: Place,
    page: Page,
    hand: Slider | Box,
    way: tuple[float, float],
    shown: Callable[[], str],
    count: int,
) -> list[Marks]:
    """Bursts of moves along a way and back; the kernel must end with the value that is shown."""
    generator = random.Random(0)
    all_marks = []
    start, end = way
    with hand.held():
        for _ in range(1 + count):  # the first warms up
            place.ask(page, "lab.answers = 0")
            page.evaluate(
                "watched => stopwatch.start('pointermove', watched)",
                {"result": RESULT, "numbers": NUMBERS},
            )
            for move in range(1, MOVES + 1):
                page.mouse.move(*hand.at(start + (end - start) * move / MOVES))
                time.sleep(generator.uniform(0.01, 0.04))  # so that bursts end at any moment
            marks = settled(page, LATE, events=MOVES)
            check_shown(place, page, "labs.value_in_kernel(lab)", shown())
            check_shown(place, page, "lab.result", page.locator(".dl-result").inner_text())
            marks["answers"] = int(place.ask(page, "print(lab.answers)"))
            all_marks.append(marks)
            start, end = end, start
    return all_marks[1:]


def slow_row(hand: str, marks: list[Marks]) -> Row:
    """Of the times from the last move to the last text, the middle one counts."""
    last = delays(marks, "result", "numbers")
    answers = [float(mark["answers"]) for mark in marks]
    return Row(
        f"20 moves of a {hand} in half a second, a kernel that takes 150 ms for an answer: from "
        "the last move to its result on the screen",
        "median ≤ 300 ms",
        f"{in_words(last)}, after {spread(answers, 0)} answers",
        percentile(last, 50) <= 300,
        {"bursts": marks},
    )


# ---------------------------------------------------------------- a training that is watched


def measure_training(place: Place, options: argparse.Namespace) -> list[Row]:
    """The same steps in the notebook's kernel, with the view on the page and without, in turn."""
    start = f"training = labs.start_training({options.steps})"
    with place.notebook("training", start, shows=".widget-vbox") as page:
        seconds: dict[bool, list[float]] = {True: [], False: []}
        sent = []
        for turn in range(1 + options.rounds):
            for watched in (True, False) if turn % 2 else (False, True):
                before = page.evaluate("stopwatch.bytes.received")
                took = float(place.ask(page, f"print(training.run(watched={watched}))"))
                if turn:  # the first warms up
                    seconds[watched].append(took)
                if watched:
                    sent.append((page.evaluate("stopwatch.bytes.received") - before) / 1000)
                    page.wait_for_timeout(500)
                    shown = page.locator(".dl-result").inner_text()
                    check_shown(place, page, "training.view.result", shown)
        looks = int(place.ask(page, "print(len(training.view.ap_history))"))
    slower = [100 * (ratio - 1) for ratio in ratios(seconds[True], seconds[False])]
    return [
        Row(
            f"TrainingView: {options.steps} steps of `fit` with it, against the same without, "
            "in turn",
            "≤ 5 % slower",
            f"{spread(slower, 1)} %; {spread(seconds[True], 1)} s against "
            f"{spread(seconds[False], 1)} s, {looks} looks, {spread(sent, 0)} kB sent",
            median(slower) <= 5,
            {"watched": seconds[True], "alone": seconds[False], "sent_kb": sent},
        )
    ]


MEASUREMENTS: dict[str, Callable[[Place, argparse.Namespace], list[Row]]] = {
    "round-trip": measure_round_trip,
    "nms": measure_nms,
    "drag": measure_drag,
    "anchors": measure_anchors,
    "slow": measure_slow,
    "training": measure_training,
}

if __name__ == "__main__":
    main()
