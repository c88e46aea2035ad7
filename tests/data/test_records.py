from pathlib import Path

import pytest
import torch

from detlab.data.records import (
    DataError,
    Fault,
    label_of_class,
    make_record,
    named_once,
    read_each,
    read_text,
)


def test_a_fault_reads_as_file_record_and_fault():
    assert str(Fault(Path("a.xml"), "object 3", "no box")) == "a.xml: object 3: no box"
    assert str(Fault(Path("a.xml"), "", "not XML")) == "a.xml: not XML"


def test_a_picture_without_objects_has_boxes_of_shape_0_4():
    record = make_record(Path("a.png"), None, [], Path("a.xml"))
    assert record.boxes.shape == (0, 4)
    assert record.boxes.dtype == torch.float32
    assert record.labels.shape == (0,)
    assert record.labels.dtype == torch.int64


def test_objects_keep_their_order_and_where_they_stand():
    objects = [("line 1", 2, [0.0, 1.0, 2.0, 3.0]), ("line 4", 1, [4.0, 5.0, 6.0, 7.0])]
    record = make_record(Path("a.png"), (10, 20), objects, Path("a.txt"))
    assert record.objects == ("line 1", "line 4")
    assert record.labels.tolist() == [2, 1]
    assert record.boxes.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_a_missing_key_is_named_in_the_fault():
    entries = [("annotation 5", {"id": 5})]
    found, faults = read_each(entries, lambda name, entry: entry["bbox"], Path("a.json"))
    assert found == []
    assert [str(fault) for fault in faults] == ["a.json: annotation 5: lacks 'bbox'"]


def test_the_second_of_a_name_is_a_fault():
    kept, faults = named_once([("id 1", "a"), ("id 1", "b")], Path("a.json"))
    assert kept == [("id 1", "a")]
    assert [fault.record for fault in faults] == ["id 1"]


def test_labels_count_from_1():
    assert label_of_class("dog", ("cat", "dog")) == 2


def test_an_unknown_class_is_told_with_the_known_ones():
    with pytest.raises(DataError, match="unknown class 'cow'; want one of cat, dog"):
        label_of_class("cow", ("cat", "dog"))


def test_text_that_is_not_utf8_is_named(tmp_path):
    path = tmp_path / "classes.txt"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"classes.txt: not UTF-8 text"):
        read_text(path)


def test_a_missing_text_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"train.txt: cannot be read: No such file"):
        read_text(tmp_path / "train.txt")


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path):
    path = tmp_path / "classes.txt"
    path.write_bytes(b"\xef\xbb\xbfcat\n")
    assert read_text(path) == "cat\n"
