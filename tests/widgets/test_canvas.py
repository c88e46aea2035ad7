"""The drawing surface: what Python refuses and sends, and what the module does alone."""

import pytest
import torch
from matplotlib.figure import Figure

from detlab.widgets import BoxCanvas
from detlab.widgets.canvas import check_image
from detlab.widgets.picture import draw_canvas
from detlab.widgets.roles import ROLES, STATE

WIDE = 640  # the page's lab is this many pixels wide, the picture 200: 3.2 screen pixels each
SCALE = WIDE / 200


def editable(picture, box=(50.0, 30.0, 100.0, 90.0), **traits):
    canvas = BoxCanvas(picture, "a test picture", **traits)
    canvas.editable = [{"name": "truth", "role": "truth"}]
    canvas.edited = [list(box)]
    return canvas


def on_screen(x, y):
    return x * SCALE, y * SCALE


@pytest.mark.parametrize(
    "image",
    [None, torch.zeros(3, 4, 5), torch.zeros(4, 5, dtype=torch.uint8), "reef.png"],
)
def test_what_is_no_picture_is_refused(image):
    with pytest.raises(ValueError, match=r"image: want a uint8 tensor \[3, H, W\], got"):
        check_image(image)


def test_one_byte_a_box_is_sent_and_wrong_states_are_refused(picture):
    canvas = BoxCanvas(picture, "x")
    canvas.show_boxes(torch.tensor([[0.0, 0.0, 5.0, 5.0]] * 7), "negative")
    assert len(canvas._boxes) == 7 * 16
    assert canvas.states.tolist() == [STATE["negative"]] * 7
    with pytest.raises(ValueError, match=r"one per box \(7\)"):
        canvas.show_states(torch.zeros(6, dtype=torch.uint8))
    with pytest.raises(ValueError, match="got 99"):
        canvas.show_states(torch.full((7,), 99, dtype=torch.uint8))
    with pytest.raises(ValueError, match="no role 'nothing'"):
        canvas.show_boxes(torch.zeros(1, 4), "nothing")


@pytest.mark.parametrize(
    ("trait", "value"),
    [("edited", [[40.0, 30.0, 90.0, 80.0]]), ("selected", 0), ("cursor", [7.0, 9.0])],
)
def test_what_a_hand_moves_is_not_sent_back(picture, monkeypatch, trait, value):
    canvas, sent = editable(picture), []
    monkeypatch.setattr(canvas, "_send", lambda message, buffers=None: sent.append(message))
    update = {"method": "update", "state": {trait: value}}
    canvas._handle_msg({"content": {"data": update}, "buffers": []})
    assert getattr(canvas, trait) == value
    assert sent == []


def test_the_static_picture_has_its_boxes_where_the_canvas_has_them(picture):
    canvas = BoxCanvas(picture, "x")
    canvas.show_boxes(torch.tensor([[20.0, 30.0, 60.0, 120.0]]), "truth")
    axes = Figure().add_subplot()
    draw_canvas(axes, canvas)
    [*_, line] = [each for each in axes.collections if each.get_paths()]
    around = line.get_paths()[0].vertices
    assert (*around.min(axis=0), *around.max(axis=0)) == (20, 30, 60, 120)


def test_roles_differ_without_colour():
    lines = {name: ROLES[name].dash for name in ROLES if name not in ("hidden", "shared", "focus")}
    assert len(set(lines.values())) == len(lines)
    assert len({ROLES[name].colour for name in lines}) == len(lines)


def test_dragging_moves_a_box_and_keeps_it_inside(alone, picture):
    page = alone(editable(picture))
    page.drag(on_screen(60, 60), on_screen(70, 50))
    assert page.last("edited") == [[60, 20, 110, 80]]
    page.drag(on_screen(70, 50), on_screen(-50, -50))
    assert page.last("edited") == [[0, 0, 50, 60]]


@pytest.mark.parametrize(
    ("edge", "at", "expected"),
    [
        ("nw", (50, 30), [40, 20, 100, 90]),
        ("n", (75, 30), [50, 20, 100, 90]),
        ("ne", (100, 30), [50, 20, 90, 90]),
        ("e", (100, 60), [50, 30, 90, 90]),
        ("se", (100, 90), [50, 30, 90, 80]),
        ("s", (75, 90), [50, 30, 100, 80]),
        ("sw", (50, 90), [40, 30, 100, 80]),
        ("w", (50, 60), [40, 30, 100, 90]),
    ],
)
def test_each_handle_pulls_its_own_edges(alone, picture, edge, at, expected):
    page = alone(editable(picture))
    page.drag(on_screen(*at), on_screen(at[0] - 10, at[1] - 10))
    assert page.last("edited") == [expected]


def test_a_box_is_never_turned_inside_out(alone, picture):
    page = alone(editable(picture))
    page.drag(on_screen(100, 90), on_screen(5, 5))
    assert page.last("edited") == [[50, 30, 51, 31]]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("ArrowRight", [51, 30, 101, 90]),
        ("ArrowUp", [50, 29, 100, 89]),
        ("Control+ArrowLeft", [40, 30, 90, 90]),
        ("Shift+ArrowDown", [50, 30, 100, 91]),
        ("Control+Shift+ArrowRight", [50, 30, 110, 90]),
    ],
)
def test_arrow_keys_move_and_resize(alone, picture, key, expected):
    page = alone(editable(picture))
    page.page.keyboard.press("Tab")
    page.page.keyboard.press(key)
    assert page.last("edited") == [expected]


def test_touch_drags_too(browser, picture):
    from .alone import Alone

    context = browser.new_context(has_touch=True, viewport={"width": 800, "height": 700})
    page = Alone(context.new_page(), editable(picture))
    session = context.new_cdp_session(page.page)
    for kind, at in [("touchStart", (60, 60)), ("touchMove", (65, 60)), ("touchMove", (70, 60))]:
        x, y = on_screen(*at)
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.page.wait_for_timeout(80)
    assert page.last("edited") == [[60, 30, 110, 90]]
    context.close()


def test_a_second_finger_that_lifts_does_not_end_the_drag(alone, picture):
    page = alone(editable(picture))
    page.page.mouse.move(*on_screen(60, 60))
    page.page.mouse.down()
    page.page.evaluate(
        """() => document.querySelector(".dl-stage").dispatchEvent(
            new PointerEvent("pointerup", { pointerId: 77, bubbles: true }))"""
    )
    page.page.mouse.move(*on_screen(70, 60))
    page.page.mouse.up()
    assert page.last("edited") == [[60, 30, 110, 90]]


def test_every_focusable_element_keeps_its_keys(alone, picture):
    canvas = editable(picture, selectable=True, cursor=[20.0, 20.0])
    page = alone(canvas)
    focusable = page.page.locator("[tabindex]")
    assert focusable.count() == 3
    assert page.page.locator("[tabindex]:not([data-lm-suppress-shortcuts='true'])").count() == 0


def test_every_focusable_element_has_a_name(alone, picture):
    page = alone(editable(picture, selectable=True, cursor=[20.0, 20.0]))
    names = page.page.locator("[tabindex]").evaluate_all(
        "nodes => nodes.map((node) => node.getAttribute('aria-label'))"
    )
    assert any("truth: x 50 to 100, y 30 to 90" in name for name in names)
    assert all("arrow keys" in name for name in names)


def test_python_moves_the_box_and_the_module_stays_silent(alone, picture):
    page = alone(editable(picture))
    page.python_sets("edited", [[10.0, 10.0, 30.0, 30.0]])
    x = page.page.locator(".dl-box > rect").first.get_attribute("x")
    assert float(x) == pytest.approx(10 * SCALE)
    assert page.sent == []


@pytest.fixture
def fish_in_whale(picture):
    """A small box in a large one, each with its name."""
    canvas = BoxCanvas(picture, "x")
    boxes = torch.tensor([[0.0, 0.0, 100.0, 100.0], [20.0, 20.0, 40.0, 40.0]])
    canvas.show_boxes(boxes, "prediction", ["whale", "fish"])
    return canvas


def test_hovering_names_the_smallest_box(alone, fish_in_whale):
    page = alone(fish_in_whale)
    page.page.mouse.move(*on_screen(30, 30))
    assert page.page.locator(".dl-tip").text_content() == "fish"
    page.page.mouse.move(*on_screen(60, 60))
    assert page.page.locator(".dl-tip").text_content() == "whale"
    page.page.mouse.move(*on_screen(150, 120))
    assert page.page.locator(".dl-tip").is_hidden()


def test_what_was_hovered_over_is_forgotten_when_other_boxes_come(alone, fish_in_whale):
    page = alone(fish_in_whale)
    page.page.mouse.move(*on_screen(30, 30))
    assert page.page.locator(".dl-tip").is_visible()
    page.python_sets("_boxes", fish_in_whale._boxes[:16])
    assert page.page.locator(".dl-tip").is_hidden()
    assert page.page.locator("svg rect[x=NaN]").count() == 0


def test_boxes_are_chosen_by_click_and_by_key_and_hidden_ones_are_not(alone, picture):
    canvas = BoxCanvas(picture, "x", selectable=True)
    boxes = torch.tensor([[0.0, 0.0, 50.0, 50.0], [0, 0, 40, 40], [100, 10, 150, 60]]).float()
    canvas.show_boxes(boxes, torch.tensor([1, 0, 1], dtype=torch.uint8))
    page = alone(canvas)
    page.page.mouse.click(*on_screen(20, 20))
    assert page.last("selected") == 0
    page.page.keyboard.press("ArrowRight")
    assert page.last("selected") == 2
    page.page.keyboard.press("ArrowRight")
    assert page.last("selected") == 0


def test_the_cursor_follows_click_and_keys(alone, picture):
    page = alone(BoxCanvas(picture, "x", cursor=[20.0, 20.0], cursor_step=[8.0, 4.0]))
    page.page.mouse.click(*on_screen(100, 50))
    assert page.last("cursor") == pytest.approx([100, 50])
    page.page.keyboard.press("ArrowRight")
    page.page.keyboard.press("ArrowUp")
    assert page.last("cursor") == pytest.approx([108, 46])


def pixel(page, x, y):
    """The drawn colour at a picture's point, as red green blue alpha."""
    return page.page.evaluate(
        """([x, y]) => {
            const surface = document.querySelector('canvas');
            const ratio = surface.width / surface.clientWidth;
            return [...surface.getContext('2d').getImageData(x * ratio, y * ratio, 1, 1).data];
        }""",
        [x * SCALE, y * SCALE],
    )


def test_a_new_state_is_a_new_colour_on_screen(alone, picture):
    canvas = BoxCanvas(picture, "x")
    canvas.show_boxes(torch.tensor([[20.0, 20.0, 60.0, 60.0]]), "truth")
    page = alone(canvas)
    red, green, blue, alpha = pixel(page, 20, 40)
    assert alpha == 255
    assert (red, green, blue) == (0x35, 0xE0, 0xA1)
    page.python_sets("_states", bytes([STATE["hidden"]]))
    assert pixel(page, 20, 40)[3] == 0


def test_the_canvas_is_sharp_on_a_dense_screen(browser, picture):
    from .alone import Alone

    context = browser.new_context(device_scale_factor=2)
    page = Alone(context.new_page(), editable(picture))
    assert page.page.evaluate("document.querySelector('canvas').width") == 2 * WIDE
    context.close()


SCREEN = """
let ask = () => {};  // headless browsers ask nobody when a page is zoomed
window.matchMedia = (query) => ({ addEventListener: (_, answer) => (ask = () => answer()) });
window.zoom = (ratio) => {
  Object.defineProperty(window, "devicePixelRatio", { value: ratio, configurable: true });
  const asked = ask;
  ask = () => {};  // a question is about one sharpness, and answered once
  asked();
};
"""


def test_the_canvas_stays_sharp_however_often_the_page_is_zoomed(page, picture):
    from .alone import Alone

    page.add_init_script(SCREEN)
    page.goto("about:blank")
    drawn = Alone(page, editable(picture))
    for ratio in (1.5, 2.0, 3.0):
        page.evaluate("ratio => zoom(ratio)", ratio)
        drawn.wait_for_paint()
        assert page.evaluate("document.querySelector('canvas').width") == ratio * WIDE


def test_a_narrow_window_scales_everything(alone, picture):
    page = alone(editable(picture))
    page.page.evaluate("document.getElementById('lab').style.width = '320px'")
    page.page.wait_for_timeout(80)
    x = page.page.locator(".dl-box > rect").first.get_attribute("x")
    assert float(x) == pytest.approx(50 * 320 / 200)


def test_nothing_is_fetched_from_a_network(alone, picture):
    page = alone(editable(picture))
    assert all(url.startswith(("blob:", "about:", "data:")) for url in page.requests)


def test_closing_a_view_stops_listening(alone, picture):
    page = alone(editable(picture))
    assert page.page.evaluate("model.listeners()") > 10
    page.page.evaluate("stop()")
    assert page.page.evaluate("model.listeners()") == 0


def test_the_result_is_read_aloud(alone, picture):
    page = alone(editable(picture, result="IoU = 0.5"))
    line = page.page.locator(".dl-result[aria-live=polite]")
    assert line.text_content() == "IoU = 0.5"
    page.python_sets("result", "IoU = 0.6")
    assert line.text_content() == "IoU = 0.6"
