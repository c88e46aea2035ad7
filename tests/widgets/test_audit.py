"""The audit lab shows what was found, remembers the marks, and counts them against the list."""

from dataclasses import replace

import pytest
import torch
from PIL import Image

from detlab.audit.findings import Audit
from detlab.audit.kinds import Finding
from detlab.data.records import DataError, make_record
from detlab.widgets import AuditLab
from detlab.widgets.roles import STATE

NAMES = ("background", "fish", "shark")
BOXES = [
    ("object 0", 1, [20.0, 30.0, 30.0, 36.0]),
    ("object 1", 2, [100.0, 20.0, 180.0, 100.0]),
    ("object 2", 2, [101.0, 20.0, 181.0, 100.0]),
]


@pytest.fixture
def records(tmp_path):
    """Three pictures, 150 x 200, whose pixels all differ: three boxes, one box, none."""
    made = []
    for number, objects in enumerate([BOXES, BOXES[:1], []]):
        path = tmp_path / f"reef_{number}.png"
        ramp = torch.arange(150 * 200).reshape(150, 200)
        image = torch.stack([ramp % 256, ramp // 256, torch.full_like(ramp, 80 * number)], dim=2)
        Image.fromarray(image.byte().numpy()).save(path)
        made.append(make_record(path, (150, 200), objects, path))
    return made


@pytest.fixture
def findings(records):
    first, second, third = records
    return [
        Finding("twins", (first, second), (), "the same scene, 0.91, in train"),
        Finding("odd size", (first,), (0,), "object 0, fish, is 8 px across"),
        Finding("double box", (first,), (1, 2), "object 1 and object 2 have IoU 0.98"),
        Finding("no object", (third,), (), "no object in this picture"),
    ]


@pytest.fixture
def lab(findings):
    return AuditLab(findings, NAMES, faults={1, 2})


def words(lab):
    return [line for item in lab.items for line in item.lines()]


def test_twins_stand_side_by_side_under_their_labels(lab):
    assert lab.canvas.image_size == (150, 406)
    assert lab.canvas.states.tolist() == [STATE["other"]] * 4
    assert lab.canvas.boxes[3].tolist() == [226, 30, 236, 36]
    assert ("left", "reef_0") in words(lab)
    assert ("right", "reef_1") in words(lab)
    assert ("labels", "4") in words(lab)


def test_of_a_scene_in_many_pictures_the_first_are_shown(records):
    scene = Finding("twins", tuple(records * 3), (), "the same scene in 9 pictures")
    lab = AuditLab([scene], NAMES)
    assert ("1 to 4 of 9", "reef_0") in words(lab)
    assert lab.canvas.image_size[0] < 2.2 * 150


def test_a_small_box_is_shown_close_and_on_the_same_pixels(lab, records):
    lab.finding = 1
    assert lab.canvas.states.tolist() == [STATE["truth"], STATE["other"], STATE["other"]]
    height, width = lab.canvas.image_size
    assert (height, width) < (150, 200)
    whole = Image.open(records[0].image)
    x1, y1, x2, y2 = map(int, lab.canvas.boxes[0].tolist())
    assert (x2 - x1, y2 - y1) == (10, 6)
    seen = lab.canvas.image[:, y1:y2, x1:x2].permute(1, 2, 0).tolist()
    assert seen[0][0] == list(whole.getpixel((20, 30)))
    assert seen[5][9] == list(whole.getpixel((29, 35)))
    assert ("enlarged", f"{200 / width:.1f} ×") in words(lab)
    lab.whole = True
    assert lab.canvas.image_size == (150, 200)
    assert lab.canvas.boxes[0].tolist() == [20, 30, 30, 36]
    assert ("picture", "reef_0") in words(lab)
    assert not any(label == "enlarged" for label, _ in words(lab))


def test_two_boxes_that_rival_each_other_have_two_lines(lab):
    lab.finding = 2
    assert lab.canvas.image_size == (128, 171)  # 1.6 times as high as both boxes
    assert lab.canvas.states.tolist() == [STATE["other"], STATE["truth"], STATE["second"]]
    assert [item.role for item in lab.items if getattr(item, "role", "")] == [
        *("truth", "second", "other")
    ]


def test_a_picture_without_labels_is_shown_bare(lab):
    lab.finding = 3
    assert lab.canvas.image_size == (150, 200)
    assert len(lab.canvas.states) == 0


def test_each_kind_asks_its_own_question_and_says_what_was_found(lab, findings):
    asked = set()
    for index, finding in enumerate(findings):
        lab.finding = index
        asked.add(lab._header.title)
        assert (finding.what, "") in words(lab)
        assert lab._header.title.endswith("Fix, or keep")
    assert len(asked) == 4


def test_an_unknown_kind_is_asked_about_in_general(findings):
    lab = AuditLab([findings[1]._replace(kind="wrong class")], NAMES)
    assert lab._header.title == "Is this label right? Fix, or keep"


def test_next_and_back_end_at_the_ends(lab):
    lab.back()
    assert lab.finding == 0
    for _ in range(9):
        lab.next()
    assert lab.finding == 3
    lab.back()
    assert lab.finding == 2


def test_buttons_mark_and_step(lab):
    lab.mark_buttons["keep"].click()
    assert lab.marks == {0: "keep"}
    lab.step_buttons["next"].click()
    assert lab.finding == 1
    lab.step_buttons["back"].click()
    lab.mark_buttons["fix"].click()
    assert lab.marks == {0: "fix"}


def test_the_mark_has_a_tick_and_what_to_press_now_is_in_colour(lab):
    fix, keep, back, next_ = [*lab.mark_buttons.values(), *lab.step_buttons.values()]

    def in_colour():
        return [button for button in (fix, keep, back, next_) if button.button_style]

    assert in_colour() == [fix, keep]
    lab.keep()
    assert (fix.description, keep.description) == ("fix (f)", "✓ keep (k)")
    assert in_colour() == [next_]
    lab.next()
    assert (fix.description, keep.description) == ("fix (f)", "keep (k)")
    assert in_colour() == [fix, keep]
    lab.finding = 3
    lab.fix()
    assert in_colour() == []


def test_a_key_from_the_browser_does_what_its_button_does(lab):
    for key in ("ArrowRight", "f", "ArrowRight", "ArrowRight", "ArrowLeft", "k"):
        lab.canvas._handle_custom_msg({"key": key}, [])
    assert lab.finding == 2
    assert lab.marks == {1: "fix", 2: "keep"}


@pytest.mark.parametrize(
    ("finding", "mark", "said", "sign"),
    [
        (1, "fix", "agrees: a fault", "✓"),
        (1, "keep", "disagrees: a fault", "✗"),
        (0, "fix", "disagrees: no fault", "✗"),
        (0, "keep", "agrees: no fault", "✓"),
    ],
)
def test_the_list_of_known_faults_answers_each_mark(lab, finding, mark, said, sign):
    lab.finding = finding
    assert not any("known faults" in label for label, _ in words(lab))
    lab.marks = {finding: mark}
    assert (f"The list of known faults {said}", sign) in words(lab)
    assert lab.result.endswith("as the list says" if sign == "✓" else "the list disagrees")


def test_at_the_end_faults_and_changed_labels_are_counted(lab):
    lab.marks = {0: "fix", 1: "fix", 2: "keep"}
    assert repr(lab) == "<audit lab: 1 of 4, twins: fix, the list disagrees>"
    assert not any(label == "faults found" for label, _ in words(lab))
    lab.marks = {**lab.marks, 3: "fix"}
    assert (lab.num_marked, lab.num_found, lab.num_changed) == (4, 1, 2)
    assert ("faults found", "1 of 2") in words(lab)
    assert ("sound ones changed", "2") in words(lab)
    assert repr(lab) == "<audit lab: 1 of 4; faults found: 1 of 2, sound ones changed: 2>"


def test_where_nobody_knows_the_faults_nothing_is_said(findings):
    lab = AuditLab(findings, NAMES)
    assert repr(lab) == "<audit lab: 1 of 4, twins: not marked yet>"
    lab.fix()
    assert repr(lab) == "<audit lab: 1 of 4, twins: fix>"
    lab.marks = {**dict.fromkeys(range(3), "fix"), 3: "keep"}
    assert repr(lab) == "<audit lab: 1 of 4; to fix: 3, to keep: 1>"
    assert not any("list" in label for label, _ in words(lab))


def test_an_empty_list_of_faults_is_a_list(findings):
    lab = AuditLab(findings, NAMES, faults=())
    lab.keep()
    assert ("The list of known faults agrees: no fault", "✓") in words(lab)


def test_presets_lead_to_the_first_of_each_kind_and_reset_forgets_the_marks(lab):
    assert list(lab.buttons) == ["twins", "odd size", "double box", "no object", "reset"]
    lab.preset("double box")
    assert lab.finding == 2
    lab.fix()
    lab.preset("reset")
    assert (lab.finding, lab.marks) == (0, {})


def test_a_task_is_about_the_number_of_marks(findings):
    lab = AuditLab(findings, NAMES, task="Mark all 4 findings")
    lab.marks = dict.fromkeys(range(3), "keep")
    assert not lab.reached
    lab.marks = dict.fromkeys(range(4), "keep")
    assert lab.reached


@pytest.mark.parametrize("finding", [-1, 4])
def test_a_finding_that_is_not_there_cannot_be_shown(lab, finding):
    with pytest.raises(ValueError, match=f"finding: want 0 to 3, got {finding}"):
        lab.finding = finding
    assert lab.finding == 0


@pytest.mark.parametrize("marks", [{4: "fix"}, {0: "delete"}, {"0": "keep"}])
def test_marks_that_mean_nothing_are_refused(lab, marks):
    with pytest.raises(ValueError, match='marks: want 0 to 3 with "fix" or "keep", got'):
        lab.marks = marks
    assert lab.marks == {}


def test_the_dict_that_marks_were_set_from_is_nobody_elses(lab):
    given = {0: "fix"}
    lab.marks = given
    given.clear()
    assert lab.marks == {0: "fix"}


def test_arguments_that_do_not_fit_are_refused(findings):
    with pytest.raises(ValueError, match="findings: want one at least"):
        AuditLab([], NAMES)
    with pytest.raises(ValueError, match=r"findings\[0\]: want one picture at least"):
        AuditLab([Finding("twins", (), (), "")], NAMES)
    with pytest.raises(ValueError, match=r"findings\[1\]: want rows of its picture's 3 boxes, got"):
        AuditLab([findings[0], findings[1]._replace(boxes=(3,))], NAMES)
    with pytest.raises(ValueError, match=r"faults: want indices from 0 to 3, got \[7\]"):
        AuditLab(findings, NAMES, faults=[0, 7])
    with pytest.raises(ValueError, match="class_names: want a name for label 2, got 2"):
        AuditLab(findings[::-1], NAMES[:2])  # said before such a label is shown


@pytest.mark.usefixtures("no_shape_checks")
def test_an_audit_is_no_list_of_findings(findings):
    whole = Audit(tuple(findings), {}, {}, {}, {})
    with pytest.raises(ValueError, match="findings: want a list of Finding, got Audit"):
        AuditLab(whole, NAMES)
    assert AuditLab(whole.findings, NAMES).finding == 0


def test_a_picture_that_cannot_be_read_is_refused_before_anything_is_shown(findings, records):
    records[2].image.write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"reef_2\.png: not a picture"):
        AuditLab(findings, NAMES)


def test_a_box_without_area_is_shown_with_what_is_around_it(records, findings):
    record = records[0]
    record.boxes[0] = torch.tensor([199.0, 75.0, 199.0, 75.0])
    lab = AuditLab(findings[1:2], NAMES)
    assert lab.canvas.image_size == (38, 50)
    x1, y1, x2, y2 = lab.canvas.boxes[0].tolist()
    assert x1 == x2 == 49
    assert 0 <= y1 == y2 <= 38


def test_a_file_may_be_named_by_what_is_mathematics_elsewhere(records, findings):
    path = records[0].image.with_name("a$_$b.png")
    records[0].image.rename(path)
    lab = AuditLab([findings[1]._replace(records=(replace(records[0], image=path),))], NAMES)
    assert lab._repr_mimebundle_()["image/png"].startswith(b"\x89PNG")


def test_a_mark_reads_and_sends_no_picture_again(lab, records):
    records[1].image.unlink()
    sent = []
    lab.canvas.observe(lambda change: sent.append(change["name"]), names=["_picture", "_boxes"])
    lab.fix()
    assert sent == []
    lab.next()
    assert sent == ["_picture", "_boxes"]


def test_the_static_picture_and_the_text_have_no_address(lab):
    lab.finding = 2
    bundle = lab._repr_mimebundle_()
    assert bundle["image/png"][:4] == b"\x89PNG"
    assert bundle["text/plain"] == "<audit lab: 3 of 4, double box: not marked yet>"


def test_shortcuts_are_heard_on_the_picture_and_nowhere_else(alone, lab):
    page = alone(lab.canvas)
    page.page.keyboard.press("f")  # nothing has the focus
    assert page.sent == []
    page.page.locator(".dl-stage").click()
    for key in ("f", "f", "Shift+K", "ArrowRight", "Control+f", "x", "d"):
        page.page.keyboard.press(key)
    assert page.sent == [["message", {"key": key}] for key in ("f", "f", "k", "ArrowRight")]


def test_the_picture_takes_the_focus_keeps_its_keys_and_says_what_they_do(alone, lab):
    page = alone(lab.canvas)
    page.page.keyboard.press("Tab")
    stage = page.page.locator(".dl-stage:focus")
    assert stage.get_attribute("data-lm-suppress-shortcuts") == "true"
    label = stage.get_attribute("aria-label")
    keys = "f: fix; k: keep; ArrowLeft: back; ArrowRight: next"
    assert label == f"twins: reef_0, reef_1; {keys}"
    page.python_sets("alt", "odd size: reef_0")
    assert stage.get_attribute("aria-label") == f"odd size: reef_0; {keys}"


CELL = """
import tempfile
from pathlib import Path
from PIL import Image
from detlab.audit.kinds import Finding
from detlab.data.records import make_record
from detlab.widgets import AuditLab
folder = Path(tempfile.mkdtemp())
records = []
for number in range(3):
    path = folder / f"{number}.png"
    Image.new("RGB", (200, 150), (60 * number, 90, 120)).save(path)
    records.append(make_record(path, (150, 200), [("object 0", 1, [20, 30, 60, 80])], path))
findings = [Finding("odd size", (each,), (0,), "object 0 is odd") for each in records]
lab = AuditLab(findings, ("background", "fish"), faults={0})
lab
"""


def wait_for_result(page, words):
    page.wait_for_function(
        "words => document.querySelector('.dl-result').textContent.includes(words)", arg=words
    )


def test_an_audit_is_done_in_jupyterlab_by_keyboard_alone(jupyter, page):
    jupyter.write("audit.ipynb", CELL, "'the last cell'")
    jupyter.open(page, "audit.ipynb")
    jupyter.run_all(page)
    page.wait_for_selector(".dl-stage[tabindex]", timeout=240_000)
    cells = "jupyterapp.shell.currentWidget.content.model.cells.length"
    page.locator(".dl-stage").focus()
    page.keyboard.press("f")  # at first JupyterLab changes the kernel's thread: a person is slower
    wait_for_result(page, "1 of 3, odd size: fix, as the list says")
    for key in ("ArrowRight", "k", "ArrowRight", "x", "d", "d", "ArrowLeft", "ArrowRight"):
        page.keyboard.press(key)
    page.locator(".detlab-lab button", has_text="keep").focus()
    page.keyboard.press("Enter")
    wait_for_result(page, "faults found: 1 of 1, sound ones changed: 0")
    page.keyboard.press("ArrowLeft")  # on a button the keys of the lab work, too
    page.keyboard.press("f")
    wait_for_result(page, "sound ones changed: 1")
    for key in ("x", "d", "d", "Backspace"):
        page.keyboard.press(key)
    assert page.evaluate(cells) == 2
    assert jupyter.ask(page, "print(lab.finding, lab.marks)") == (
        "1 {0: 'fix', 1: 'fix', 2: 'keep'}"
    )
