import io
import os
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image, ImageOps, features
from PIL.PngImagePlugin import PngInfo
from torch.testing import assert_close
from torchvision.transforms.v2.functional import pil_to_tensor

from detlab.data.pictures import (
    list_pictures,
    open_picture,
    read_header,
    read_picture,
    to_tensor,
    turn,
)
from detlab.data.records import DataError
from tests.sample_folders import colour_in, shown_as, write_picture


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.ppm"])
def test_pixels_are_those_of_the_file(tmp_path, name):
    path = write_picture(tmp_path / name)
    pixels = torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1)
    image = read_picture(path)
    assert image.dtype == torch.uint8
    assert torch.equal(image, pixels)


@pytest.mark.parametrize("size", [(7, 1), (5, 256), (5, 257), (3, 700)])
def test_a_picture_copied_in_strips_is_whole(size):
    ramp = np.arange(size[0] * size[1] * 3, dtype=np.uint64).reshape(size[1], size[0], 3)
    rgb = Image.fromarray((ramp * 7919 % 251).astype(np.uint8))
    image = to_tensor(rgb)
    assert torch.equal(image, pil_to_tensor(rgb))
    assert image.stride() == pil_to_tensor(rgb).stride()


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "1", "CMYK"])
def test_every_colour_mode_becomes_rgb(tmp_path, mode):
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    Image.new(mode, (5, 4)).save(path)
    assert read_picture(path).shape == (3, 4, 5)


def test_colours_that_pillow_cannot_convert_are_told_with_the_file(tmp_path, monkeypatch):
    path = write_picture(tmp_path / "a.png")

    def refuse(picture, mode):
        raise ValueError(f"conversion from {picture.mode} to {mode} not supported")

    monkeypatch.setattr(Image.Image, "convert", refuse)
    with pytest.raises(DataError, match=r"a\.png: .* conversion from RGB to RGB not supported"):
        read_picture(path)


@pytest.mark.parametrize("size", [(7, 256), (5, 257), (3, 700)])
def test_a_palette_is_kept_from_strip_to_strip(tmp_path, size):
    colours = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(colours).quantize(64).save(tmp_path / "a.png", transparency=3)
    expected = pil_to_tensor(Image.open(tmp_path / "a.png").convert("RGB"))
    assert torch.equal(read_picture(tmp_path / "a.png"), expected)


def test_the_longer_side_gets_the_wanted_length(tmp_path):
    path = write_picture(tmp_path / "a.jpg", size=(640, 480))
    assert read_picture(path, long_side=320).shape == (3, 240, 320)
    assert read_picture(path, long_side=800).shape == (3, 600, 800)


def test_a_jpeg_is_resized_to_what_full_decoding_gives(tmp_path):
    path = write_picture(tmp_path / "a.jpg", size=(640, 480), quality=95)
    full = Image.open(path).resize((160, 120), Image.Resampling.BILINEAR)
    difference = np.array(full).astype(int) - read_picture(path, 160).permute(1, 2, 0).numpy()
    assert abs(difference).mean() < 2  # of 255: the decoder's own shrinking is as good


@pytest.mark.parametrize("side", [20, 240])  # smaller and larger
def test_a_resized_picture_is_pillows_bilinear_one(tmp_path, side):
    """A pixel is a mean of those that it stands for; the nearest one alone would be jagged."""
    path = tmp_path / "a.png"
    noise = np.random.default_rng(0).integers(0, 256, (45, 60, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    expected = Image.open(path).resize((side, side * 3 // 4), Image.Resampling.BILINEAR)
    assert torch.equal(read_picture(path, side), pil_to_tensor(expected))


def test_a_missing_picture_is_named(tmp_path):
    with pytest.raises(DataError, match=r"a\.png: no such picture"):
        open_picture(tmp_path / "a.png")


@pytest.mark.parametrize("content", [b"", b"not a picture", b"%!PS-Adobe-3.0 EPSF-3.0\n"])
def test_what_is_no_picture_is_named(tmp_path, content):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.jpg: not a picture"):
        open_picture(path)


def test_a_folder_under_a_picture_name_is_named(tmp_path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(DataError, match=r"a\.png: cannot be read"):
        open_picture(tmp_path / "a.png")


def test_another_format_than_the_name_says_is_read_and_remarked(tmp_path):
    path = write_picture(tmp_path / "a.jpg", format="PNG")
    assert "another format than their names" in read_header(path).remark
    right = write_picture(tmp_path / "a.png")
    assert read_header(right).remark == ""
    assert torch.equal(read_picture(path), read_picture(right))


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow lacks AVIF")
def test_avif_is_read(tmp_path):
    path = write_picture(tmp_path / "a.avif", quality=95)
    assert read_header(path) == ((40, 60), 1, "")
    assert read_picture(path).float().std() > 30


@pytest.mark.parametrize("suffix", [".heic", ".HEIF"])
def test_heic_is_refused_with_the_package_that_reads_it(tmp_path, suffix):
    (tmp_path / f"a{suffix}").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    with pytest.raises(DataError, match=r"HEIC, which Pillow does not read; .* pillow-heif"):
        open_picture(tmp_path / f"a{suffix}")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(DataError, match=r"a\.jpg: cannot be read: not a regular file"):
        open_picture(tmp_path / "a.jpg")


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
@pytest.mark.parametrize("long_side", [None, 20])
def test_a_picture_cut_short_is_named(tmp_path, name, long_side):
    path = write_picture(tmp_path / name, size=(640, 480))
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(DataError, match="truncated or damaged"):
        read_picture(path, long_side)


@pytest.mark.parametrize("factor", [1, 3])  # Pillow warns above its limit, refuses above twice
def test_a_decompression_bomb_is_refused_by_its_header(tmp_path, monkeypatch, factor):
    path = write_picture(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", (60 * 40 - 1) // factor)
    with pytest.raises(DataError, match="pixels in a picture"):
        open_picture(path)


def test_a_picture_at_the_limit_is_read(tmp_path, monkeypatch):
    path = write_picture(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 60 * 40)
    assert read_picture(path).shape == (3, 40, 60)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_grey_of_32_bits_is_refused_for_nothing_says_what_is_white(tmp_path, mode):
    Image.new(mode, (5, 4)).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match=r"grey of 32 bits .*save it with 8 or 16"):
        read_picture(tmp_path / "a.tif")


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_grey_of_16_bits_keeps_its_upper_8_with_a_remark(tmp_path, name):
    grey = np.array([[0, 255, 256], [0x1234, 0xFF00, 0xFFFF]], dtype=np.uint16)
    Image.fromarray(grey).save(tmp_path / name)
    assert read_picture(tmp_path / name)[1].tolist() == [[0, 0, 1], [0x12, 255, 255]]
    assert "divided by 256" in read_header(tmp_path / name).remark


def test_only_pictures_are_listed(tmp_path):
    for name in ("b.JPG", "a.png", "c.jfif", "._a.png", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    assert [path.name for path in list_pictures(tmp_path)] == ["a.png", "b.JPG", "c.jfif"]
    assert list_pictures(tmp_path / "nowhere") == []


# Orientation: phones store what the sensor saw, and say in EXIF how to turn it

NAMES = ["a.jpg", "a.png", "a.webp", "a.tif", "mpo.jpg", "a.mpo"]
CORNER = (30, 10, 50, 30)
"""A red square in the upper right of 60x40, in the picture as shown."""


def save_turned(path, orientation, size=(60, 40)):
    """A picture that is shown with a red CORNER, stored as a phone would; MPO where named so."""
    stored, exif = shown_as(orientation, size, {CORNER: (220, 30, 30)})
    if "mpo" in path.name:
        stored.save(path, "MPO", save_all=True, append_images=[stored], exif=exif, quality=95)
    else:
        stored.save(path, exif=exif, quality=95)
    return path


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_read_as_it_is_shown(tmp_path, name, orientation):
    path = save_turned(tmp_path / name, orientation)
    header = read_header(path)
    assert header.size == (40, 60)
    assert header.stored_size == ((60, 40) if orientation >= 5 else (40, 60))
    assert header.orientation == orientation
    image = read_picture(path)
    assert image.shape == (3, 40, 60)
    assert colour_in(image, CORNER) == "red"
    assert colour_in(image, (0, 10, 20, 30)) == "grey"
    small = read_picture(path, long_side=30)
    assert small.shape == (3, 20, 30)
    assert colour_in(small, [side / 2 for side in CORNER]) == "red"


@pytest.mark.parametrize("orientation", range(2, 9))
def test_turning_is_what_pillow_does(orientation):
    stored, _ = shown_as(1, (6, 4), {(3, 1, 5, 3): (220, 30, 30)})
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.info["exif"] = exif.tobytes()
    expected = pil_to_tensor(ImageOps.exif_transpose(stored))
    assert_close(turn(to_tensor(stored), orientation), expected, rtol=0, atol=0)


def test_a_large_jpeg_that_is_turned_loses_no_more_than_one_that_is_not(tmp_path):
    """The decoder's own shrinking is asked for in the frame of the stored pixels."""
    paths = [save_turned(tmp_path / f"{turn}.jpg", turn, (1200, 300)) for turn in (1, 6)]
    upright, turned = (read_picture(path, 150).float() for path in paths)
    assert turned.shape == (3, 38, 150)
    assert (upright - turned).abs().mean() < 3  # of 255


def chunks_of(content):
    """The pieces of a PNG behind its signature: (name, data)."""
    place = 8
    while place < len(content):
        length, name = struct.unpack(">I4s", content[place : place + 8])
        yield name, content[place + 8 : place + 8 + length]
        place += 12 + length


def write_chunks(path, chunks):
    parts = [
        struct.pack(">I4s", len(data), name) + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    ]
    path.write_bytes(b"".join([b"\x89PNG\r\n\x1a\n", *parts]))


def with_exif_last(path):
    """The chunks of a PNG with EXIF behind the pixels, which the format allows."""
    return sorted(chunks_of(path.read_bytes()), key=lambda chunk: chunk[0] in (b"eXIf", b"IEND"))


def test_exif_behind_the_pixels_of_a_png_counts(tmp_path):
    path = save_turned(tmp_path / "a.png", 6)
    write_chunks(path, with_exif_last(path))
    assert [name for name, _ in chunks_of(path.read_bytes())][-3:] == [b"IDAT", b"eXIf", b"IEND"]
    assert read_header(path).size == (40, 60)
    assert colour_in(read_picture(path), CORNER) == "red"


def test_missing_pixels_before_such_exif_are_named(tmp_path):
    path = write_picture(tmp_path / "a.png", exif=shown_as(6, (60, 40), {})[1])
    chunks = with_exif_last(path)
    write_chunks(
        path, [(n, data[: len(data) // 2] if n == b"IDAT" else data) for n, data in chunks]
    )
    with pytest.raises(DataError, match="truncated or damaged"):
        read_picture(path)


def test_the_header_of_a_png_is_read_without_its_pixels(tmp_path, monkeypatch):
    path = save_turned(tmp_path / "a.png", 6)
    info = PngInfo()
    info.add_text("Software", "before the pixels, as most write it")
    plain = write_picture(tmp_path / "plain.png", pnginfo=info)
    loaded = []
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", lambda _: loaded.append(1))
    assert read_header(path).size == read_header(plain).size == (40, 60)
    assert loaded == []


def test_an_orientation_in_xmp_counts_as_in_pillow(tmp_path):
    stored, _ = shown_as(8, (60, 40), {CORNER: (220, 30, 30)})
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="8"/>')
    stored.save(tmp_path / "a.png", pnginfo=info)
    assert colour_in(read_picture(tmp_path / "a.png"), CORNER) == "red"


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
@pytest.mark.parametrize(
    "content",
    [
        b"Exif\0\0",
        b"Exif\0\0II*\0",
        b"Exif\0\0II*\0\xff\xff\xff\x7f",  # the directory lies behind the end
        b"Exif\0\0nonsense, and no directory at all",
        b"Exif\0\0MM\0*\0\0\0\x08\xff\xff",  # 65535 entries
        b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\x63\0\0\0\0\0\0",  # 99
        b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\2\0\0\0\4six\0\0\0\0\0",  # text
        b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\5\0\0\0\1\0\0\0\1\0\0\0\0",  # 1/0
    ],
)
def test_broken_exif_shows_the_pixels_as_they_are(tmp_path, name, content):
    path = tmp_path / name
    stored, _ = shown_as(1, (60, 40), {CORNER: (220, 30, 30)})
    stored.save(path, exif=content, quality=95)
    assert read_header(path) == ((40, 60), 1, "")
    assert colour_in(read_picture(path), CORNER) == "red"


@pytest.mark.parametrize("name", NAMES)
def test_no_damage_to_a_header_is_more_than_a_data_error(tmp_path, name):
    """Bytes are changed one at a time in the first kilobyte, where EXIF lies."""
    whole = save_turned(tmp_path / name, 6).read_bytes()
    generator = np.random.default_rng(0)
    for place in generator.integers(8, min(len(whole), 1000), 150):
        spoiled = bytearray(whole)
        spoiled[place] = generator.integers(256)
        (tmp_path / name).write_bytes(spoiled)
        try:
            size = read_header(tmp_path / name).size
            assert read_picture(tmp_path / name).shape[1:] == size
        except DataError:
            pass


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["L", "P", "RGB", "RGBA", "CMYK"])
def test_a_tiff_without_compression_is_read_as_shown(tmp_path, mode, orientation):
    """Pillow 13.0.0 maps such a file into memory with its sides swapped, and scrambles it."""
    stored = Image.fromarray(np.arange(24, dtype="uint8").reshape(4, 6) * 10)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    stored.convert(mode).save(tmp_path / "a.tif", exif=exif)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO((tmp_path / "a.tif").read_bytes())))
    wanted = torch.from_numpy(np.array(upright.convert("RGB"))).permute(2, 0, 1)
    assert_close(read_picture(tmp_path / "a.tif"), wanted)


@pytest.mark.parametrize("ending", ["tif", "gif"])
def test_that_a_picture_has_more_pages_is_said(tmp_path, ending):
    pages = [Image.new("RGB", (60, 40), colour) for colour in ("red", "blue")]
    pages[0].save(tmp_path / f"one.{ending}")
    pages[0].save(tmp_path / f"two.{ending}", save_all=True, append_images=pages[1:])
    assert read_header(tmp_path / f"one.{ending}").remark == ""
    assert "the first is read" in read_header(tmp_path / f"two.{ending}").remark
