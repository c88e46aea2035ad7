import json
import math
from pathlib import Path

import pytest
import torch

from detlab.data.check import box_fault, check_all, check_record, sound_part
from detlab.data.folders import list_splits, read_split
from detlab.data.records import Annotations, DataError, Fault, Note, Object, make_record
from tests.sample_folders import HEIGHT, WIDTH, coco_content, coco_folder, voc_folder, write_picture

SIZE = (HEIGHT, WIDTH)


@pytest.mark.parametrize(
    ("box", "fault"),
    [
        ([0, 0, 60, 40], None),
        ([-1, -1, 61, 41], None),  # a pixel too far is rounding
        ([59.5, 39.5, 60, 40], None),
        ([-5, -5, 65, 45], None),  # a slip of the hand: clipped, with a note
        ([0, 0, 65.5, 40], "outside the 60x40 picture"),
        ([-5.5, 0, 60, 40], "outside"),
        ([0, -5.5, 60, 40], "outside"),
        ([0, 0, 60, 45.5], "outside"),
        ([5, 5, 5, 9], "no area"),
        ([5, 5, 9, 5], "no area"),
        ([9, 5, 5, 9], "no area"),
        ([-1, 0, 0, 9], "no area"),  # nothing of it is inside
        ([60, 0, 61, 9], "no area"),
        ([math.nan, 0, 5, 9], "four finite numbers"),
        ([0, 0, math.inf, 9], "four finite numbers"),
    ],
)
def test_a_box_is_checked_by_its_numbers(box, fault):
    said = box_fault([float(value) for value in box], SIZE)
    assert (said is None) if fault is None else (fault in said)


def record_of(path: Path, boxes, image_size=SIZE):
    objects = [(f"object {i}", 1, [float(v) for v in box]) for i, box in enumerate(boxes, start=1)]
    return make_record(path, image_size, objects, Path("a.xml"))


def test_bad_boxes_go_alone_and_the_others_are_clipped(tmp_path):
    path = write_picture(tmp_path / "a.png")
    (sound,), faults, _ = check_record(
        record_of(path, [[-1, 2, 60.5, 20], [5, 5, 5, 5], [1, 2, 3, 4]])
    )
    assert sound.boxes.tolist() == [[0, 2, 60, 20], [1, 2, 3, 4]]
    assert sound.objects == ("object 1", "object 3")
    assert sound.labels.tolist() == [1, 1]
    assert [(fault.file, fault.record) for fault in faults] == [(Path("a.xml"), "a object 2")]


def test_a_picture_without_objects_is_sound(tmp_path):
    (sound,), faults, _ = check_record(record_of(write_picture(tmp_path / "a.png"), []))
    assert sound.boxes.shape == (0, 4)
    assert faults == []


def test_the_true_size_is_filled_in(tmp_path):
    path = write_picture(tmp_path / "a.png")
    (sound,), *_ = check_record(record_of(path, [], image_size=None))
    assert sound.image_size == SIZE


def test_a_size_that_differs_from_the_annotation_takes_the_whole_record(tmp_path):
    path = write_picture(tmp_path / "a.png", size=(30, 20))
    sound, (fault,), _ = check_record(record_of(path, [[1, 2, 3, 4]]))
    assert sound == []
    assert str(fault) == f"{path}: is 30x20 pixels; its annotation a.xml says 60x40"


def test_a_truncated_picture_is_found_by_decoding(tmp_path):
    path = write_picture(tmp_path / "a.png", size=(600, 400))
    path.write_bytes(path.read_bytes()[:-500])
    record = record_of(path, [], image_size=None)
    assert check_record(record).faults == []
    sound, (fault,), _ = check_record(record, decode=True)
    assert sound == []
    assert fault.what.startswith("truncated")
    assert str(fault).count(str(path)) == 1


def spoilt(folder: Path) -> Path:
    """One fault of every kind that checking (not reading) finds."""
    content = coco_content()
    content["annotations"][0]["bbox"] = [5, 5, 0, 9]
    content["annotations"][1]["bbox"] = [5, 5, math.nan, 9]
    content["annotations"][2]["bbox"] = [5, 5, 500, 9]
    content["images"][2]["width"] = 61
    content["images"].append({"id": 9, "file_name": "ghost.png"})
    return coco_folder(folder, content=content)


def check_folder(folder):
    splits = [read_split(folder, split) for split in list_splits(folder)]
    return [fault for split in splits for fault in check_all(split).faults]


def test_sound_records_are_what_is_left_of_a_split(tmp_path):
    sound, *_ = check_all(read_split(spoilt(tmp_path), "train"))
    assert [(record.image.name, len(record.boxes)) for record in sound] == [
        ("a.png", 0),
        ("b.png", 0),
    ]


def test_every_fault_of_a_folder_is_listed(tmp_path):
    found = [str(fault) for fault in check_folder(spoilt(tmp_path))]
    for wanted in (
        "instances_train.json: a annotation 100: box 5 5 5 14 has no area",
        "instances_train.json: a annotation 101: box 5 5 nan 14; want four finite numbers",
        "instances_train.json: b annotation 102: box 5 5 505 14 reaches outside",
        "c.png: is 60x40 pixels; its annotation instances_train.json says 61x40",
        "ghost.png: no such picture",
    ):
        assert sum(wanted in line for line in found) == 1, wanted
    assert len(found) == 5


def test_every_split_of_a_folder_is_checked(tmp_path):
    folder = spoilt(tmp_path)
    (folder / "instances_val.json").write_text((folder / "instances_train.json").read_text())
    assert len(check_folder(folder)) == 10


def test_a_sound_folder_has_no_faults(tmp_path):
    assert check_folder(voc_folder(tmp_path / "voc", {"train": ["a", "c"], "val": ["b"]})) == []


def test_a_split_without_any_object_is_reported_but_trains(tmp_path):
    folder = coco_folder(tmp_path, content=coco_content() | {"annotations": []})
    (fault,) = check_folder(folder)
    assert "no object in any of 3 pictures" in str(fault)


def annotations_of(folder: Path) -> Annotations:
    return read_split(folder, "train")


def test_loading_stops_at_the_first_fault_in_two_lines(tmp_path):
    with pytest.raises(DataError) as caught:
        sound_part(annotations_of(spoilt(tmp_path)), skip_bad=False)
    first, second = str(caught.value).splitlines()
    assert first.startswith(str(tmp_path / "instances_train.json"))
    assert "a annotation 100" in first
    assert "--skip-bad" in second


def test_skipping_keeps_the_sound_rest_and_the_list_of_the_others(tmp_path):
    sound = sound_part(annotations_of(spoilt(tmp_path)), skip_bad=True)
    assert [record.image.stem for record in sound.records] == ["a", "b"]
    assert [len(record.boxes) for record in sound.records] == [0, 0]
    assert len(sound.faults) == 5


def test_skipping_counts_what_the_reader_left_out_too(tmp_path):
    content = json.loads(json.dumps(coco_content()))
    del content["annotations"][0]["bbox"]
    annotations = annotations_of(coco_folder(tmp_path, content=content))
    assert len(sound_part(annotations, skip_bad=True).faults) == 1
    with pytest.raises(DataError, match="annotation 100: lacks 'bbox'"):
        sound_part(annotations, skip_bad=False)


def test_nothing_usable_is_an_error_even_when_skipping(tmp_path):
    record = record_of(tmp_path / "ghost.png", [])
    for annotations in (Annotations((record,), ("background",), ()), Annotations((), (), ())):
        with pytest.raises(DataError, match="no usable picture"):
            sound_part(annotations, skip_bad=True)


def test_faults_met_in_reading_come_first(tmp_path):
    met = Fault(Path("a.json"), "annotation 1", "lacks 'bbox'")
    record = record_of(write_picture(tmp_path / "a.png"), [[5, 5, 5, 5]])
    _, found, _ = check_all(Annotations((record,), ("background", "cat"), (met,)))
    assert found[0] == met
    assert len(found) == 2


def test_arguments_are_left_alone(tmp_path):
    record = record_of(write_picture(tmp_path / "a.png"), [[-1, 2, 61, 20]])
    check_record(record)
    assert torch.equal(record.boxes, torch.tensor([[-1.0, 2, 61, 20]]))


def test_a_few_pixels_past_the_edge_are_clipped_with_a_word_more_are_a_fault(tmp_path):
    path = write_picture(tmp_path / "a.png")
    boxes = [[-1, 2, 9, 20], [-5, 2, 9, 20], [50, 30, 60, 43], [-6, 2, 9, 20]]
    (sound,), (fault,), notes = check_record(record_of(path, boxes))
    assert sound.boxes.tolist() == [[0, 2, 9, 20], [0, 2, 9, 20], [50, 30, 60, 40]]
    assert [note.place for note in notes] == ["a object 2", "a object 3"]
    assert "reaches outside" in fault.what


def test_ignored_regions_are_clipped_and_stay_apart(tmp_path):
    path = write_picture(tmp_path / "a.png")
    crowd = Object("annotation 2", 1, [30.0, 10.0, 64.0, 20.0], ignored=True)
    objects = [Object("annotation 1", 2, [1.0, 2.0, 9.0, 8.0], area=31.0), crowd]
    (sound,), *_ = check_record(make_record(path, SIZE, objects, Path("a.json")))
    assert sound.objects == ("annotation 1",)
    assert sound.areas.tolist() == [31.0]
    assert sound.ignored_boxes.tolist() == [[30, 10, 60, 20]]
    assert sound.ignored_labels.tolist() == [1]


def test_an_ignored_region_with_a_wrong_box_is_left_out_with_a_word(tmp_path):
    path = write_picture(tmp_path / "a.png")
    boxes = [[1.0, 2.0, 9.0, 8.0], [5.0, 5.0, 5.0, 9.0]]
    crowds = [Object(f"annotation {row}", 1, box, ignored=True) for row, box in enumerate(boxes)]
    (sound,), faults, notes = check_record(make_record(path, SIZE, crowds, Path("a.json")))
    assert sound.ignored_boxes.tolist() == boxes[:1]
    assert faults == []
    (note,) = notes
    assert note.what == "ignored regions have a wrong box and are left out"
    assert note.place.startswith("a box 5 5 5 9 has no area")


def test_what_was_noted_in_reading_is_passed_on(tmp_path):
    note = Note("crowds are left out", "annotation 7")
    record = record_of(write_picture(tmp_path / "a.png"), [[5, 5, 9, 9]])
    found = Annotations((record,), ("background", "cat"), (), (note,))
    assert check_all(found).notes == [note]
    assert sound_part(found, skip_bad=False).notes == (note,)


def test_a_set_whose_boxes_are_fractions_is_a_fault_and_no_record():
    records = tuple(record_of(Path("a.png"), [box]) for box in ([0, 0.1, 0.5, 1], [0.2, 0.2, 1, 1]))
    annotations = Annotations(records, ("background", "cat"), ())
    found = check_all(annotations)
    assert found.sound == []
    assert str(found.faults[0]).startswith("a.xml: no box of 2 reaches past the first pixel")
    with pytest.raises(DataError, match="fractions of the picture"):
        sound_part(annotations, skip_bad=True)
