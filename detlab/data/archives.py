"""Fetch an archive that a stranger packed, and unpack it without harm.

download.py says what to fetch and what must come out.
"""

import gzip
import os
import platform
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.error import URLError

import requests
from tqdm import tqdm

from detlab.data.records import DataError

CHUNK = 1 << 16
"""Bytes between two looks at the progress bar."""

TIMEOUT = 30
"""Seconds without a byte until a server counts as gone."""

MAX_UNPACKED = 2 << 30
"""Bytes that an archive may unpack to; the largest of ours has some 0.1 GB."""


def resume_download(address: str, output_file: str, _: Any, part: Path) -> None:
    """Fetch an address into `part`, going on after what is there; move it when it is whole.

    Raises:
        DataError: it broke off, with how much is kept for the next try.
    """
    try:
        want = fetch_rest(address, part)
        reason = "the connection was cut"
    except requests.RequestException as error:
        want, reason = -1, plain_reason(error)
    done = part.stat().st_size if part.exists() else 0
    if want not in (None, done):
        kept = f"{done:,} bytes are kept; run it again to go on from there"
        raise DataError(f"{address}: {reason}" + (f"\n{kept}" if done else ""))
    os.replace(part, output_file)


def plain_reason(error: requests.RequestException) -> str:
    """What a learner can make of an error of the network."""
    if error.response is not None:
        return f"the server answers {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return f"no answer within {TIMEOUT} s"
    if isinstance(error, requests.ConnectionError):
        return "no connection to the server; is this machine online?"
    return "the connection was cut"


def fetch_rest(address: str, part: Path) -> int | None:
    """Append to `part` what it lacks, and say how large the whole is, where the server says so."""
    done = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {})
    with requests.get(address, headers=headers, stream=True, timeout=TIMEOUT) as response:
        if response.status_code == 416 and done:  # nothing comes after `done`: start over
            part.unlink()
            return fetch_rest(address, part)
        response.raise_for_status()
        if response.status_code != 206:  # the server sends all of it
            done = 0
        size = response.headers.get("Content-Length")
        want = done + int(size) if size else None
        with (
            part.open("ab" if done else "wb") as file,
            tqdm(desc=part.stem, total=want, initial=done, unit="B", unit_scale=True) as bar,
        ):
            for chunk in response.iter_content(CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
    return want


def unpack(archive: Path, folder: Path, inside: str = "") -> None:
    """Take a part of an archive's only top folder out of it, plain files alone.

    What a file may be called and where it may land is for Python's own "data" filter to say
    (PEP 706); that an archive may not fill the disk, it does not say.

    Raises:
        DataError: damaged; a path that leaves the folder; a link; more than MAX_UNPACKED bytes;
            a Python that has no such filter yet.
    """
    if not hasattr(tarfile, "data_filter"):  # Debian 12 has a 3.11.2
        raise DataError(
            f"{archive}: cannot be unpacked safely by Python {platform.python_version()}; "
            "want 3.11.4 or newer, or unpack it yourself"
        )
    part, left = PurePosixPath(inside).parts, MAX_UNPACKED

    def wanted(member: tarfile.TarInfo, target: str) -> tarfile.TarInfo | None:
        nonlocal left
        path = PurePosixPath(tarfile.data_filter(member, target).name).parts
        if path[1 : 1 + len(part)] != part or member.isdir():
            return None
        if not member.isreg():  # unpacked, a link may be a second copy, which no size tells
            raise DataError(f"{archive}: {member.name}: want plain files, this is a link")
        left -= member.size
        if left < 0:
            raise DataError(f"{archive}: unpacks to more than {MAX_UNPACKED} bytes")
        return tarfile.data_filter(member.replace(name="/".join(path[1 + len(part) :])), target)

    try:
        with gzip.open(archive) as stream, tarfile.open(fileobj=stream) as tar:
            tar.extractall(str(folder), filter=wanted)
            while stream.read(CHUNK):  # gzip's own checksum stands at the very end
                pass
    except tarfile.FilterError as error:
        raise DataError(f"{archive}: refused: {error}") from error
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{archive}: damaged archive ({error}); run it again") from error


@contextmanager
def plain_errors(folder: Path) -> Iterator[None]:
    """Say in one or two lines what stopped a download, and what to do about it."""
    try:
        yield
    except (URLError, RuntimeError) as error:  # torchvision's ways to say it
        raise DataError(f"{folder}: the download stopped: {error}; run it again") from error
    except OSError as error:
        what = f"{error.filename or folder}: {error.strerror or error}"
        advice = "make room, or let DETLAB_DATA name a folder elsewhere"
        raise DataError(f"{what}\n{advice}") from error
