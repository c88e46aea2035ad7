"""Public data sets by name: looked for here, or downloaded and checked.

Uses archives.py and folders.py: one fetches, one reads what arrives.

`DETLAB_DATA` names a folder that is looked in first; a download goes to the user's cache.
What is checked after a download, and nothing more:

bccd       size and SHA-256 of every picture, annotation and split (checksums/bccd.txt)
aquarium   the address names a commit, and pictures and boxes are counted; the sums of its
           files have never been recorded, so another file of the same count would pass
voc2007    torchvision's own download, with the MD5 of its two archives
coco       26 GB, which you fetch yourself

GitHub packs an archive anew for each request, so no sum of the archive itself can be pinned.
A folder that is there already is yours: it is read as it stands.
"""

import os
from dataclasses import dataclass
from functools import partial
from hashlib import file_digest
from pathlib import Path
from tempfile import TemporaryDirectory

import platformdirs
from pooch.core import retrieve
from pooch.utils import get_logger
from torchvision.datasets import VOCDetection

from detlab.data.archives import plain_errors, resume_download, unpack
from detlab.data.folders import layout_of, read_part
from detlab.data.records import DataError, read_text


@dataclass(frozen=True)
class PublicSet:
    """A data set that anyone can get."""

    name: str
    pictures: int
    classes: int
    """Without background."""
    licence: str
    source: str
    """The page that says more."""
    places: tuple[str, ...]
    """Where it may lie below DETLAB_DATA or the cache; a download goes to the first."""
    address: str = ""
    """A .tar.gz with one folder at its top, as GitHub packs a commit."""
    inside: str = ""
    """The part of that folder that is kept."""
    boxes: int = 0
    """In all splits together, those without area included."""
    checksums: Path | None = None
    """A line for each file: SHA-256, bytes, path. None: pictures and boxes are counted instead."""


GITHUB = "https://github.com"

BCCD = PublicSet(
    name="bccd",
    pictures=364,
    classes=3,
    licence="MIT",
    source=f"{GITHUB}/Shenggan/BCCD_Dataset",
    places=("bccd/BCCD",),
    address=f"{GITHUB}/Shenggan/BCCD_Dataset"
    "/archive/d272fb14cdff6e473fafeeeba32aba5f560e9e43.tar.gz",
    inside="BCCD",
    boxes=4888,
    checksums=Path(__file__).parent / "checksums" / "bccd.txt",
)
AQUARIUM = PublicSet(
    name="aquarium",
    pictures=638,
    classes=7,
    licence="CC BY 4.0 (Roboflow)",
    source="https://public.roboflow.com/object-detection/aquarium",
    places=("aquarium", "aquarium_512"),
    address=f"{GITHUB}/sumit2011/underwater-object-detection"
    "/archive/eee4be3324cd019b9032bb13f22a756a77866503.tar.gz",
    inside="dataset/aquarium_pretrain",
    boxes=4817,
)
VOC2007 = PublicSet(
    name="voc2007",
    pictures=9963,
    classes=20,
    licence="Flickr terms of use",
    source="http://host.robots.ox.ac.uk/pascal/VOC/voc2007/",
    places=("voc2007/VOCdevkit/VOC2007",),
)
COCO = PublicSet(
    name="coco",
    pictures=123287,
    classes=80,
    licence="CC BY 4.0 (annotations), Flickr terms of use (pictures)",
    source="https://cocodataset.org/#download",
    places=("coco",),
)
SETS = {public.name: public for public in (BCCD, AQUARIUM, VOC2007, COCO)}


def list_sets() -> list[dict[str, str]]:
    """A row for each public set: what it is, and where it lies now."""
    return [
        {
            "name": public.name,
            "pictures": str(public.pictures),
            "classes": str(public.classes),
            "licence": public.licence,
            "source": public.source,
            "where": str(find(public) or "not here yet"),
        }
        for public in SETS.values()
    ]


def cache_folder() -> Path:
    """Where downloads go, if DETLAB_DATA names no other place."""
    return platformdirs.user_cache_path("detlab")


def download_folder() -> Path:
    """DETLAB_DATA where one may write there, else the cache."""
    named = named_folder()
    return named if named and os.access(named, os.W_OK) else cache_folder()


def named_folder() -> Path | None:
    """DETLAB_DATA, where it is set."""
    named = os.environ.get("DETLAB_DATA")
    return Path(named).expanduser() if named else None


def find(public: PublicSet, root: Path | None = None) -> Path | None:
    """Where a set lies: below `root`, or else below DETLAB_DATA or the cache."""
    named = named_folder()
    roots = [named, cache_folder()] if named else [cache_folder()]
    places = (base / place for base in ([root] if root else roots) for place in public.places)
    return next((place for place in places if place.is_dir()), None)


def get(name: str, root: Path | None = None) -> Path:
    """The folder of a public set, downloaded first where it is not here yet.

    A download that is cut short goes on where it stopped when it is asked for again; torchvision's,
    of voc2007, begins anew. The set appears in one piece, after all checks.

    Args:
        name: one of SETS.
        root: look and download here, and not in DETLAB_DATA or the cache.

    Raises:
        DataError: no such name, no way to get it, or what came is not what was pinned.
    """
    if name not in SETS:
        raise DataError(f"no public set {name!r}; want one of {', '.join(SETS)}")
    public = SETS[name]
    found = find(public, root)
    if found is not None:
        return found
    if public is COCO:
        raise DataError(
            f"coco is not here, and too large to fetch unasked; get train2017, val2017 and their "
            f"annotations from {public.source} and unpack them into $DETLAB_DATA/coco"
        )
    folder = (root or download_folder()) / public.places[0]
    with plain_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        if public is VOC2007:
            fetch_voc2007(folder)
        else:
            fetch(public, folder)
    return folder


def fetch(public: PublicSet, folder: Path) -> None:
    """Download, unpack, check; then, and only then, put the set in its place."""
    archive = folder.parent / f"{public.name}.tar.gz"
    get_logger().setLevel("WARNING")
    download = partial(resume_download, part=archive.with_suffix(".part"))
    retrieve(public.address, None, archive.name, archive.parent, downloader=download)
    with TemporaryDirectory(dir=folder.parent, prefix=f"{public.name}-") as temporary:
        unpacked = Path(temporary) / "unpacked"
        try:
            unpack(archive, unpacked, public.inside)
            check_files(public, unpacked)
        except DataError:
            archive.unlink()  # the next run starts afresh
            raise
        os.replace(unpacked, folder)
    archive.unlink()


def check_files(public: PublicSet, folder: Path) -> None:
    """Compare a folder with what is pinned for its set.

    Raises:
        DataError: the first file that differs, with what was seen and what was wanted.
    """
    if public.checksums is None:
        layout = layout_of(folder)
        splits = [read_part(layout, folder, split) for split in layout.splits]
        pictures = sum(len(split.records) for split in splits)
        boxes = sum(len(record.boxes) for split in splits for record in split.records)
        if (pictures, boxes) != (public.pictures, public.boxes):
            raise DataError(
                f"{public.name} came with {pictures} pictures and {boxes} boxes; "
                f"want {public.pictures} and {public.boxes}"
            )
        return
    for line in read_text(public.checksums).splitlines():
        sha256, size, name = line.split(maxsplit=2)
        path = folder / name
        if not path.is_file():
            raise DataError(f"{public.name} came without {name}; run it again")
        seen = (path.stat().st_size, sha256_of(path))
        if seen != (int(size), sha256):
            raise DataError(
                f"{public.name} came with another {name}: {seen[0]} bytes, SHA-256 {seen[1]};\n"
                f"want {size} bytes, {sha256}; run it again, or ask {public.source}"
            )


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def fetch_voc2007(folder: Path) -> None:
    """Let torchvision download and check both halves, then put them in their place."""
    devkit = folder.parent
    with TemporaryDirectory(dir=devkit.parent) as temporary:
        for split in ("trainval", "test"):
            VOCDetection(temporary, year="2007", image_set=split, download=True)
        devkit.rmdir()
        os.replace(Path(temporary) / devkit.name, devkit)
