"""What the commands say: aligned, whole, and with a dash where there is no number."""

import csv
import json
import math
from pathlib import Path

from detlab.cli.printout import (
    in_words,
    metrics_row,
    print_audit,
    print_check,
    print_faults,
    print_metrics,
    print_table,
)
from detlab.data.records import Fault
from detlab.metrics.coco import Metrics
from tests.sample_folders import SCENES, coco_content, coco_folder

METRICS = Metrics({"AP": 0.5, "AP_large": math.nan}, {"cat": 0.25, "dogfish": math.nan}, 12.4)


def test_an_evaluation_is_one_number_a_line_with_a_dash_where_there_was_none(capsys):
    print_metrics(METRICS)
    assert capsys.readouterr().out.splitlines() == [
        "AP             0.500",
        "AP_large       –",
        "AP of cat      0.250",
        "AP of dogfish  –",
        "pictures/s     12",
    ]


def test_as_json_a_number_that_is_none_is_null():
    row = metrics_row(METRICS)
    assert row["class_ap"] == {"cat": 0.25, "dogfish": None}
    assert (row["AP"], row["AP_large"], row["images_per_second"]) == (0.5, None, 12.4)
    assert json.loads(json.dumps(row, allow_nan=False)) == row


def test_columns_are_as_wide_as_their_widest_cell_and_end_without_spaces(capsys):
    print_table([{"name": "reef", "what": "drawn"}, {"name": "aquarium", "what": "photographs"}])
    assert capsys.readouterr().out.splitlines() == [
        "name      what",
        "reef      drawn",
        "aquarium  photographs",
    ]


def test_one_fault_is_not_called_faults(capsys):
    fault = Fault(Path("a.json"), "annotation 3", "has no area")
    for count, words in enumerate(("pets: no faults", "pets: 1 fault", "pets: 2 faults")):
        print_faults(Path("pets"), [fault] * count)
        *listed, total = capsys.readouterr().out.splitlines()
        assert (listed, total) == ([str(fault)] * count, words)


def test_a_set_without_a_sound_picture_is_not_audited(capsys):
    assert print_audit({"train": []}, ("background", "cat")) == []
    assert capsys.readouterr().out == ""


def test_a_check_gives_the_number_of_faults_and_draws_faulty_boxes_too(tmp_path, capsys):
    content = coco_content()
    content["annotations"][0]["bbox"][2] = -1.0
    folder = coco_folder(tmp_path / "pets", content=content)
    assert print_check(str(folder), [tmp_path / "sheet.png", tmp_path / "audit.csv"]) == 1
    said = capsys.readouterr().out
    assert "drawn in" in said
    assert (tmp_path / "sheet.png").stat().st_size > 1000
    with (tmp_path / "audit.csv").open(encoding="utf-8", newline="") as file:
        kind, *others = list(csv.DictReader(file))
    assert (kind["kind"], kind["split"], kind["objects"]) == ("left out", "train", "annotation 100")
    assert f"{1 + len(others)} findings are listed in" in said

    sound = coco_folder(tmp_path / "sound", scenes={"a": SCENES["a"]})
    assert print_check(str(sound)) == 0
    assert f"{sound}: no faults" in capsys.readouterr().out


def test_however_much_was_found_an_audit_is_a_page(tmp_path, capsys):
    folder = coco_folder(tmp_path / "pets", scenes=dict.fromkeys(map(str, range(60)), SCENES["a"]))
    assert print_check(str(folder)) == 0
    _, _, page = capsys.readouterr().out.partition("no faults\n")
    lines = page.splitlines()
    assert len(lines) <= 1 + 20  # an empty one before
    assert max(map(len, lines)) < 250
    assert "  twins: 0.png, 1.png and 58 more: the same scene in 60 pictures" in page
    assert "(alike: so much of the light and dark" in page


def test_of_many_classes_the_first_are_counted():
    assert in_words({f"class{row}": row for row in range(300)}).endswith("19 class19 and 280 more")
