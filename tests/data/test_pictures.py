import numpy as np
import pytest
import torch
from PIL import Image

from detlab.data.pictures import list_pictures, open_picture, read_picture
from detlab.data.records import DataError
from tests.sample_folders import write_picture


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.ppm"])
def test_pixels_are_those_of_the_file(tmp_path, name):
    path = write_picture(tmp_path / name)
    pixels = torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1)
    image = read_picture(path)
    assert image.dtype == torch.uint8
    assert torch.equal(image, pixels)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "1", "CMYK"])
def test_every_colour_mode_becomes_rgb(tmp_path, mode):
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    Image.new(mode, (5, 4)).save(path)
    assert read_picture(path).shape == (3, 4, 5)


def test_the_longer_side_gets_the_wanted_length(tmp_path):
    path = write_picture(tmp_path / "a.jpg", size=(640, 480))
    assert read_picture(path, long_side=320).shape == (3, 240, 320)
    assert read_picture(path, long_side=800).shape == (3, 600, 800)


def test_a_jpeg_is_resized_to_what_full_decoding_gives(tmp_path):
    path = write_picture(tmp_path / "a.jpg", size=(640, 480), quality=95)
    full = Image.open(path).resize((160, 120), Image.Resampling.BILINEAR)
    difference = np.array(full).astype(int) - read_picture(path, 160).permute(1, 2, 0).numpy()
    assert abs(difference).mean() < 2  # of 255: the decoder's own shrinking is as good


def test_pixels_stay_as_stored_whatever_exif_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # a phone held upright: show it turned by 90 degrees
    path = write_picture(tmp_path / "a.jpg", exif=exif)
    assert read_picture(path).shape == (3, 40, 60)


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


def test_another_format_than_the_name_says_is_named(tmp_path):
    path = write_picture(tmp_path / "a.jpg", format="PNG")
    with pytest.raises(DataError, match="the name says JPEG, the file holds PNG"):
        open_picture(path)


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


@pytest.mark.parametrize(("mode", "name"), [("I;16", "a.png"), ("I", "a.tif"), ("F", "a.tif")])
def test_grey_of_more_than_8_bits_is_refused_before_it_turns_white(tmp_path, mode, name):
    Image.new(mode, (5, 4)).save(tmp_path / name)
    with pytest.raises(DataError, match=r"grey of more than 8 bits .*save it with 8"):
        read_picture(tmp_path / name)


def test_only_pictures_are_listed(tmp_path):
    for name in ("b.JPG", "a.png", "._a.png", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    assert [path.name for path in list_pictures(tmp_path)] == ["a.png", "b.JPG"]
    assert list_pictures(tmp_path / "nowhere") == []
