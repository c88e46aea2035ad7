"""What `detlab data check` says."""

import csv
import json
from pathlib import Path

from detlab.cli.data_check import print_check, print_faults
from detlab.data.records import Fault
from tests.sample_folders import SCENES, coco_content, coco_folder, yolo_folder


def test_one_fault_is_not_called_faults(capsys):
    fault = Fault(Path("a.json"), "annotation 3", "has no area")
    for count, words in enumerate(("pets: no faults", "pets: 1 fault", "pets: 2 faults")):
        print_faults(Path("pets"), [fault] * count)
        *listed, total = capsys.readouterr().out.splitlines()
        assert (listed, total) == ([str(fault)] * count, words)


def test_of_many_faults_the_first_are_printed(capsys):
    faults = [Fault(Path("a.json"), f"annotation {row}", "has no area") for row in range(50)]
    print_faults(Path("pets"), faults)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 22
    assert lines[-2:] == ["… and 30 more; --json prints all", "pets: 50 faults"]


def test_a_check_begins_with_how_the_set_is_understood(tmp_path, capsys):
    folder = yolo_folder(yolo_folder(tmp_path / "pets", "train"), "valid")
    for path in (folder / "labels" / "valid").iterdir():
        path.unlink()
    print_check(str(folder))
    assert capsys.readouterr().out.splitlines()[:5] == [
        "YOLO: splits by folder",
        "pictures: 3 train; 3 val without labels",
        "boxes: 2 cat, 1 dog",
        "pictures have no label file, and are taken for empty: images/train/c.png",
        f"{folder}: no faults",
    ]


def test_a_set_without_splits_is_called_so(tmp_path, capsys):
    print_check(str(yolo_folder(tmp_path / "pets")))
    assert "pictures: 3 in no splits\n" in capsys.readouterr().out


def test_all_of_a_check_is_there_as_json(tmp_path, capsys):
    content = coco_content()
    content["annotations"][0]["bbox"][2] = 0.0
    folder = coco_folder(tmp_path / "pets", content=content)
    assert print_check(str(folder), as_json=True) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["layout"] == "COCO: instances_train.json"
    assert said["splits"] == {"train": {"pictures": 3, "boxes": 2}}
    assert said["classes"] == {"cat": 2, "dog": 0}
    (fault,) = said["faults"]
    assert (fault["split"], fault["record"]) == ("train", "a annotation 100")
    assert "no object" in {finding["kind"] for finding in said["findings"]}


def test_a_set_without_a_sound_picture_is_not_audited(tmp_path, capsys):
    folder = coco_folder(tmp_path / "pets")
    for path in (folder / "images").iterdir():
        path.write_bytes(b"no picture")
    assert print_check(str(folder)) == 3
    assert "worth a second look" not in capsys.readouterr().out


def test_a_check_gives_the_number_of_faults_and_draws_faulty_boxes_too(tmp_path, capsys):
    content = coco_content()
    content["annotations"][0]["bbox"][2] = 0.0
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
