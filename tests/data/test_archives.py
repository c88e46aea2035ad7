import errno
import io
import os
import tarfile

import pytest

from detlab.data import archives
from detlab.data.archives import fetch_rest, plain_errors, resume_download, unpack
from detlab.data.records import DataError
from tests.local_server import serve

CONTENT = bytes(range(256)) * 1000


def pack(path, members):
    """A .tar.gz of (name, content) or (name, TarInfo type, link target)."""
    with tarfile.open(path, "w:gz") as tar:
        for name, *what in members:
            info = tarfile.TarInfo(name)
            if len(what) == 2:
                info.type, info.linkname = what
                tar.addfile(info)
            else:
                info.size = len(what[0])
                tar.addfile(info, io.BytesIO(what[0]))
    return path


# Downloads


def test_a_whole_file_arrives(tmp_path):
    with serve(CONTENT) as shelf:
        resume_download(shelf.address, str(tmp_path / "whole"), None, part=tmp_path / "part")
    assert (tmp_path / "whole").read_bytes() == CONTENT
    assert not (tmp_path / "part").exists()
    assert shelf.asked == [None]


def test_a_cut_download_goes_on_where_it_stopped(tmp_path):
    part, whole = tmp_path / "part", tmp_path / "whole"
    with serve(CONTENT) as shelf:
        shelf.cut_after = 100_000
        with pytest.raises(DataError, match=r"cut\n[0-9,]+ bytes are kept; run it again"):
            resume_download(shelf.address, str(whole), None, part=part)
        kept = part.stat().st_size
        assert 0 < kept <= 100_000
        assert not whole.exists()
        shelf.cut_after = None
        resume_download(shelf.address, str(whole), None, part=part)
    assert whole.read_bytes() == CONTENT
    assert shelf.asked == [None, f"bytes={kept}-"]


def test_a_server_without_ranges_starts_over(tmp_path):
    part = tmp_path / "part"
    part.write_bytes(b"old" * 1000)
    with serve(CONTENT) as shelf:
        shelf.knows_ranges = False
        resume_download(shelf.address, str(tmp_path / "whole"), None, part=part)
    assert (tmp_path / "whole").read_bytes() == CONTENT


def test_a_part_longer_than_the_file_is_thrown_away(tmp_path):
    part = tmp_path / "part"
    part.write_bytes(CONTENT + b"more")
    with serve(CONTENT) as shelf:
        resume_download(shelf.address, str(tmp_path / "whole"), None, part=part)
    assert (tmp_path / "whole").read_bytes() == CONTENT


def test_a_server_that_says_no_length_is_believed(tmp_path):
    with serve(CONTENT) as shelf:
        shelf.says_length = False
        assert fetch_rest(shelf.address, tmp_path / "part") is None
    assert (tmp_path / "part").read_bytes() == CONTENT


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_refusal_is_named_with_its_address(tmp_path, status):
    with serve(CONTENT) as shelf:
        shelf.status = status
        with pytest.raises(DataError, match=f"127.0.0.1.*: the server answers {status}"):
            resume_download(shelf.address, str(tmp_path / "whole"), None, part=tmp_path / "part")
    assert list(tmp_path.iterdir()) == []


def test_no_server_is_named(tmp_path):
    with serve(CONTENT) as shelf:
        pass
    with pytest.raises(DataError, match="no connection to the server"):
        resume_download(shelf.address, str(tmp_path / "whole"), None, part=tmp_path / "part")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full to write to")
def test_a_full_disk_is_said_with_advice(tmp_path):
    part = tmp_path / "part"
    part.symlink_to("/dev/full")
    advice = "No space left on device\nmake room"
    with (
        serve(CONTENT) as shelf,
        pytest.raises(DataError, match=advice),
        plain_errors(tmp_path),
    ):
        resume_download(shelf.address, str(tmp_path / "whole"), None, part=part)
    assert not (tmp_path / "whole").exists()


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "/x"), "/x: Permission denied"),
        (OSError(errno.ENOSPC, "No space left on device"), "here: No space left on device"),
        (RuntimeError("File not found or corrupted."), "here: the download stopped: File not"),
    ],
)
def test_errors_of_the_machine_become_plain(tmp_path, error, what):
    with pytest.raises(DataError, match=what), plain_errors(tmp_path / "here"):
        raise error


# Unpacking


def test_the_wanted_part_lies_at_the_top(tmp_path):
    members = [("top/in/a.txt", b"a"), ("top/in/deep/b.txt", b"b"), ("top/out/c.txt", b"c")]
    unpack(pack(tmp_path / "x.tar.gz", members), tmp_path / "new", inside="in")
    files = sorted(
        p.relative_to(tmp_path / "new") for p in tmp_path.glob("new/**/*") if p.is_file()
    )
    assert [str(file) for file in files] == ["a.txt", "deep/b.txt"]
    assert (tmp_path / "new" / "deep" / "b.txt").read_bytes() == b"b"


@pytest.mark.parametrize(
    ("member", "what"),
    [
        (("top/../../evil.txt", b"x"), "outside the destination"),
        (("../evil.txt", b"x"), "outside the destination"),
        (("top/in/../../evil.txt", b"x"), "outside the destination"),
        (("top/in/evil.txt", tarfile.SYMTYPE, "/etc/passwd"), "absolute path"),
        (("top/in/evil.txt", tarfile.SYMTYPE, "../../../x"), "outside the destination"),
        (("top/in/evil.txt", tarfile.SYMTYPE, "a.txt"), "want plain files"),
        (("top/in/evil.txt", tarfile.LNKTYPE, "top/in/a.txt"), "want plain files"),
        (("top/in/evil.txt", tarfile.FIFOTYPE, ""), "special file"),
        (("top/in/evil.txt", tarfile.CHRTYPE, ""), "special file"),
    ],
)
def test_an_evil_archive_is_refused(tmp_path, member, what):
    archive = pack(tmp_path / "x.tar.gz", [("top/in/a.txt", b"a"), member])
    with pytest.raises(DataError, match=rf"x\.tar\.gz: .*evil\.txt.*{what}"):
        unpack(archive, tmp_path / "new", inside="in")
    assert not list(tmp_path.rglob("evil.txt"))


@pytest.mark.parametrize(
    "name", ["/top/in/a.txt", "top/in/C:a.txt", "top/in/..\\..\\a.txt", "top/./in/./a.txt"]
)
def test_what_an_odd_path_names_lands_in_the_folder(tmp_path, name):
    """Absolute paths become relative, as in tar; what is special on Windows is a letter here."""
    archive = pack(tmp_path / "x.tar.gz", [(name, b"a")])
    unpack(archive, tmp_path / "new", inside="in")
    [file] = [path for path in tmp_path.rglob("*a.txt") if path.is_file()]
    assert file.is_relative_to(tmp_path / "new")


def test_files_are_those_that_tarfile_itself_unpacks(tmp_path):
    members = [(f"top/{name}", os.urandom(50)) for name in ("a", "b/c", "b/d/e f", "ü.txt")]
    archive = pack(tmp_path / "x.tar.gz", members)
    unpack(archive, tmp_path / "new")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / "theirs", filter="data")
    ours, theirs = (
        {
            str(path.relative_to(place)): path.read_bytes()
            for path in place.rglob("*")
            if path.is_file()
        }
        for place in (tmp_path / "new", tmp_path / "theirs" / "top")
    )
    assert ours == theirs
    assert len(ours) == 4


def test_a_python_without_the_filter_is_named(tmp_path, monkeypatch):
    archive = pack(tmp_path / "x.tar.gz", [("top/a", b"a")])
    monkeypatch.delattr(tarfile, "data_filter")
    with pytest.raises(DataError, match=r"want 3\.11\.4 or newer"):
        unpack(archive, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_links_elsewhere_in_the_archive_do_not_matter(tmp_path):
    members = [("top/in/a.txt", b"a"), ("top/out/link", tarfile.SYMTYPE, "../in")]
    unpack(pack(tmp_path / "x.tar.gz", members), tmp_path / "new", inside="in")
    assert (tmp_path / "new" / "a.txt").read_bytes() == b"a"


def test_an_archive_that_grows_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_UNPACKED", 1000)
    archive = pack(tmp_path / "x.tar.gz", [("top/a", bytes(600)), ("top/b", bytes(600))])
    with pytest.raises(DataError, match="unpacks to more than 1000 bytes"):
        unpack(archive, tmp_path / "new")


def test_an_archive_may_fill_what_it_may_unpack_to(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_UNPACKED", 1200)
    archive = pack(tmp_path / "x.tar.gz", [("top/a", bytes(600)), ("top/b", bytes(600))])
    unpack(archive, tmp_path / "new")
    assert (tmp_path / "new" / "b").read_bytes() == bytes(600)


@pytest.mark.parametrize("length", [0, 10, 2000])
def test_a_damaged_archive_is_named(tmp_path, length):
    archive = pack(tmp_path / "x.tar.gz", [("top/a", os.urandom(5000))])
    archive.write_bytes(archive.read_bytes()[:length])
    with pytest.raises(DataError, match=r"x\.tar\.gz: damaged archive"):
        unpack(archive, tmp_path / "new")


def test_a_flipped_byte_is_found(tmp_path):
    archive = pack(tmp_path / "x.tar.gz", [("top/a", os.urandom(5000))])
    content = bytearray(archive.read_bytes())
    content[2500] ^= 255
    archive.write_bytes(content)
    with pytest.raises(DataError, match="damaged archive"):
        unpack(archive, tmp_path / "new")
