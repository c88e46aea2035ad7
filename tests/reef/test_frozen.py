"""The frozen evaluation set: what lies there, and how it was made."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detlab.data.datasets import load_dataset
from detlab.reef.frozen import coco_record, write_frozen_set
from detlab.reef.scene import CLASS_NAMES, FROZEN_LENGTH, TRAIN_SEED, VAL_SEED, draw_scene

FROZEN = Path(__file__).parents[2] / "data" / "reef_val"


def pixels_hash(pixels: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()


def frozen_pictures() -> list[np.ndarray]:
    return [np.asarray(Image.open(p)) for p in sorted((FROZEN / "images").glob("*.png"))]


def test_the_frozen_set_has_300_pictures_and_at_most_6_megabytes():
    pictures = frozen_pictures()
    assert len(pictures) == FROZEN_LENGTH == 300
    assert {picture.shape for picture in pictures} == {(128, 128, 3)}
    assert sum(p.stat().st_size for p in FROZEN.rglob("*") if p.is_file()) <= 6_000_000
    assert (FROZEN / "README.md").is_file()


def test_the_frozen_record_is_sound():
    record = json.loads((FROZEN / "instances_val.json").read_text())
    assert [c["name"] for c in record["categories"]] == list(CLASS_NAMES[1:])
    assert [c["id"] for c in record["categories"]] == list(range(1, 8))
    assert [image["id"] for image in record["images"]] == list(range(1, 301))
    assert [a["id"] for a in record["annotations"]] == list(
        range(1, len(record["annotations"]) + 1)
    )
    for image in record["images"]:
        assert (FROZEN / "images" / image["file_name"]).is_file()
    for annotation in record["annotations"]:
        x, y, width, height = annotation["bbox"]
        assert 0 <= x < x + width <= 128
        assert 0 <= y < y + height <= 128
        assert 0 < annotation["area"] <= width * height
        assert annotation["iscrowd"] == 0


def test_training_never_sees_the_frozen_pictures():
    assert TRAIN_SEED != VAL_SEED
    frozen = {pixels_hash(picture) for picture in frozen_pictures()}
    assert len(frozen) == 300  # and none of them twice
    training = load_dataset("reef", "train", length=600)
    drawn = {pixels_hash(image.permute(1, 2, 0).numpy()) for image, _ in training}
    assert len(drawn) == 600
    assert not frozen & drawn


def test_the_frozen_pictures_are_those_of_the_validation_seed():
    """Another version of Pillow may round a pixel differently; the scene is the same."""
    for index in (0, 150, 299):
        frozen = np.asarray(Image.open(FROZEN / "images" / f"{index + 1:06d}.png"))
        drawn = draw_scene(VAL_SEED, index).image.permute(1, 2, 0).numpy()
        assert np.abs(frozen.astype(float) - drawn).mean() < 2


def test_writing_a_frozen_set(tmp_path):
    write_frozen_set(tmp_path / "set", length=3)
    record = json.loads((tmp_path / "set" / "instances_val.json").read_text())
    assert len(record["images"]) == 3
    for index, image in enumerate(record["images"]):
        scene = draw_scene(VAL_SEED, index)
        picture = np.asarray(Image.open(tmp_path / "set" / "images" / image["file_name"]))
        assert np.array_equal(picture, scene.image.permute(1, 2, 0).numpy())
        mine = [a for a in record["annotations"] if a["image_id"] == image["id"]]
        assert [a["category_id"] for a in mine] == scene.labels.tolist()
        assert [a["area"] for a in mine] == scene.masks.sum(dim=(1, 2)).tolist()
    assert "Pillow" in (tmp_path / "set" / "README.md").read_text()


def test_a_frozen_set_is_never_overwritten(tmp_path):
    (tmp_path / "kept.txt").write_text("mine")
    with pytest.raises(ValueError, match="not overwritten"):
        write_frozen_set(tmp_path, length=1)


def test_a_record_without_scenes_still_names_the_classes():
    record = coco_record([])
    assert record["images"] == record["annotations"] == []
    assert len(record["categories"]) == 7
