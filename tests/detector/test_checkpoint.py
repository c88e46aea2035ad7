"""Checkpoints: whole or not at all, nothing but numbers and JSON, and a clear word when foreign."""

import json
import math
import os
import re
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch.testing import assert_close

from detlab.detector import checkpoint
from detlab.detector.checkpoint import (
    FORMAT,
    CheckpointError,
    CheckpointInfo,
    checksum,
    load_checkpoint,
    read_tensors,
    save_checkpoint,
    write_tensors,
)
from detlab.detector.config import DetectorConfig
from detlab.detector.model import build_detector

CONFIG = DetectorConfig(num_classes=3, channels=8, activation="softmax", aspect_ratios=(1.0,))
INFO = CheckpointInfo(CONFIG, ("background", "fish", "crab"), {"seconds": 12.5, "data": ["reef"]})


SHIPPED = Path(__file__).parents[2] / "data" / "checkpoints"


def test_the_shipped_detector_is_small_and_its_card_says_what_its_header_says():
    path, card = SHIPPED / "course.safetensors", (SHIPPED / "README.md").read_text()
    assert path.stat().st_size <= 2e6
    detector, info = load_checkpoint(path)
    notes, metrics = info.notes, info.notes["metrics"]
    numbers = " / ".join(f"{metrics[name]:.3f}" for name in ("AP", "AP50", "AP75"))
    assert f"| AP / AP50 / AP75 on `data/reef_val` | {numbers} |" in card
    assert f"| date | {notes['date']} |" in card
    steps = f"{notes['steps']:,}".replace(",", " ")
    assert f"| training | {notes['seconds']:.0f} s, {steps} steps of 16 pictures |" in card
    (millions,) = re.findall(r"parameters \| ([\d.]+) million", card)
    assert f"{sum(part.numel() for part in detector.parameters()) / 1e6:.2f}" == millions


@pytest.fixture
def saved(tmp_path):
    """A small checkpoint, and the detector in it."""
    detector = build_detector(CONFIG).eval()
    path = tmp_path / "small.safetensors"
    save_checkpoint(path, detector, INFO)
    return path, detector


def test_a_checkpoint_gives_back_detector_settings_names_and_notes(saved):
    path, detector = saved
    loaded, info = load_checkpoint(path)
    assert info == INFO
    assert isinstance(info.config.anchor_sizes[0], tuple)
    assert not loaded.training
    assert_close(loaded.state_dict(), detector.state_dict(), rtol=0, atol=0)
    images = torch.rand(1, 3, 64, 96)
    detector.to(memory_format=torch.channels_last)  # as the loaded one lies, so adds up alike
    with torch.no_grad():
        assert_close(loaded(images).logits, detector(images).logits, rtol=0, atol=0)
        assert loaded(images).activation == "softmax"


def test_a_detector_without_convolutions_before_its_last_one_comes_back(tmp_path):
    info = replace(INFO, config=replace(CONFIG, head_depth=0))
    save_checkpoint(tmp_path / "flat.safetensors", build_detector(info.config), info)
    _, found = load_checkpoint(tmp_path / "flat.safetensors")
    assert found == info


def test_a_checkpoint_of_a_channels_last_detector_is_the_same(saved, tmp_path):
    path, detector = saved
    other = tmp_path / "other.safetensors"
    save_checkpoint(other, detector.to(memory_format=torch.channels_last), INFO)
    assert_close(read_tensors(other)[0], read_tensors(path)[0], rtol=0, atol=0)


def test_a_checkpoint_loads_onto_a_device(saved, device):
    path, detector = saved
    save_checkpoint(path, detector.to(device), INFO)
    loaded, _ = load_checkpoint(path, device)
    assert next(loaded.parameters()).device.type == device.type


def test_a_detector_with_imagenet_weights_loads_without_fetching_them(tmp_path, monkeypatch):
    config = DetectorConfig(num_classes=2, backbone="resnet18", channels=8, pretrained=True)
    path = tmp_path / "resnet.safetensors"
    detector = build_detector(DetectorConfig(num_classes=2, backbone="resnet18", channels=8))
    save_checkpoint(path, detector, CheckpointInfo(config, ("background", "fish")))
    asked = []

    def build(config):
        asked.append(config.pretrained)
        return build_detector(config)

    monkeypatch.setattr(checkpoint, "build_detector", build)
    _, info = load_checkpoint(path)
    assert set(asked) == {False}
    assert info.config.pretrained


@pytest.mark.parametrize("names", [("background", "fish"), ("background", "a", "b", "c")])
def test_names_and_classes_come_in_equal_numbers(names):
    with pytest.raises(ValueError, match=f"3 classes but {len(names)} names"):
        CheckpointInfo(CONFIG, names)


def test_a_missing_file_is_said_with_its_path(tmp_path):
    with pytest.raises(CheckpointError, match=r"none\.safetensors: no such file"):
        load_checkpoint(tmp_path / "none.safetensors")


def truncated(path):
    path.write_bytes(path.read_bytes()[:-1000])


def headless(path):
    path.write_bytes(path.read_bytes()[:20])


def scrambled(path):
    path.write_bytes(b"\x00" * 8 + path.read_bytes()[8:])


def emptied(path):
    path.write_bytes(b"")


def pickled(path):
    torch.save(build_detector(CONFIG).state_dict(), path)


def replaced_by_a_picture(path):
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(200))


DAMAGES = [truncated, headless, scrambled, emptied, pickled, replaced_by_a_picture]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_file_is_refused_with_its_path(saved, damage):
    path, _ = saved
    damage(path)
    with pytest.raises(CheckpointError, match=r"small\.safetensors: not a whole safetensors file"):
        load_checkpoint(path)


def test_no_pickle_is_ever_run(tmp_path):
    witness = tmp_path / "witness"

    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(witness),)

    path = tmp_path / "trap.pt"
    torch.save({"weights": Trap()}, path)
    with pytest.raises(CheckpointError, match=r"trap\.pt"):
        load_checkpoint(path)
    assert not witness.exists()


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}, {"format": "detlab 0", "said": "{}"}])
def test_a_safetensors_file_of_others_is_refused(tmp_path, metadata):
    path = tmp_path / "foreign.safetensors"
    safetensors.torch.save_file({"weight": torch.ones(2)}, path, metadata)
    with pytest.raises(CheckpointError, match=r"foreign\.safetensors: .*not a detlab checkpoint"):
        load_checkpoint(path)


def change_settings(said):
    said["config"]["channels"] = 16


def forget_settings(said):
    del said["config"]


def add_a_setting(said):
    said["config"]["wings"] = 2


def lose_a_name(said):
    said["class_names"].pop()


def break_a_setting(said):
    said["config"]["num_classes"] = 0


def forget_notes(said):
    del said["notes"]


def list_settings(said):
    said["config"] = [1, 2]


def name_another_body(said):
    said["config"]["backbone"] = "vgg"


CHANGES = [
    change_settings,
    forget_settings,
    add_a_setting,
    lose_a_name,
    break_a_setting,
    forget_notes,
    list_settings,
    name_another_body,
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_settings_that_do_not_fit_the_weights_are_refused(saved, change):
    path, detector = saved
    said = json.loads(json.dumps(asdict(INFO)))
    change(said)
    write_tensors(path, detector.state_dict(), said)
    with pytest.raises(
        CheckpointError, match=r"small\.safetensors: its settings do not fit"
    ) as error:
        load_checkpoint(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("said", [None, "not JSON", "[]"])
def test_a_file_of_ours_without_readable_words_is_refused(tmp_path, said):
    path = tmp_path / "mute.safetensors"
    metadata = {"format": FORMAT} | ({} if said is None else {"said": said})
    safetensors.torch.save_file({"weight": torch.ones(2)}, path, metadata)
    with pytest.raises(CheckpointError, match=r"mute\.safetensors"):
        load_checkpoint(path)


# ---------------------------------------------------------------- files of before


def older(saved, image_size=96):
    """What detlab wrote before it counted checksums, under the name that the side had then."""
    path, detector = saved
    said = json.loads(json.dumps(asdict(INFO)))
    if image_size:
        del said["config"]["longest_side"]
        said["config"]["image_size"] = image_size
    metadata = {"format": "detlab 1" if image_size else "detlab 2", "said": json.dumps(said)}
    safetensors.torch.save_file(detector.state_dict(), path, metadata)


@pytest.mark.parametrize(("image_size", "longest_side"), [(96, 96), (None, 128)])
def test_files_of_before_load(saved, image_size, longest_side):
    older(saved, image_size)
    loaded, info = load_checkpoint(saved[0])
    assert info == replace(INFO, config=replace(CONFIG, longest_side=longest_side))
    assert_close(loaded.state_dict(), saved[1].state_dict(), rtol=0, atol=0)


def test_files_of_before_are_searched_for_numbers_that_are_none(saved):
    saved[1].head.boxes.last.bias.data[0] = math.nan
    older(saved)
    with pytest.raises(CheckpointError, match=r"small\.safetensors: head\.boxes\.last\.bias holds"):
        load_checkpoint(saved[0])


# ---------------------------------------------------------------- damaged numbers


def test_any_flipped_byte_of_the_weights_is_told(saved):
    path, _ = saved
    whole = path.read_bytes()
    start = 8 + int.from_bytes(whole[:8], "little")
    for place in (start, start + 1, (start + len(whole)) // 2, len(whole) - 1):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(CheckpointError, match=r"small\.safetensors: .*(damaged|infinite)"):
            load_checkpoint(path)
    path.write_bytes(whole)
    load_checkpoint(path)


@pytest.mark.parametrize(("old", "new"), [(b"crab", b"carp"), (b"reef", b"beef")])
def test_another_word_in_the_header_is_told(saved, old, new):
    path, _ = saved
    content = path.read_bytes()
    assert content.count(old) == 1
    path.write_bytes(content.replace(old, new))
    with pytest.raises(CheckpointError, match=r"small\.safetensors: damaged"):
        load_checkpoint(path)


def test_the_checksum_knows_names_kinds_shapes_and_words():
    half = torch.rand(2, 3).half()
    others = [{"b": half}, {"a": half.view(torch.bfloat16)}, {"a": half.view(3, 2)}]
    sums = {checksum(tensors, "words") for tensors in ({"a": half}, *others)}
    assert len(sums | {checksum({"a": half}, "others")}) == 5


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("kind", ["last.weight", "running_var"])
def test_weights_that_are_no_numbers_are_neither_written_nor_written_over(saved, number, kind):
    path, detector = saved
    before = path.read_bytes()
    name = next(name for name in detector.state_dict() if name.endswith(kind))
    detector.state_dict()[name].view(-1)[-1] = number
    with pytest.raises(
        CheckpointError, match=rf"small\.safetensors: {name} holds a number that is"
    ):
        save_checkpoint(path, detector, INFO)
    assert path.read_bytes() == before


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_another_precision_become_float32(saved, dtype):
    path, detector = saved
    stored = {
        name: part.to(dtype) if part.is_floating_point() else part
        for name, part in detector.state_dict().items()
    }
    write_tensors(path, stored, asdict(INFO))
    loaded, _ = load_checkpoint(path)
    expected = {name: part.to(detector.state_dict()[name].dtype) for name, part in stored.items()}
    assert_close(loaded.state_dict(), expected, rtol=0, atol=0)
    assert {part.dtype for part in loaded.parameters()} == {torch.float32}


def relabelled(name, part):
    return part.view(torch.int32) if part.dtype == torch.float32 else part


def floating_counts(name, part):
    return part.float() if "num_batches" in name else part


def one_turned(name, part):
    return part.transpose(0, 1) if name == "head.classes.last.weight" else part


@pytest.mark.parametrize("change", [relabelled, floating_counts, one_turned])
def test_weights_of_another_kind_or_shape_are_refused(saved, change):
    path, detector = saved
    wrong = {name: change(name, part) for name, part in detector.state_dict().items()}
    write_tensors(path, wrong, asdict(INFO))
    with pytest.raises(CheckpointError, match=r"small\.safetensors: .* is torch\..*, want torch\."):
        load_checkpoint(path)


def test_weights_that_are_missing_or_too_many_are_named(saved):
    path, detector = saved
    tensors = detector.state_dict()
    write_tensors(path, tensors | {"head.wings": torch.ones(1)}, asdict(INFO))
    with pytest.raises(CheckpointError, match=r"head\.wings is unknown"):
        load_checkpoint(path)
    del tensors["head.boxes.last.bias"]
    write_tensors(path, tensors, asdict(INFO))
    with pytest.raises(CheckpointError, match=r"head\.boxes\.last\.bias is missing"):
        load_checkpoint(path)


HEADERS = [
    {"class_names": [0, 1, 2]},
    {"class_names": ["background", None, "crab"]},
    {"class_names": "abc"},
    {"class_names": [["background"], ["fish"], ["crab"]]},
    {"notes": [1]},
    {"config": {"longest_side": math.nan}},
    {"config": {"longest_side": 10**12}},
    {"config": {"longest_side": 128.5}},
    {"config": {"longest_side": "128"}},
    {"config": {"longest_side": True}},
    {"config": {"channels": 10**12}},
    {"config": {"channels": 60_000}},
    {"config": {"channels": -1}},
    {"config": {"head_depth": 60_000}},
    {"config": {"last_kernel": 60_001}},
    {"config": {"last_kernel": "three"}},
    {"config": {"last_kernel": 2}},
    {"config": {"num_classes": math.nan}},
    {"config": {"aspect_ratios": [math.inf]}},
    {"config": {"aspect_ratios": 1.0}},
    {"config": {"aspect_ratios": [None]}},
    {"config": {"anchor_sizes": [[16.0], [32.0], [math.nan]]}},
    {"config": {"anchor_sizes": [16.0, 32.0, 64.0]}},
    {"config": {"anchor_sizes": [["16"], ["32"], ["64"]]}},
    {"config": {"backbone": ["tiny"]}},
    {"config": {"backbone": 3}},
    {"config": {"activation": None}},
]


@pytest.mark.parametrize("change", HEADERS, ids=str)
def test_headers_that_make_no_detector_are_told_in_a_line(saved, change):
    path, detector = saved
    said = json.loads(json.dumps(asdict(INFO)))
    settings = change.get("config", {})
    write_tensors(
        path, detector.state_dict(), {**said, **change, "config": {**said["config"], **settings}}
    )
    with pytest.raises(
        CheckpointError, match=r"small\.safetensors: its settings do not fit"
    ) as seen:
        load_checkpoint(path)
    assert "\n" not in str(seen.value)
    assert len(str(seen.value)) < 600


@pytest.mark.parametrize("depth", [500, 100_000])
def test_words_nested_thousands_deep_are_told(saved, depth):
    path, detector = saved
    said = json.dumps(asdict(INFO))[:-1] + ', "config": ' + "[" * depth + "]" * depth + "}"
    metadata = {"format": "detlab 2", "said": said}
    safetensors.torch.save_file(detector.state_dict(), path, metadata)
    with pytest.raises(CheckpointError, match=r"small\.safetensors: its settings"):
        load_checkpoint(path)


def test_tensors_of_any_layout_and_dtype_come_back(tmp_path):
    tensors = {
        "channels last": torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last),
        "count": torch.tensor(7),
        "half": torch.rand(3).bfloat16(),
        "none": torch.zeros(0, 4),
        "shared": torch.ones(4)[::2],
        "learns": torch.rand(2, requires_grad=True),
    }
    write_tensors(tmp_path / "new" / "folder" / "file", tensors, {"step": 3, "mean": 0.1})
    read, said = read_tensors(tmp_path / "new" / "folder" / "file")
    assert said == {"step": 3, "mean": 0.1}
    expected = {name: tensor.detach() for name, tensor in tensors.items()}
    assert_close(read, expected, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["fsync", "replace"])
@pytest.mark.parametrize("reason", [OSError("no space left"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(
    saved, monkeypatch, name, reason
):
    path, detector = saved
    old = path.read_bytes()

    def fail(*_):
        raise reason

    monkeypatch.setattr(os, name, fail)
    with pytest.raises(type(reason)):
        save_checkpoint(path, detector, CheckpointInfo(CONFIG, ("background", "a", "b")))
    assert path.read_bytes() == old
    assert os.listdir(path.parent) == [path.name]


def test_what_was_read_does_not_look_into_the_file(saved):
    path, _ = saved
    tensors, _ = read_tensors(path)
    before = {name: tensor.clone() for name, tensor in tensors.items()}
    size = path.stat().st_size
    with path.open("r+b") as file:  # in place, as a file that is looked into would show it
        file.seek(size // 2)
        file.write(bytes(size - size // 2))
    assert_close(tensors, before, rtol=0, atol=0)


def test_the_shipped_checkpoint_tells_a_changed_byte(tmp_path):
    raw = bytearray((SHIPPED / "course.safetensors").read_bytes())
    raw[-5] ^= 1
    path = tmp_path / "changed.safetensors"
    path.write_bytes(raw)
    with pytest.raises(CheckpointError, match=r"changed\.safetensors: damaged"):
        load_checkpoint(path)


def test_a_file_of_today_without_its_checksum_is_damaged(tmp_path):
    tensors, said = read_tensors(SHIPPED / "course.safetensors")
    path = tmp_path / "bare.safetensors"
    path.write_bytes(
        safetensors.torch.save(tensors, {"format": checkpoint.FORMAT, "said": json.dumps(said)})
    )
    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(path)
    with pytest.raises(CheckpointError, match="is a folder"):
        load_checkpoint(tmp_path)
