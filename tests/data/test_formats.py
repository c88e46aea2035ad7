"""The three formats say the same of the same pictures."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from detlab.data.folders import read_split
from tests.sample_folders import (
    CLASSES,
    HEIGHT,
    SCENES,
    WIDTH,
    coco_folder,
    voc_folder,
    yolo_folder,
)


def read_any(kind: str, folder: Path, scenes=SCENES):
    make = {"coco": coco_folder, "voc": voc_folder, "yolo": yolo_folder}[kind]
    return read_split(make(folder / "set", scenes=scenes), "train" if kind == "coco" else "all")


KINDS = pytest.mark.parametrize("kind", ["coco", "voc", "yolo"])


@KINDS
def test_every_format_gives_the_same_records(tmp_path, kind):
    annotations = read_any(kind, tmp_path)
    assert annotations.class_names == ("background", "cat", "dog")
    assert annotations.faults == ()
    for record in annotations.records:
        scene = SCENES[record.image.stem]
        assert record.image.is_file()
        assert record.image_size == (HEIGHT, WIDTH)
        assert record.labels.tolist() == [1 + CLASSES.index(name) for name, *_ in scene]
        wanted = torch.tensor([box for _, *box in scene]).reshape(-1, 4)
        torch.testing.assert_close(record.boxes, wanted)
    assert {record.image.stem for record in annotations.records} == set(SCENES)


side = st.floats(0, 1, width=32)
scene = st.lists(
    st.tuples(st.sampled_from(CLASSES), side, side, side, side), max_size=5
)  # any numbers at all: a reader reports what stands there


@KINDS
@settings(max_examples=20)
@given(scenes=st.fixed_dictionaries({"a": scene, "b": scene}))
def test_what_was_written_is_read(tmp_path_factory, kind, scenes):
    scale = (WIDTH, HEIGHT, WIDTH, HEIGHT)
    scenes = {
        stem: [(n, *(c * s for c, s in zip(box, scale, strict=True))) for n, *box in boxes]
        for stem, boxes in scenes.items()
    }
    scenes["z"] = [("cat", 0.0, 0.0, 1.0, 1.0), ("dog", 0.0, 0.0, 1.0, 1.0)]  # VOC collects classes
    annotations = read_any(kind, tmp_path_factory.mktemp(kind), scenes)
    assert annotations.faults == ()
    for record in annotations.records:
        wanted = torch.tensor([box for _, *box in scenes[record.image.stem]]).reshape(-1, 4)
        if kind == "coco":  # what was drawn backwards is turned
            wanted = torch.cat(
                [torch.minimum(wanted[:, :2], wanted[:, 2:]), wanted.reshape(-1, 2, 2).amax(1)], 1
            )
        torch.testing.assert_close(record.boxes, wanted, atol=1e-4, rtol=0)
        names = [annotations.class_names[label] for label in record.labels]
        assert names == [name for name, *_ in scenes[record.image.stem]]
