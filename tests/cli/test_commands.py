"""Every command works, and every mistake of a user's gets two lines, status 2 and no half file."""

import contextlib
import errno
import io
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest
import torch
from PIL import Image

from detlab.cli import commands as cli
from detlab.course.lessons import COURSE
from detlab.course.progress import remember
from detlab.data import download
from detlab.data.pictures import read_picture
from detlab.detector import postprocess, tiling
from detlab.detector.backbone import WeightsError
from detlab.detector.checkpoint import CheckpointInfo, load_checkpoint, save_checkpoint
from detlab.detector.config import named_config
from detlab.detector.model import build_detector
from detlab.files import shipped_path
from detlab.training import run_folder
from tests.local_server import serve
from tests.sample_folders import (
    SCENES,
    coco_content,
    coco_folder,
    voc_folder,
    voc_xml,
    write_picture,
    yolo_folder,
)

TINY = ("--config", "course", "--epochs", "2", "--batch-size", "2", "--device", "cpu")
NAMES = ("background", "cat", "dog")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """Nothing is written to the repository, nothing is found in the user's folders."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.delenv("DETLAB_DATA", raising=False)
    monkeypatch.setattr(download, "cache_folder", lambda: tmp_path / "cache")


@pytest.fixture
def detlab(monkeypatch, capsys):
    """Type a command: gives its exit status, what it printed, and its errors."""

    def type_command(*words):
        monkeypatch.setattr(sys, "argv", ["detlab", *map(str, words)])
        try:
            cli.main()
            status = 0
        except SystemExit as leaving:
            status = leaving.code or 0
        said = capsys.readouterr()
        return status, said.out, said.err

    return type_command


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A detector that knows cats and dogs by name only."""
    config = named_config("course", 3)
    path = tmp_path_factory.mktemp("trained") / "checkpoint.safetensors"
    save_checkpoint(path, build_detector(config), CheckpointInfo(config, NAMES))
    return path


def assert_refused(result, *parts):
    """Status 2, one or two lines with all parts in it, after those that tell a recipe."""
    status, out, err = result
    lines = [line for line in err.splitlines() if line.strip() and not line.startswith("--")]
    assert (status, out) == (2, ""), err
    assert lines[-1].startswith("detlab: ") or lines[-2].startswith("detlab: ")
    assert len(lines) <= 2, err
    for part in parts:
        assert part in err


# ---------------------------------------------------------------- what works


def test_detect_finds_in_float32_what_python_finds(detlab):
    picture = sorted(shipped_path("data/reef_val").rglob("*.png"))[0]
    shipped = shipped_path("data/checkpoints/course.safetensors")
    found = {}
    for precision in ("float32", "auto"):
        words = ("--out", precision, "--score-threshold", "0.01", "--precision", precision)
        assert detlab("detect", shipped, picture, *words)[0] == 0
        rows = json.loads((Path(precision) / "detections.json").read_text())
        found[precision] = [row["score"] for row in rows]
    detector, info = load_checkpoint(shipped)
    image = read_picture(picture)
    (wanted,) = postprocess.detect(
        detector, [image], info.config.longest_side, score_threshold=0.01
    )
    assert found["float32"] == pytest.approx(wanted["scores"].tolist(), abs=1e-5)
    assert max(found["auto"]) == pytest.approx(max(found["float32"]), abs=0.05)


@pytest.mark.parametrize("make", [coco_folder, voc_folder, yolo_folder])
def test_train_evaluate_and_detect_follow_one_another(detlab, make, tmp_path):
    folder = make(tmp_path / "pets")
    status, out, err = detlab("train", "--data", folder, *TINY)
    trained = Path("runs/pets-course/checkpoint.safetensors")
    assert status == 0, err
    assert f"detlab detect {trained} PICTURE_OR_FOLDER" in out
    assert "2 pictures" in err
    assert re.search(r"100%.*loss \d+\.\d+ = class .* box .* pictures/s", err)
    train_ap = re.search(r"^AP +(\S+)$", out, re.MULTILINE)[1]

    status, out, err = detlab("evaluate", trained, folder)
    assert status == 0, err
    assert re.search(r"^AP +(\S+)$", out, re.MULTILINE)[1] == train_ap
    assert {"AP of cat", "AP of dog", "pictures/s"} <= {
        line[:10].strip() for line in out.splitlines()
    }
    assert len(out.splitlines()) == 12 + 2 + 1

    pictures = next(folder.glob("**/a.png")).parent
    status, out, err = detlab("detect", trained, pictures, "--out", "found")
    assert (status, err) == (0, "")
    assert len(out.splitlines()) == 3 + 1
    assert sorted(os.listdir("found")) == ["a.png", "b.png", "c.png", "detections.json"]


def test_unasked_detect_shows_what_scores_0_4_and_boxes_that_overlap_by_a_half_at_the_most(
    detlab, checkpoint, tmp_path, monkeypatch
):
    asked = []

    def note(detector, info, paths, out, tile, **thresholds):
        asked.append((tile, thresholds))
        return iter(())

    monkeypatch.setattr("detlab.cli.detect_files.detect_files", note)
    status, _, err = detlab("detect", checkpoint, write_picture(tmp_path / "a.png"))
    assert (status, err) == (0, "")
    assert asked == [(None, {"score_threshold": 0.4, "iou_threshold": 0.5})]


def test_photographs_are_learned_by_a_recipe_that_is_told(detlab, tmp_path, monkeypatch):
    def refuse(name):
        raise WeightsError(f"no ImageNet weights for {name}: no network\nand more")

    monkeypatch.setattr("detlab.training.recipe.imagenet_weights", refuse)
    folder = coco_folder(tmp_path / "pets")
    status, _, err = detlab("train", "--data", folder, "--epochs", "1", "--crop", "64")
    assert status == 0, err
    assert "--config course         no ImageNet weights for mobilenet_v2: no network\n" in err
    assert "--longest-side 256 " in err
    assert "--crop" not in err
    _, info = load_checkpoint(Path("runs/pets-course/checkpoint.safetensors"))
    assert info.config.longest_side == 256
    assert info.notes["settings"]["training"]["crop"] == 64


def test_the_reef_is_drawn_trained_on_and_evaluated(detlab, monkeypatch):
    monkeypatch.setattr("detlab.training.run.REEF_PICTURES", 16)
    status, out, err = detlab("train", *TINY, "--batch-size", "8")
    assert status == 0, err
    assert "drawing 16 pictures of the reef" in err
    assert "16 pictures of reef to learn from, 300 others to evaluate on" in err
    trained = Path("runs/reef-course/checkpoint.safetensors")
    train_ap = re.search(r"^AP +(\S+)$", out, re.MULTILINE)[1]
    status, out, err = detlab("evaluate", trained, "reef")
    assert status == 0, err
    assert re.search(r"^AP +(\S+)$", out, re.MULTILINE)[1] == train_ap


def test_the_network_sees_the_size_asked_for_and_tiles_where_asked(
    detlab, tmp_path, checkpoint, monkeypatch
):
    folder = coco_folder(tmp_path / "pets")
    status, _, err = detlab("train", "--data", folder, "--longest-side", "64", *TINY)
    assert status == 0, err
    _, info = load_checkpoint(Path("runs/pets-course/checkpoint.safetensors"))
    assert info.config.longest_side == 64

    def detect(detector, images, *arguments, **options):
        sizes.extend(tuple(image.shape) for image in images)
        return postprocess.detect(detector, images, *arguments, **options)

    sizes = []
    monkeypatch.setattr(tiling, "detect", detect)
    write_picture(tmp_path / "in" / "a.png", size=(100, 40))
    status, _, err = detlab("detect", checkpoint, tmp_path / "in", "--tile", "64")
    assert (status, err) == (0, "")
    assert sizes == [(3, 40, 100), (3, 40, 64), (3, 40, 64)]


def test_json_is_for_programs(detlab, checkpoint, tmp_path):
    status, out, _ = detlab("evaluate", checkpoint, coco_folder(tmp_path / "pets"), "--json")

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    row = json.loads(out, parse_constant=refuse)
    assert status == 0
    assert row["AP_large"] is None  # there is no large object
    assert set(row["class_ap"]) == {"cat", "dog"}
    assert len(row) == 12 + 2
    assert row["images_per_second"] > 0


def test_seconds_end_a_training(detlab, tmp_path):
    words = ("--data", coco_folder(tmp_path / "pets"), "--batch-size", 2, "--seconds", 0.2)
    words += (
        "--config",
        "course",
        "--device",
        "cpu",
    )  # a GPU's first step may take longer than that
    assert detlab("train", *words)[0] == 0
    assert 0.2 <= run_folder.recorded(Path("runs/pets-course"))[-1]["seconds"] < 5


def test_the_folder_of_a_run_is_named_after_the_data_even_when_that_is_here(
    detlab, tmp_path, monkeypatch
):
    monkeypatch.chdir(coco_folder(tmp_path / "pets"))
    assert detlab("train", "--data", ".", *TINY)[0] == 0
    assert Path("runs/pets-course/checkpoint.safetensors").exists()


def test_a_picture_without_objects_trains(detlab, tmp_path):
    scenes = {"a": [("cat", 1.0, 1.0, 20.0, 20.0)], "b": [], "c": []}
    folder = coco_folder(tmp_path / "pets", content=coco_content(scenes), scenes=scenes)
    assert detlab("train", "--data", folder, *TINY)[0] == 0
    rows = [row for row in run_folder.recorded(Path("runs/pets-course")) if "loss_box" in row]
    assert rows
    assert all(row["loss_box"] == 0 for row in rows)  # a is in val


def test_bad_records_can_be_skipped_and_are_counted(detlab, tmp_path):
    content = coco_content()
    content["annotations"][0]["bbox"] = [1.0, 1.0, 0.0, 5.0]
    content["annotations"][1]["category_id"] = 99
    folder = coco_folder(tmp_path / "pets", "train", content)
    coco_folder(tmp_path / "pets", "val")
    status, _, err = detlab("train", "--data", folder, "--skip-bad", *TINY)
    assert status == 0
    assert "left out 2 faulty records" in err
    assert "instances_train.json" in err


def test_data_lists_the_public_sets(detlab):
    status, out, _ = detlab("data", "list")
    assert status == 0
    table, _, clean = out.partition("\n\n")
    assert [line.split()[0] for line in table.splitlines()] == ["name", *download.SETS]
    assert len({line.find("http") for line in table.splitlines()[1:]}) == 1  # aligned
    assert clean.startswith("bccd-clean is bccd")


def test_data_get_says_where_the_set_lies(detlab, tmp_path, monkeypatch):
    (tmp_path / "bccd" / "BCCD").mkdir(parents=True)
    monkeypatch.setenv("DETLAB_DATA", str(tmp_path))
    assert detlab("data", "get", "bccd") == (0, f"{tmp_path / 'bccd' / 'BCCD'}\n", "")


def test_data_check_prints_every_fault_with_file_and_record(detlab, tmp_path, monkeypatch):
    folder = coco_folder(tmp_path / "pets")
    status, out, _ = detlab("data", "check", folder)
    assert (status, out.splitlines()[3]) == (0, f"{folder}: no faults")

    content = coco_content()
    for annotation in content["annotations"]:
        annotation["bbox"][2] = 0.0
    coco_folder(folder, content=content)
    status, out, _ = detlab("data", "check", folder)
    *_, one, other, third, total = out.partition("\n\nworth a second look")[0].splitlines()
    assert (status, total) == (1, f"{folder}: 3 faults")
    for fault, number in zip((one, other, third), (100, 101, 102), strict=True):
        assert "instances_train.json" in fault
        assert f"annotation {number}" in fault

    folder.rename(tmp_path / "bccd")
    (tmp_path / "bccd" / "BCCD").mkdir()
    coco_folder(tmp_path / "bccd" / "BCCD")
    monkeypatch.setenv("DETLAB_DATA", str(tmp_path))
    assert detlab("data", "check", "bccd")[0] == 0  # a name is a public set, not a folder here


def test_a_truncated_picture_is_told_and_the_rest_is_audited(detlab, tmp_path):
    folder = coco_folder(tmp_path / "pets")
    picture = folder / "images" / "b.png"
    picture.write_bytes(picture.read_bytes()[:-200])
    status, out, err = detlab("data", "check", folder)
    assert (status, err) == (1, "")
    assert "b.png: truncated or damaged" in out.splitlines()[3]
    assert "worth a second look, of 2 pictures" in out


@pytest.mark.skipif(sys.platform != "linux", reason="other file systems refuse such a name")
def test_a_name_that_nothing_can_print_is_printed_in_numbers(detlab, tmp_path):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    status, _, err = detlab("data", "check", coco_folder(folder))
    assert (status, err) == (0, "")


def test_the_frozen_reef_has_no_faults(detlab):
    status, out, _ = detlab("data", "check", "reef")
    assert (status, out.splitlines()[3][-9:]) == (0, "no faults")


@pytest.mark.parametrize(("remedies", "expected"), [([None], 0), ([None, "mend it"], 1)])
def test_the_doctor_tells_by_its_status(detlab, monkeypatch, remedies, expected):
    from detlab.cli import doctor

    checks = [doctor.Check("thing", "3", remedy) for remedy in remedies]
    monkeypatch.setattr(doctor, "examine", lambda: iter(checks))
    status, out, _ = detlab("doctor")
    assert (status, len(out.splitlines())) == (expected, len(remedies))


@pytest.mark.parametrize(
    "words",
    [[], ["lab"], ["train"], ["evaluate"], ["detect"], ["data"], ["doctor"]],
    ids=lambda words: " ".join(words) or "detlab",
)
def test_help_is_there(detlab, words):
    status, out, _ = detlab(*words, "--help")
    assert status == 0
    assert "usage: detlab" in out


@pytest.mark.parametrize(
    "words", [["--no-browser", "--port", "8899"], ["--", "--no-browser", "--port", "8899"], []]
)
@pytest.mark.parametrize(("user", "root"), [(0, ["--allow-root"]), (1000, [])])
def test_lab_hands_its_words_to_jupyter(detlab, monkeypatch, tmp_path, words, user, root):
    from jupyterlab.labapp import LabApp

    (tmp_path / "00.ipynb").write_text("{}")
    monkeypatch.setattr(cli, "START", tmp_path / "00.ipynb")
    given = []
    monkeypatch.setattr(LabApp, "launch_instance", given.extend)
    monkeypatch.setattr(cli.os, "geteuid", lambda: user, raising=False)
    assert detlab("lab", *words)[0] == 0
    wanted = [word for word in words if word != "--"]
    assert given[0] == "--ip=127.0.0.1"
    assert given[3:] == [cli.PROMPT, *root, *wanted]


def test_lab_without_the_notebook_says_so(detlab, monkeypatch, tmp_path):
    monkeypatch.setattr(cli, "START", tmp_path / "00.ipynb")
    assert_refused(detlab("lab"), "00.ipynb: no such notebook")


# ---------------------------------------------------------------- mistakes in the data


def coco_spoiled(change):
    """A folder whose annotations were changed."""

    def make(folder):
        content = coco_content()
        change(content)
        return coco_folder(folder, content=content)

    return make


def with_box(*bbox):
    return coco_spoiled(lambda content: content["annotations"][0].update(bbox=list(bbox)))


def picture_spoiled(change):
    """A folder one of whose pictures was changed."""

    def make(folder):
        coco_folder(folder)
        change(folder / "images" / "b.png")
        return folder

    return make


def voc_spoiled(text):
    def make(folder):
        voc_folder(folder)
        (folder / "Annotations" / "b.xml").write_text(text)
        return folder

    return make


def yolo_spoiled(text):
    def make(folder):
        yolo_folder(folder)
        (folder / "labels" / "b.txt").write_text(text)
        return folder

    return make


def empty(folder):
    folder.mkdir()
    return folder


def huge(path):
    Image.new("1", (20_000, 20_000)).save(path)


ENTITIES = '<!DOCTYPE a [<!ENTITY x "y">]>' + voc_xml([("cat", 1, 1, 9, 9)]).replace("cat", "&x;")
SPOILED = {
    "missing picture": (picture_spoiled(Path.unlink), "b.png", "no such picture"),
    "truncated picture": (
        picture_spoiled(lambda path: path.write_bytes(path.read_bytes()[:-200])),
        *("b.png", "truncated"),
    ),
    "huge picture": (picture_spoiled(huge), "b.png", "pixels"),
    "text under a picture's name": (
        picture_spoiled(lambda path: path.write_text("hello")),
        *("b.png", "not a picture"),
    ),
    "no width": (with_box(9.0, 1.0, 0.0, 5.0), "instances_train.json", "annotation 100", "x2 > x1"),
    "NaN": (with_box(9.0, float("nan"), 4.0, 5.0), "instances_train.json", "annotation 100", "nan"),
    "outside": (
        with_box(50.0, 1.0, 40.0, 5.0),
        "instances_train.json",
        "annotation 100",
        "outside",
    ),
    "unknown category": (
        coco_spoiled(lambda content: content["annotations"][0].update(category_id=99)),
        *("instances_train.json", "annotation 100", "99"),
    ),
    "double annotation id": (
        coco_spoiled(lambda content: content["annotations"][1].update(id=100)),
        *("instances_train.json", "100", "more than once"),
    ),
    "double image id": (
        coco_spoiled(lambda content: content["images"][1].update(id=1)),
        *("instances_train.json", "more than once"),
    ),
    "annotation without image": (
        coco_spoiled(lambda content: content["annotations"][0].update(image_id=77)),
        *("instances_train.json", "annotation 100", "77"),
    ),
    "half a JSON file": (
        lambda folder: (coco_folder(folder) / "instances_train.json").write_text("{") and folder,
        "instances_train.json",
    ),
    "unknown class of YOLO": (yolo_spoiled("7 .5 .5 .1 .1\n"), "b.txt", "line 1", "7"),
    "words in YOLO": (yolo_spoiled("0 .5 .5 wide .1\n"), "b.txt", "line 1", "wide"),
    "XML with entities": (voc_spoiled(ENTITIES), "b.xml"),
    "half an XML file": (voc_spoiled("<annotation><size>"), "b.xml"),
    "empty folder": (empty, "the folder is empty"),
    "no folder": (lambda folder: folder, "no such folder"),
}


@pytest.mark.parametrize("fault", SPOILED)
def test_faulty_data_is_told_with_its_file_and_record(detlab, tmp_path, fault):
    make, *parts = SPOILED[fault]
    folder = make(tmp_path / "pets")
    assert_refused(detlab("train", "--data", folder, *TINY), str(tmp_path / "pets"), *parts)
    assert os.listdir() == []


@pytest.mark.parametrize("fault", ["truncated picture", "no width", "empty folder", "no folder"])
def test_evaluate_tells_the_same(detlab, tmp_path, checkpoint, fault):
    make, *parts = SPOILED[fault]
    split = "train" if fault == "truncated picture" else "val"
    result = detlab("evaluate", checkpoint, make(tmp_path / "pets"), "--split", split)
    assert_refused(result, *parts)


def test_check_reports_a_folder_that_cannot_be_read(detlab, tmp_path):
    assert_refused(detlab("data", "check", tmp_path / "no"), "no: no such folder")


def test_a_picture_that_goes_bad_during_training_is_told(detlab, tmp_path, monkeypatch):
    folder = coco_folder(tmp_path / "pets")
    monkeypatch.setattr(
        "detlab.training.run.look_at_all", lambda *_: (folder / "images" / "b.png").unlink()
    )
    status, _, err = detlab("train", "--data", folder, *TINY)
    assert status == 2
    assert "detlab: " in err
    assert "b.png: no such picture" in err
    assert "Traceback" not in err


# ---------------------------------------------------------------- mistakes in pictures to detect in


@pytest.mark.parametrize("fault", ["missing", "truncated", "huge", "text", "none"])
def test_detect_stops_before_it_writes(detlab, tmp_path, checkpoint, fault):
    write_picture(tmp_path / "in" / "a.png")
    path = write_picture(tmp_path / "in" / "b.png")
    place, part = tmp_path / "in", "b.png"
    if fault == "missing":
        place = path.with_name("x.png")
        part = "x.png: no such file or folder"
    elif fault == "truncated":
        path.write_bytes(path.read_bytes()[:-200])
    elif fault == "huge":
        huge(path)
    elif fault == "text":
        path.write_text("hello")
    else:
        place, part = empty(tmp_path / "empty"), "no picture in it"
    assert_refused(detlab("detect", checkpoint, place), part)
    assert os.listdir() == []


def test_detect_never_overwrites_what_it_reads(detlab, tmp_path, checkpoint):
    path = write_picture(tmp_path / "in" / "a.png")
    before = path.read_bytes()
    assert_refused(detlab("detect", checkpoint, path, "--out", path.parent), "a.png would be")
    assert path.read_bytes() == before


# ---------------------------------------------------------------- mistakes in checkpoints and words


@pytest.mark.parametrize("command", ["evaluate", "detect"])
@pytest.mark.parametrize("fault", ["missing", "folder", "cut", "text", "pickle", "foreign"])
def test_a_bad_checkpoint_is_named(detlab, tmp_path, checkpoint, command, fault):
    path = tmp_path / "bad.safetensors"
    if fault == "folder":
        path.mkdir()
    elif fault == "cut":
        path.write_bytes(checkpoint.read_bytes()[:-1000])
    elif fault == "text":
        path.write_text("hello")
    elif fault == "pickle":
        torch.save({"a": torch.zeros(1)}, path)
    elif fault == "foreign":
        from safetensors.torch import save_file

        save_file({"a": torch.zeros(1)}, path)
    result = detlab(command, path, coco_folder(tmp_path / "pets"))
    assert_refused(result, str(path))
    assert os.listdir() == []


def test_other_classes_than_the_checkpoint_knows_are_refused(detlab, tmp_path, checkpoint):
    content = coco_content()
    content["categories"][0]["name"] = "cow"
    folder = coco_folder(tmp_path / "pets", content=content)
    result = detlab("evaluate", checkpoint, folder)
    assert_refused(result, "knows the classes cat, dog", "has cat, cow")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["train", "--seconds", "-1"], "seconds"),
        (["train", "--seconds", "1", "--epochs", "1"], "not both"),
        (["train", "--batch-size", "0"], "batch_size"),
        (["train", "--device", "mps"], "'mps' is not in this machine"),
        (["train", "--resume"], "runs/reef-course: no run to go on with"),
        (["evaluate", "x", "nowhere"], "x: no such file"),
        (["detect", "x", "y", "--score-threshold", "2"], "--score-threshold goes from 0 to 1"),
        (["detect", "x", "y", "--tile", "0"], "--tile is 32 pixels or more, got 0"),
        (["train", "--longest-side", "0"], "--longest-side is 32 pixels or more, got 0"),
        (["train", "--longest-side", "32", "--batch-size", "1"], "want --batch-size 2 or more"),
        (["train", "--multiscale", "4", "--batch-size", "1"], "want --batch-size 2 or more"),
        (
            ["train", "--crop", "96", "--multiscale", "2", "--batch-size", "1"],
            "pictures below 64 pixels want --batch-size 2 or more",
        ),
        (["data", "get"], "wants a name"),
        (
            ["data", "check", "reef", "--out", "sheet"],
            "a table (.csv) or a picture (.png), got sheet",
        ),
        (["data", "get", "nothing"], "no public set 'nothing'"),
        (["data", "convert", "pets"], "`detlab data convert pets DST --to coco`"),
        (["data", "convert", "pets", "new"], "want a folder and a format"),
        (["data", "convert", "pets", "new", "--to", "voc"], "pets: no such folder"),
        (["data", "list", "--allow-outside", "x"], "--allow-outside is for `detlab data check`"),
        (["data", "list", "--json"], "--out and --json are for `detlab data check`"),
        (["data", "check", "pets", "--skip-bad"], "--skip-bad are for `detlab data convert`"),
        (["data", "get", "coco"], "coco is not here"),
    ],
)
def test_words_that_do_not_fit_are_told(detlab, words, part):
    if "mps" in words and torch.backends.mps.is_available():
        pytest.skip("this machine has it")
    assert_refused(detlab(*words), part)
    assert os.listdir() == []


@pytest.mark.parametrize(
    "words", [["fly"], ["train", "--seconds", "soon"], ["train", "--fast"], []]
)
def test_words_that_make_no_command_get_status_2(detlab, words):
    status, _, err = detlab(*words)
    assert status == 2
    assert "detlab" in err
    assert "Traceback" not in err


# ---------------------------------------------------------------- downloads


def archive_of(name="set-1/BCCD/a.txt", kind=tarfile.REGTYPE):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, "/etc/passwd"
        tar.addfile(member, io.BytesIO())
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "cut_after", "part"),
    [
        (archive_of("set-1/../../out.txt"), None, "which is outside the destination"),
        (archive_of(kind=tarfile.SYMTYPE), None, "is a link"),
        (archive_of(), 20, "the connection was cut"),
        (archive_of(), None, "bccd came without"),
        (b"no archive", None, "damaged archive"),
    ],
    ids=["climbing", "link", "cut", "other files", "no archive"],
)
def test_a_bad_download_is_told(detlab, tmp_path, monkeypatch, content, cut_after, part):
    from dataclasses import replace

    with serve(content) as shelf:
        shelf.cut_after = cut_after
        bccd = replace(download.BCCD, address=shelf.address)
        monkeypatch.setitem(download.SETS, "bccd", bccd)
        status, out, err = detlab("data", "get", "bccd")
    assert (status, out) == (2, "")
    assert part in err
    assert "Traceback" not in err
    assert download.find(bccd) is None
    assert not any(path.name == "out.txt" for path in tmp_path.rglob("*"))


# ---------------------------------------------------------------- the disk and the keyboard


def disk_full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def not_allowed(*_, **__):
    raise PermissionError(errno.EACCES, "Permission denied", "/somewhere/.temporary")


@pytest.mark.parametrize(
    ("place", "fail", "said"),
    [
        ("os.fsync", disk_full, "No space left on device"),
        ("os.replace", disk_full, "No space left on device"),
        ("tempfile.mkstemp", not_allowed, "Permission denied"),
    ],
)
def test_a_disk_that_takes_nothing_is_told(
    detlab, tmp_path, checkpoint, monkeypatch, place, fail, said
):
    folder = coco_folder(tmp_path / "pets")
    monkeypatch.setattr(place, fail)
    result = detlab("train", "--data", folder, *TINY)
    assert_refused(result, f"runs/pets-course/settings.json: {said}")
    assert os.listdir("runs/pets-course") == [run_folder.LOCK]
    result = detlab("detect", checkpoint, folder / "images" / "a.png")
    assert_refused(result, f"detections/a.png: {said}")
    assert os.listdir("detections") == []


def test_a_disk_that_fills_up_keeps_what_was_whole(detlab, tmp_path, monkeypatch):
    folder = coco_folder(tmp_path / "pets")
    monkeypatch.setattr("detlab.training.run.save_checkpoint", disk_full_at)
    status, _, err = detlab("train", "--data", folder, *TINY)
    assert status == 2
    assert "checkpoint.safetensors: No space left on device" in err
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(sys, "argv", ["detlab", "train", "--data", str(folder), *TINY, "--resume"])
    cli.main()
    assert Path("runs/pets-course/checkpoint.safetensors").exists()


def disk_full_at(path, *_):
    raise OSError(errno.ENOSPC, "No space left on device", str(path))


def test_a_file_where_a_folder_should_be_is_named(detlab, tmp_path):
    Path("taken").write_text("")
    result = detlab("train", "--data", coco_folder(tmp_path / "pets"), *TINY, "--out", "taken")
    assert_refused(result, "taken")


def test_a_run_that_is_there_is_kept(detlab, tmp_path):
    folder = coco_folder(tmp_path / "pets")
    assert detlab("train", "--data", folder, *TINY)[0] == 0
    result = detlab("train", "--data", folder, *TINY)
    assert_refused(result, "runs/pets-course holds a run already", "--resume", "--out")


def test_a_loss_that_is_no_number_names_its_pictures(detlab, tmp_path):
    folder = coco_folder(tmp_path / "pets")
    words = ("--learning-rate", "1e30", "--clip-norm", "1e30", "--warmup", "0", "--epochs", "20")
    status, _, err = detlab("train", "--data", folder, *TINY, *words)
    assert status == 2
    assert re.search(r"detlab: step \d+: .*'b\.png'", err)
    assert "Traceback" not in err


def test_ctrl_c_says_how_to_go_on(detlab, tmp_path, monkeypatch):
    folder = coco_folder(tmp_path / "my pets")
    with monkeypatch.context() as patch:
        patch.setattr("detlab.training.run.show", lambda *_: signal.raise_signal(signal.SIGINT))
        status, _, err = detlab("train", "--data", folder, *TINY)
    assert status == 130
    last = err.splitlines()[-2:]
    assert last[0].endswith("stopped at step 1, all saved in runs/my pets-course")
    assert last[1] == f"to go on: detlab train --data '{folder}' {' '.join(TINY)} --resume"
    assert detlab("train", "--data", folder, *TINY, "--resume")[0] == 0


def test_the_command_that_goes_on_says_resume_once_and_knows_torchrun(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/bin/detlab", "train", "--resume", "--out", "my run"])
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    assert cli.command_to_resume() == "detlab train --out 'my run' --resume"
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    assert cli.command_to_resume() == "torchrun … -m detlab train --out 'my run' --resume"


NAMED = [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")]
if hasattr(signal, "SIGHUP"):  # not on Windows
    NAMED.append((signal.SIGHUP, "SIGHUP"))


@pytest.mark.parametrize(("number", "name"), NAMED)
def test_a_signal_before_anything_was_saved_says_so(detlab, monkeypatch, checkpoint, number, name):
    monkeypatch.setattr(
        "detlab.training.run.load_dataset", lambda *_, **__: signal.raise_signal(number)
    )
    status = 128 + number
    assert detlab("train") == (status, "", f"detlab: stopped by {name}, nothing is saved\n")
    assert detlab("evaluate", checkpoint, "reef") == (status, "", f"detlab: stopped by {name}\n")


def test_an_interrupt_that_a_library_raises_has_words_too(detlab, monkeypatch, checkpoint):
    def press(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("detlab.training.run.load_dataset", press)
    assert detlab("evaluate", checkpoint, "reef") == (130, "", "detlab: stopped\n")


@pytest.mark.parametrize(("number", "name"), NAMED)
def test_a_signal_in_the_last_evaluation_says_what_is_saved(
    detlab, tmp_path, monkeypatch, number, name
):
    folder = coco_folder(tmp_path / "pets")
    with monkeypatch.context() as patch:
        patch.setattr("detlab.training.run.save_checkpoint", lambda *_: signal.raise_signal(number))
        status, _, err = detlab("train", "--data", folder, *TINY)
    assert status == 128 + number
    said = f"detlab: stopped by {name}, saved up to step 2 in runs/pets-course"
    goes_on = f"to go on: detlab train --data {folder} {' '.join(TINY)} --resume"
    assert err.splitlines()[-2:] == [said, goes_on]
    assert detlab("train", "--data", folder, *TINY, "--resume")[0] == 0


@pytest.mark.parametrize("saves", [True, False])
def test_ctrl_c_twice_says_what_is_saved(detlab, tmp_path, monkeypatch, saves):
    def press_twice(*_):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    folder = coco_folder(tmp_path / "pets")
    words = ("train", "--data", folder, *TINY)
    with monkeypatch.context() as patch:
        patch.setattr("detlab.training.run.SAVE_EVERY", 0.0 if saves else 999.0)
        patch.setattr("detlab.training.run.EVALUATIONS", 1)
        patch.setattr(
            "detlab.training.run.agreed" if saves else "detlab.training.run.show",
            press_on(2, press_twice),
        )
        status, _, err = detlab(*words, "--epochs", "5")
    assert status == 130
    said, resume = err.splitlines()[-2:]
    if saves:
        assert said.endswith("stopped by Ctrl-C, saved up to step 1 in runs/pets-course")
        assert resume.startswith("to go on: detlab train ")
    else:
        assert said.endswith("stopped by Ctrl-C, nothing is saved")
        assert resume.startswith("to begin again: detlab train ")
    assert detlab(*words, "--epochs", "5", "--resume")[0] == 0


def press_on(call, press):
    """A function that presses when it is called so often, and gives 0."""
    calls = []

    def act(*_):
        calls.append(1)
        if len(calls) == call:
            press()
        return 0

    return act


def test_a_number_that_is_none_in_a_checkpoint_is_told(detlab, tmp_path, checkpoint):
    from safetensors.torch import load_file, save_file

    content = checkpoint.read_bytes()
    said = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
    tensors = load_file(checkpoint)
    tensors["head.boxes.last.bias"][0] = float("nan")
    save_file(
        tensors, tmp_path / "bad.safetensors", {"format": said["format"], "said": said["said"]}
    )
    for command in ("evaluate", "detect"):
        result = detlab(command, tmp_path / "bad.safetensors", coco_folder(tmp_path / "pets"))
        assert_refused(result, "bad.safetensors: head.boxes.last.bias holds a number that is")


def test_a_gradient_that_is_no_number_is_told_and_nothing_is_written_over(
    detlab, tmp_path, monkeypatch
):
    folder = coco_folder(tmp_path / "pets")
    words = ("train", "--data", folder, *TINY, "--epochs", "6")
    monkeypatch.setattr("detlab.training.run.SAVE_EVERY", 0.0)
    monkeypatch.setattr("detlab.training.loop.detection_loss", infinite_gradient_at(step=3))
    status, _, err = detlab(*words)
    assert status == 2
    assert re.search(r"detlab: step 3: the gradient of .* is infinite or no number; over ", err)
    assert run_folder.saved_step(Path("runs/pets-course")) == 3
    assert not Path("runs/pets-course/checkpoint.safetensors").exists()
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path / "here")
    assert detlab(*words, "--resume")[0] == 0


def infinite_gradient_at(step):
    """The detection loss, but at one step its value has an infinite slope."""
    from detlab.detector.losses import detection_loss

    calls = []

    def loss(predictions, targets, **settings):
        calls.append(1)
        losses = detection_loss(predictions, targets, **settings)
        if len(calls) == step + 1:
            zero = losses["total"] - losses["total"].detach()
            losses["total"] = losses["total"].detach() + zero.abs().sqrt()
        return losses

    return loss


def test_an_error_of_the_program_keeps_its_traceback(detlab, tmp_path, monkeypatch):
    def broken(*_):
        raise ValueError("a bug")

    monkeypatch.setattr("detlab.training.run.evaluate", broken)
    with pytest.raises(ValueError, match="a bug"):
        detlab("train", "--data", coco_folder(tmp_path / "pets"), *TINY)


def test_an_output_that_does_not_fit_on_the_disk_is_told(detlab, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cli, "print_table", full)
    assert_refused(detlab("data", "list"), "output: No space left on device")


def test_an_error_of_the_system_without_a_file_keeps_its_traceback(detlab, monkeypatch):
    def broken(*_):
        raise OSError("odd")

    monkeypatch.setattr(download, "list_sets", broken)
    with pytest.raises(OSError, match="odd"):
        detlab("data", "list")


# ---------------------------------------------------------------- as real programs


def start(*words, **options):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    command = [sys.executable, *map(str, words)]
    return subprocess.Popen(command, **pipes, **options)


def wait_until(true, program, seconds=60):
    deadline = time.monotonic() + seconds
    while not true():
        assert program.poll() is None, program.communicate(timeout=30)[1]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def answers(address):
    """Whether a server is there, whatever it says."""
    try:
        urllib.request.urlopen(address).close()
    except urllib.error.HTTPError:
        return True
    except urllib.error.URLError:
        return False
    return True


@pytest.mark.skipif(os.name == "nt", reason="Windows sends Ctrl-C to a whole console")
def test_a_real_ctrl_c_leaves_a_run_that_goes_on(detlab, tmp_path):
    folder = coco_folder(tmp_path / "pets")
    words = ("train", "--data", folder, *TINY, "--epochs", "500")
    program = start("-m", "detlab", *words)
    metrics = Path("runs/pets-course/metrics.jsonl")
    wait_until(lambda: len(run_folder.recorded(metrics.parent)) > 2, program)
    program.send_signal(signal.SIGINT)
    out, err = program.communicate(timeout=60)
    assert (program.returncode, out) == (130, "")
    assert "to go on: detlab train" in err
    assert "Traceback" not in err
    assert (metrics.parent / "resume.safetensors").exists()
    lines = metrics.read_text().splitlines()
    assert f"stopped at step {json.loads(lines[-1])['step']}," in err


LONG = ("--config", "course", "--batch-size", "2", "--epochs", "5000", "--device", "cpu")


def start_training(folder, *words, **options):
    """A real training that has taken some steps, in a session of its own."""
    out = Path("runs/pets-course")
    program = start(
        *words, "-m", "detlab", "train", "--data", folder, *LONG, start_new_session=True, **options
    )
    try:
        wait_until(lambda: len(run_folder.recorded(out)) > 2, program)
    except BaseException:
        kill_all(program)
        raise
    return program


def kill_all(program):
    """End a program and whatever it started in its session."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(program.pid, signal.SIGKILL)
    program.communicate(timeout=30)


unix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")


@unix
@pytest.mark.parametrize(("number", "name"), NAMED)
def test_a_real_signal_saves_whoever_in_the_group_gets_it(tmp_path, number, name):
    program = start_training(coco_folder(tmp_path / "pets"))
    try:
        os.killpg(program.pid, number)
        out, err = program.communicate(timeout=60)
    finally:
        kill_all(program)
    assert (program.returncode, out) == (128 + number, "")
    step = run_folder.saved_step(Path("runs/pets-course"))
    assert f"detlab: stopped at step {step}, all saved in runs/pets-course\nto go on: " in err
    assert "Traceback" not in err


@pytest.mark.slow
@unix
@pytest.mark.parametrize(("number", "name"), NAMED)
def test_the_workers_of_a_training_leave_signals_to_it(tmp_path, monkeypatch, number, name):
    monkeypatch.setattr(sys.modules[__name__], "LONG", (*LONG, "--workers", "2"))
    program = start_training(coco_folder(tmp_path / "pets"))
    try:
        workers = psutil.Process(program.pid).children()
        assert len(workers) >= 2
        for worker in workers:
            worker.send_signal(number)
        time.sleep(0.5)
        program.send_signal(number)
        out, err = program.communicate(timeout=60)
    finally:
        kill_all(program)
    assert (program.returncode, out) == (128 + number, ""), err
    assert "all saved in runs/pets-course" in err
    assert "Traceback" not in err
    assert psutil.wait_procs(workers, timeout=30)[1] == []


@pytest.mark.slow
@unix
def test_a_training_below_nohup_outlives_its_terminal(tmp_path):
    ignore = {"preexec_fn": lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)}
    program = start_training(coco_folder(tmp_path / "pets"), **ignore)
    try:
        program.send_signal(signal.SIGHUP)
        taken = len(run_folder.recorded(Path("runs/pets-course")))
        wait_until(lambda: len(run_folder.recorded(Path("runs/pets-course"))) > taken + 2, program)
    finally:
        kill_all(program)


@unix
def test_a_terminal_that_is_closed_leaves_a_run_that_goes_on(tmp_path):
    folder = coco_folder(tmp_path / "pets")
    ours, theirs = os.openpty()
    os.set_blocking(ours, False)
    words = [sys.executable, "-c", IN_TERMINAL, "train", "--data", str(folder), *LONG]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), theirs)
    program = subprocess.Popen(words, start_new_session=True, **pipes)
    out = Path("runs/pets-course")

    def trains():
        with contextlib.suppress(BlockingIOError):
            os.read(ours, 10_000)  # what is not read would keep the program waiting
        return len(run_folder.recorded(out)) > 2

    try:
        wait_until(trains, program)
        os.close(theirs)
        os.close(ours)
        assert program.wait(timeout=60) == 128 + signal.SIGHUP
    finally:
        kill_all(program)
    assert run_folder.saved_step(out) == run_folder.recorded(out)[-1]["step"]


IN_TERMINAL = """
import os
os.close(os.open(os.ttyname(0), os.O_RDWR))  # now it is the terminal of this session
from detlab.__main__ import main
main()
"""


@pytest.mark.slow
@unix
@pytest.mark.parametrize("resume", [False, True])
def test_a_training_beside_a_living_one_is_refused_and_after_a_kill_it_goes_on(
    detlab, tmp_path, monkeypatch, resume
):
    monkeypatch.setattr(sys.modules[__name__], "LONG", (*LONG, "--workers", "2"))
    folder = coco_folder(tmp_path / "pets")
    program = start_training(folder)
    words = ("train", "--data", folder, *LONG, *(["--resume"] if resume else []))
    try:
        assert_refused(
            detlab(*words), "another training writes there", f"is held by process {program.pid} on "
        )
        program.kill()  # its workers live on for a while
        program.wait(timeout=30)
        if resume:
            monkeypatch.setattr(
                "detlab.training.run.show", lambda *_: signal.raise_signal(signal.SIGINT)
            )
            assert detlab(*words)[0] == 130
        else:
            assert_refused(detlab(*words), "holds a run already")
    finally:
        kill_all(program)


@pytest.mark.slow
def test_of_two_trainings_that_start_at_once_one_is_refused(tmp_path):
    folder = coco_folder(tmp_path / "pets")
    words = ("-m", "detlab", "train", "--data", folder, *TINY, "--epochs", "12")
    programs = [start(*words) for _ in range(2)]
    try:
        said = [program.communicate(timeout=120)[1] for program in programs]
    finally:
        for program in programs:
            program.kill()
    statuses = [program.returncode for program in programs]
    assert sorted(statuses) == [0, 2], said
    refusal = said[statuses.index(2)]
    assert "another training writes there" in refusal or "holds a run already" in refusal
    rows = run_folder.recorded(Path("runs/pets-course"))
    assert [row["step"] for row in rows if "loss_box" in row] == list(range(1, 13))


TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


@pytest.mark.slow
@unix
@pytest.mark.parametrize(("number", "name"), NAMED)
def test_a_signal_to_torchrun_saves_once_for_all(tmp_path, number, name):
    program = start_training(coco_folder(tmp_path / "pets"), *TORCHRUN)
    try:
        program.send_signal(number)
        err = program.communicate(timeout=90)[1]
    finally:
        kill_all(program)
    assert program.returncode != 0
    step = run_folder.saved_step(Path("runs/pets-course"))
    assert err.count(f"detlab: stopped at step {step}, all saved in runs/pets-course") == 2, err
    assert "to go on: torchrun … -m detlab train" in err


@pytest.mark.slow
@unix
@pytest.mark.parametrize("rank", [0, 1])
def test_when_one_of_two_processes_is_killed_the_other_ends_and_the_folder_is_free(tmp_path, rank):
    program = start_training(coco_folder(tmp_path / "pets"), *TORCHRUN)
    try:
        ranks = sorted(psutil.Process(program.pid).children(), key=lambda child: child.pid)
        ranks[rank].kill()
        program.communicate(timeout=90)
    finally:
        kill_all(program)
        for child in ranks:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
    assert program.returncode != 0
    run_folder.check_folder_is_free(Path("runs/pets-course"))


SLOW = """
import time
from detlab.cli import commands as cli
cli.load_checkpoint = lambda *_: (print("there", flush=True), time.sleep(60))
cli.main()
"""


@pytest.mark.slow
@unix
@pytest.mark.parametrize("command", ["evaluate", "detect"])
@pytest.mark.parametrize(("number", "name"), NAMED)
def test_a_real_signal_ends_other_commands_with_a_line(number, name, command):
    program = start("-c", SLOW, command, "checkpoint", "pictures")
    try:
        assert program.stdout.readline() == "there\n"
        program.send_signal(number)
        assert program.communicate(timeout=60) == ("", f"detlab: stopped by {name}\n")
    finally:
        program.kill()
    assert program.returncode == 128 + number


def test_two_processes_train_one_detector_and_one_of_them_writes(tmp_path):
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    words = ("-m", "detlab", "train", "--data", coco_folder(tmp_path / "pets"), *TINY)
    program = start(*torchrun, *words)
    out, err = program.communicate(timeout=120)
    assert program.returncode == 0, err
    assert out.count("AP50 ") == 1
    steps = [
        row["step"] for row in run_folder.recorded(Path("runs/pets-course")) if "loss_box" in row
    ]
    assert steps == [1]  # two epochs of two pictures are four, two on each process
    assert run_folder.read_settings(Path("runs/pets-course"))["processes"] == 2


def test_a_reader_that_leaves_early_is_no_error(tmp_path):
    program = start("-m", "detlab", "data", "list")
    program.stdout.close()
    assert program.stderr.read() == ""
    assert program.wait(timeout=60) == 1
    program.stderr.close()


def test_lab_serves_on_this_machine_only_and_wants_the_token(tmp_path):
    (tmp_path / "00_start_here.ipynb").write_text(
        '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'
    )
    script = (
        "import sys; from pathlib import Path; from detlab.cli import commands as cli; "
        f"cli.START = Path({str(tmp_path / '00_start_here.ipynb')!r}); cli.main()"
    )
    program = start("-c", script, "lab", "--no-browser", "--port", "0")
    try:
        said = ""
        while "token=" not in said:
            line = program.stderr.readline()
            assert line, said
            said += line
        address = re.search(r"http://\S*?token=\w+", said)[0]
        assert re.fullmatch(
            r"http://(localhost|127\.0\.0\.1):\d+/lab/tree/00_start_here\.ipynb\?token=\w{32,}",
            address,
        )
        files = re.sub(r"/lab/tree/.*", "/api/contents", address)
        wait_until(lambda: answers(files), program)
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(files)
        token = address.partition("token=")[2]
        with urllib.request.urlopen(f"{files}?token={token}") as answer:
            assert "00_start_here.ipynb" in answer.read().decode()
    finally:
        program.terminate()
        program.communicate(timeout=30)


def test_progress_shows_every_lesson_and_what_comes_next(detlab, progress_path):
    remember("commits", "02-half", "1/3")
    status, out, _ = detlab("progress")
    assert status == 0
    assert "02 Where is it?" in out
    assert "next: 00_start_here.ipynb" in out
    assert str(progress_path) in out
    rows = json.loads(detlab("progress", "--json")[1])
    assert [row["lesson"] for row in rows] == [lesson.number for lesson in COURSE]
    assert rows[2]["commits"] == 1


def test_reset_refuses_what_is_no_lesson(detlab):
    assert detlab("reset", "99")[0] == 2
    assert "no lesson '99'" in detlab("reset", "99")[2]


def test_reset_says_where_the_old_notebook_is(detlab, monkeypatch, tmp_path):
    kept = tmp_path / "00_start_here.kept.ipynb"
    monkeypatch.setattr("detlab.course.restore.restore_lesson", lambda lesson: kept)
    status, out, _ = detlab("reset", "0")
    assert status == 0
    assert "yours is kept as 00_start_here.kept.ipynb" in out


def test_data_check_ends_with_what_is_worth_a_look_and_draws_it(detlab, tmp_path):
    content = coco_content()
    content["annotations"].append({**content["annotations"][0], "id": 99})
    folder = coco_folder(tmp_path / "pets", content=content)
    sheet = tmp_path / "sheet.png"
    table = tmp_path / "audit.csv"
    status, out, _ = detlab("data", "check", folder, "--out", sheet, "--out", table)
    assert status == 0
    assert table.read_text().startswith("kind,split,pictures,objects,what")
    assert "worth a second look, of" in out
    assert "double box: " in out
    assert "\nboxes: 2 cat, 2 dog\n" in out
    assert "NMS at 0.5 would lose" in out
    assert f"drawn in {sheet}, at most 6 of a kind" in out
    with Image.open(sheet) as picture:
        assert min(picture.size) > 100


def test_where_nothing_was_found_there_is_nothing_to_draw(detlab, tmp_path):
    sheet = tmp_path / "sheet.png"
    folder = coco_folder(tmp_path / "pets", scenes={"a": SCENES["a"]})
    status, out, _ = detlab("data", "check", folder, "--out", sheet)
    assert (status, out.splitlines()[-1]) == (0, "nothing to draw")
    assert not sheet.exists()


def test_data_convert_writes_a_folder_that_trains(detlab, tmp_path):
    status, out, err = detlab(
        "data", "convert", coco_folder(tmp_path / "pets"), "new", "--to", "yolo"
    )
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        "splits are missing that Ultralytics wants in data.yaml before it trains: val",
        "new: YOLO with 3 boxes in pictures: 3 train",
    ]
    assert "new: no faults" in detlab("data", "check", "new")[1]
    assert_refused(
        detlab("data", "convert", tmp_path / "pets", "new", "--to", "coco"),
        "holds ",
        " already; want a new or an empty folder",
    )


@pytest.mark.parametrize("action", ["check", "convert"])
def test_pictures_that_lie_elsewhere_are_read_where_it_is_allowed(detlab, tmp_path, action):
    folder = coco_folder(tmp_path / "pets")
    (folder / "images").rename(tmp_path / "elsewhere")
    words = ["data", action, folder, *(["new", "--to", "voc"] if action == "convert" else [])]
    assert detlab(*words)[0] != 0
    status, out, _ = detlab(*words, "--allow-outside", tmp_path / "elsewhere")
    assert status == 0
    assert "3 train" in out


def test_data_convert_stops_at_a_fault_or_counts_what_it_leaves_out(detlab, tmp_path):
    folder = with_box(9.0, 1.0, 0.0, 5.0)(tmp_path / "pets")
    words = ("data", "convert", folder, "new", "--to", "voc")
    assert_refused(detlab(*words), "annotation 100", "--skip-bad leaves them out")
    assert os.listdir() == []
    status, out, _ = detlab(*words, "--skip-bad")
    assert status == 0
    assert "\n1 fault left out: " in out
    assert out.endswith("new: VOC with 2 boxes in pictures: 3 train\n")


def test_a_table_that_cannot_be_written_is_told(detlab, tmp_path):
    folder = coco_folder(tmp_path / "pets", scenes={"a": SCENES["a"]})
    (tmp_path / "file").write_text("")
    status, _, err = detlab("data", "check", folder, "--out", tmp_path / "file" / "audit.csv")
    assert status == 2
    assert "file" in err
    assert "Traceback" not in err
