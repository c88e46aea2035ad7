import os
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from detlab.data import archives, download
from detlab.data.download import BCCD, SETS, check_files, find, get, list_sets, sha256_of
from detlab.data.records import DataError
from tests.data.test_archives import pack
from tests.local_server import serve
from tests.sample_folders import yolo_folder


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A server with a public set of three pictures, known under the name "tiny"."""
    monkeypatch.delenv("DETLAB_DATA", raising=False)
    monkeypatch.setattr(download, "cache_folder", lambda: tmp_path / "cache")
    folder = yolo_folder(tmp_path / "original", "train")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sums = [
        f"{sha256_of(path)} {path.stat().st_size} {path.relative_to(folder)}\n" for path in files
    ]
    (tmp_path / "sums.txt").write_text("".join(sums))
    members = [(f"repo-1/sets/tiny/{p.relative_to(folder)}", p.read_bytes()) for p in files]
    archive = pack(tmp_path / "archive.tar.gz", [("repo-1/README", b"hello"), *members])
    with serve(archive.read_bytes()) as shelf:
        tiny = replace(
            BCCD,
            name="tiny",
            pictures=3,
            boxes=3,
            address=shelf.address,
            inside="sets/tiny",
            places=("tiny", "tiny_small"),
            checksums=tmp_path / "sums.txt",
        )
        monkeypatch.setitem(SETS, "tiny", tiny)
        yield shelf


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_set_is_downloaded_checked_and_put_in_its_place(tmp_path, shelf):
    folder = get("tiny")
    assert folder == tmp_path / "cache" / "tiny"
    assert left_in(folder) == ["data.yaml", "images", "labels"]
    assert left_in(tmp_path / "cache") == ["tiny"]


def test_a_set_goes_to_the_folder_that_is_named_where_one_may_write(tmp_path, shelf, monkeypatch):
    named = tmp_path / "named"
    named.mkdir()
    monkeypatch.setenv("DETLAB_DATA", str(named))
    assert get("tiny") == named / "tiny"
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert download.download_folder() == tmp_path / "cache"


def test_a_set_that_is_here_is_not_fetched_again(shelf):
    get("tiny")
    get("tiny")
    assert len(shelf.asked) == 1


def test_another_root_is_possible(tmp_path, shelf):
    assert get("tiny", tmp_path / "mine") == tmp_path / "mine" / "tiny"


@pytest.mark.parametrize("place", ["tiny", "tiny_small"])
def test_detlab_data_is_looked_in_first(tmp_path, shelf, monkeypatch, place):
    get("tiny")
    (tmp_path / "data" / place).mkdir(parents=True)
    monkeypatch.setenv("DETLAB_DATA", str(tmp_path / "data"))
    assert get("tiny") == tmp_path / "data" / place
    assert find(SETS["tiny"], tmp_path / "cache") == tmp_path / "cache" / "tiny"


def test_a_cut_download_leaves_only_its_part_and_goes_on(tmp_path, shelf, monkeypatch):
    monkeypatch.setattr(archives, "CHUNK", 100)
    shelf.cut_after = 500
    with pytest.raises(DataError, match="500 bytes are kept; run it again"):
        get("tiny")
    assert left_in(tmp_path / "cache") == ["tiny.tar.part"]
    shelf.cut_after = None
    get("tiny")
    assert shelf.asked == [None, "bytes=500-"]
    assert left_in(tmp_path / "cache") == ["tiny"]


def test_an_archive_that_was_fetched_but_not_unpacked_is_used(tmp_path, shelf):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "tiny.tar.gz").write_bytes(shelf.content)
    get("tiny")
    assert shelf.asked == []


def test_a_damaged_archive_is_thrown_away(tmp_path, shelf):
    whole = shelf.content
    shelf.content = whole[: len(whole) // 2]
    with pytest.raises(DataError, match="damaged archive"):
        get("tiny")
    assert left_in(tmp_path / "cache") == []
    shelf.content = whole
    get("tiny")


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("images/train/a.png", "another images/train/a.png: .* SHA-256"),
        ("images/train/z.png", "tiny came without images/train/z.png"),
    ],
)
def test_a_file_that_differs_from_what_is_pinned_is_named(tmp_path, shelf, name, what):
    sums = tmp_path / "sums.txt"
    sums.write_text(f"{'0' * 64} 7 {name}\n" + sums.read_text())
    with pytest.raises(DataError, match=what):
        get("tiny")
    assert left_in(tmp_path / "cache") == []


def test_a_difference_says_what_came_and_what_was_wanted(tmp_path, shelf):
    folder = get("tiny")
    seen, wanted = sha256_of(folder / "data.yaml"), sha256(b"names: [cat, cow]\n").hexdigest()
    (folder / "data.yaml").write_text("names: [cat, cow]\n")
    with pytest.raises(DataError) as caught:
        check_files(SETS["tiny"], folder)
    assert f"another data.yaml: 18 bytes, SHA-256 {wanted}" in str(caught.value)
    assert f"want 18 bytes, {seen}" in str(caught.value)


@pytest.mark.parametrize("count", [{"pictures": 4}, {"boxes": 4}])
def test_pictures_and_boxes_are_counted(shelf, monkeypatch, count):
    monkeypatch.setitem(SETS, "tiny", replace(SETS["tiny"], checksums=None, **count))
    with pytest.raises(DataError, match="came with 3 pictures and 3 boxes; want"):
        get("tiny")


def test_a_folder_that_cannot_be_written_is_named(tmp_path, shelf):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="file: File exists\nmake room, or let DETLAB_DATA"):
        get("tiny", tmp_path / "file")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_named(tmp_path, shelf):
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(DataError, match="Permission denied"):
        get("tiny", tmp_path / "locked")


def test_an_unknown_name_is_told_with_the_known_ones():
    with pytest.raises(DataError, match="no public set 'imagenet'; want one of bccd, aquarium"):
        get("imagenet")


def test_coco_says_where_to_get_it(tmp_path):
    with pytest.raises(DataError, match="cocodataset"):
        get("coco", tmp_path)


def test_voc_2007_comes_through_torchvision_in_one_piece(tmp_path, monkeypatch):
    asked = []

    def reader(root, year, image_set, download):
        asked.append((year, image_set, download))
        (Path(root) / "VOCdevkit" / "VOC2007").mkdir(parents=True, exist_ok=True)

    monkeypatch.setattr(download, "VOCDetection", reader)
    folder = get("voc2007", tmp_path)
    assert folder == tmp_path / "voc2007" / "VOCdevkit" / "VOC2007"
    assert folder.is_dir()
    assert asked == [("2007", "trainval", True), ("2007", "test", True)]
    assert left_in(tmp_path / "voc2007") == ["VOCdevkit"]


def test_a_failed_voc_download_leaves_nothing_and_can_be_repeated(tmp_path, monkeypatch):
    def reader(root, **options):
        raise RuntimeError("File not found or corrupted.")

    monkeypatch.setattr(download, "VOCDetection", reader)
    for _ in range(2):
        with pytest.raises(DataError, match="File not found or corrupted"):
            get("voc2007", tmp_path)
    assert find(SETS["voc2007"], tmp_path) is None


def test_the_list_says_what_is_here(tmp_path, shelf):
    get("tiny")
    rows = {row["name"]: row for row in list_sets()}
    assert list(rows)[:4] == ["bccd", "aquarium", "voc2007", "coco"]
    assert rows["tiny"]["where"] == str(tmp_path / "cache" / "tiny")
    assert rows["bccd"]["where"] == "not here yet"
    assert rows["bccd"]["pictures"] == "364"


def test_every_address_is_pinned_to_a_commit():
    for public in SETS.values():
        if public.address:
            commit = public.address.removesuffix(".tar.gz").rsplit("/", 1)[-1]
            assert len(bytes.fromhex(commit)) == 20


def test_every_file_of_bccd_is_pinned():
    lines = [line.split() for line in BCCD.checksums.read_text().splitlines()]
    assert all(len(bytes.fromhex(line[0])) == 32 and int(line[1]) > 0 for line in lines)
    names = [line[2] for line in lines]
    assert len(set(names)) == 364 + 364 + 4
    assert sum(name.startswith("JPEGImages/") for name in names) == 364


REAL = Path(os.environ.get("DETLAB_DATA", "not set")) / "bccd" / "BCCD"


@pytest.mark.skipif(not REAL.is_dir(), reason="DETLAB_DATA names no folder with bccd")
def test_the_real_bccd_is_what_was_pinned():
    check_files(BCCD, REAL)
