"""labelme's files to records."""

import json

import pytest

from detlab.data.folders import layout_of, read_split
from detlab.data.labelme_format import box_around, is_labelme
from detlab.data.records import DataError
from tests.sample_folders import HEIGHT, SCENES, WIDTH, write_picture


def labelme_folder(folder, scenes=SCENES, place="", **changes):
    for stem, boxes in scenes.items():
        write_picture(folder / place / f"{stem}.png")
        shapes = [
            {"label": name, "shape_type": "rectangle", "points": [[x1, y1], [x2, y2]]}
            for name, x1, y1, x2, y2 in boxes
        ]
        content = {
            "version": "5.5.0",
            "imagePath": f"{stem}.png",
            "imageData": "aGVsbG8=",
            "imageHeight": HEIGHT,
            "imageWidth": WIDTH,
            "shapes": shapes,
        }
        (folder / place / f"{stem}.json").write_text(json.dumps(content | changes))
    return folder


def test_a_file_beside_each_picture_is_read(tmp_path):
    annotations = read_split(labelme_folder(tmp_path), "all")
    assert layout_of(tmp_path).format == "labelme"
    assert annotations.class_names == ("background", "cat", "dog")
    for record in annotations.records:
        assert record.image_size == (HEIGHT, WIDTH)
        assert record.boxes.tolist() == [list(box) for _, *box in SCENES[record.image.stem]]
    assert annotations.faults == ()


def test_folders_are_splits(tmp_path):
    labelme_folder(labelme_folder(tmp_path, place="Train"), place="dev")
    layout = layout_of(tmp_path)
    assert {split: len(read().records) for split, read in layout.splits.items()} == {
        "train": 3,
        "val": 3,
    }


@pytest.mark.parametrize(
    ("shape", "box"),
    [
        ({"points": [[9, 8], [1, 2]], "shape_type": "rectangle"}, [1, 2, 9, 8]),
        ({"points": [[1, 2], [9, 4], [5, 8]]}, [1, 2, 9, 8]),
        ({"points": [[10, 10], [10, 15]], "shape_type": "circle"}, [5, 5, 15, 15]),
        ({"points": [[1, 2], [9, 8]], "shape_type": "mask"}, [1, 2, 9, 8]),
    ],
)
def test_every_shape_with_an_area_has_a_box_around_it(shape, box):
    assert box_around(shape) == box


def test_a_polygon_needs_three_points():
    with pytest.raises(DataError, match="a polygon of 2 points"):
        box_around({"points": [[1, 2], [3, 4]]})


def test_points_and_lines_are_left_out_with_a_word(tmp_path):
    shapes = [
        {"label": "cat", "shape_type": "rectangle", "points": [[1, 2], [9, 8]]},
        {"label": "nose", "shape_type": "point", "points": [[4, 4]]},
        {"label": "tail", "shape_type": "linestrip", "points": [[4, 4], [9, 9]]},
    ]
    annotations = read_split(labelme_folder(tmp_path, {"a": []}, shapes=shapes), "all")
    assert annotations.class_names == ("background", "cat")
    assert [note.place for note in annotations.notes] == ["a shape 2", "a shape 3"]


@pytest.mark.parametrize(
    ("shape", "what"),
    [
        (None, "want an object with label and points, got None"),
        ({"points": [[1, 2], [9, 8]], "shape_type": "rectangle"}, "lacks 'label'"),
        ({"label": "cat", "shape_type": "rectangle"}, "lacks 'points'"),
        ({"label": "cat", "points": [[1], [2], [3]]}, "not enough values"),
        ({"label": "cat", "points": [["a", 1], [2, 2], [3, 3]]}, "could not convert"),
    ],
)
def test_a_fault_in_a_shape_names_it(tmp_path, shape, what):
    good = {"label": "cat", "shape_type": "rectangle", "points": [[1, 2], [9, 8]]}
    annotations = read_split(labelme_folder(tmp_path, {"a": []}, shapes=[good, shape]), "all")
    (fault,) = annotations.faults
    assert fault.record == "shape 2"
    assert what in fault.what


def test_the_picture_is_the_one_that_is_named(tmp_path):
    folder = labelme_folder(tmp_path, {"a": []}, imagePath="..\\photos\\b.png")
    (folder / "a.png").rename(folder / "b.png")
    assert read_split(folder, "all").records[0].image == folder / "b.png"


@pytest.mark.parametrize("sides", [{"imageHeight": None}, {"imageWidth": 0}, {"imageWidth": "x"}])
def test_a_size_that_is_not_said_is_left_to_the_picture(tmp_path, sides):
    folder = labelme_folder(tmp_path, {"a": []}, **sides)
    assert read_split(folder, "all").records[0].image_size is None


@pytest.mark.parametrize("content", [[], None, {}, {"shapes": None}, {"shapes": 3}])
def test_other_json_is_not_labelmes(content):
    assert not is_labelme(content)


def test_two_files_for_one_picture_are_a_fault_that_names_both(tmp_path):
    for place in ("anna", "bob"):
        labelme_folder(tmp_path, {"a": []}, place, imagePath="../images/a.png")
        (tmp_path / place / "a.png").unlink()
    write_picture(tmp_path / "images" / "a.png")
    annotations = read_split(tmp_path, "all")
    assert annotations.records == ()
    (fault,) = annotations.faults
    assert "has annotations in anna/a.json, bob/a.json; want one of them" in fault.what


def test_a_renamed_copy_that_names_another_picture_is_not_guessed_at(tmp_path):
    folder = labelme_folder(tmp_path, {"a": []})
    labelme_folder(tmp_path, {"day1_a": []}, imagePath="a.png")
    annotations = read_split(folder, "all")
    assert [record.source.name for record in annotations.records] == ["a.json"]
    (fault,) = annotations.faults
    assert fault.file == folder / "day1_a.json"
    assert "could be a.png, day1_a.png; write the right one there" in fault.what


def test_a_picture_in_the_folder_of_another_camera_is_not_taken(tmp_path):
    labelme_folder(tmp_path, {"a": []}, "cam1")
    (tmp_path / "cam2").mkdir()
    (tmp_path / "cam1" / "a.png").rename(tmp_path / "cam2" / "a.png")
    (fault,) = read_split(tmp_path, "all").faults
    assert "no picture cam1/a.png; cam2/a.png lies in another folder" in fault.what


def test_lists_are_the_splits(tmp_path):
    folder = labelme_folder(tmp_path)
    (folder / "train.txt").write_text("a.png\nb.png\n")
    (folder / "val.txt").write_text("c\n")
    layout = layout_of(folder)
    assert layout.words == "JSON beside each picture, splits by lists"
    assert {split: len(read().records) for split, read in layout.splits.items()} == {
        "train": 2,
        "val": 1,
    }


def test_shapes_of_one_group_and_label_are_one_object_with_a_word(tmp_path):
    def shape(label, group, *points):
        return {"label": label, "group_id": group, "shape_type": "rectangle", "points": points}

    shapes = [
        shape("cat", 1, [1, 2], [9, 8]),
        shape("dog", 1, [1, 2], [9, 8]),
        shape("cat", 1, [20, 3], [30, 30]),
        shape("cat", None, [1, 1], [5, 5]),
        shape("cat", None, [2, 2], [6, 6]),
    ]
    annotations = read_split(labelme_folder(tmp_path, {"a": []}, shapes=shapes), "all")
    (record,) = annotations.records
    boxes = [[1, 2, 30, 30], [1, 2, 9, 8], [1, 1, 5, 5], [2, 2, 6, 6]]
    assert record.boxes.tolist() == boxes
    assert [note.place for note in annotations.notes] == ["a shape 1, shape 3"]


def test_what_is_called_difficult_is_not_learned_and_said(tmp_path):
    shape = {"label": "cat", "shape_type": "rectangle", "points": [[1, 2], [9, 8]]}
    shapes = [shape | {"difficult": True}, shape | {"difficult": False}]
    annotations = read_split(labelme_folder(tmp_path, {"a": []}, shapes=shapes), "all")
    (record,) = annotations.records
    assert (len(record.boxes), len(record.ignored_boxes)) == (1, 1)
    assert [str(note.what) for note in annotations.notes] == [
        "objects called difficult are not learned, and not counted"
    ]
