"""Picture files to tensors, and a clear word where that fails.

Uses images.py and records.py. The readers of formats ask for sizes, datasets.py for pixels.

The frame is that of the picture *as it is shown*. A phone stores what its sensor saw and says in
an EXIF tag, the orientation, how to turn it; every viewer does, and so do the labelling tools
(LabelImg, labelme, Label Studio, CVAT) when they measure pictures and boxes. So do we.
"""

import struct
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import IMAGELENGTH, IMAGEWIDTH, TiffImageFile
from torch import Tensor

from detlab.data.records import DataError
from detlab.images import fitted_size

PICTURE_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
"""The only decoders that are tried; others can start programs (EPS) or are never photographs."""

SUFFIXES = (
    *(".jpg", ".jpeg", ".jfif", ".mpo"),
    *(".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm"),
)
"""How a picture's name may end, where the annotation gives only its stem."""

STRIP = 256
"""Rows of a picture that are copied at a time."""

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation to what shows the stored pixels upright; from 5 on, height and width swap."""


class Header(NamedTuple):
    """The frames of a picture, known without decoding it."""

    stored_size: tuple[int, int]
    """(height, width) in pixels, as they lie in the file."""
    orientation: int
    """EXIF's, 1 to 8; 1 shows the pixels as they are stored."""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels, as the picture is shown; all boxes are in this frame.

        >>> Header(stored_size=(480, 640), orientation=6).size
        (640, 480)
        """
        height, width = self.stored_size
        return (width, height) if self.orientation >= 5 else (height, width)


def read_header(path: Path) -> Header:
    """The size of a picture as it is stored and as it is shown.

    Raises:
        DataError: as `open_picture`.
    """
    with open_picture(path) as picture:
        return header_of(picture, path)


def header_of(picture: Image.Image, path: Path) -> Header:
    """The header of a picture that has just been opened."""
    width, height = picture.size
    if isinstance(picture, TiffImageFile):  # its `size` is the one shown, in later Pillows only
        width, height = picture.tag_v2[IMAGEWIDTH], picture.tag_v2[IMAGELENGTH]
    return Header((height, width), orientation_of(picture, path))


def orientation_of(picture: Image.Image, path: Path) -> int:
    """EXIF's orientation, 1 to 8; 1 where there is none, or none that can be read."""
    try:
        if isinstance(picture, PngImageFile) and not metadata_follows_pixels(path):
            exif = Image.Image.getexif(picture)  # PngImageFile.getexif would decode the pixels
        else:
            exif = picture.getexif()
        orientation = exif.get(ExifTags.Base.Orientation)
    except Exception:  # a broken block raises nearly anything; viewers, too, show the pixels as is
        return 1
    return orientation if orientation in TURNS else 1


def metadata_follows_pixels(path: Path) -> bool:
    """Whether a PNG says something behind its pixels, where the format allows EXIF, too."""
    pixels = False
    with path.open("rb") as file:
        file.seek(8)  # the signature
        while len(start := file.read(8)) == 8:
            length, name = struct.unpack(">I4s", start)
            if pixels and name in (b"eXIf", b"iTXt", b"tEXt", b"zTXt"):
                return True
            pixels |= name == b"IDAT"
            file.seek(length + 4, 1)  # the content and its checksum
    return False


def open_picture(path: Path) -> Image.Image:
    """Open a picture and check its format and size; the pixels are not read, and not yet turned.

    Raises:
        DataError: missing, no picture, another format than its name says, more than 8 bits a
            channel, or so many pixels that decoding it would fill the memory (a "decompression
            bomb").
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(path, formats=PICTURE_FORMATS)
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such picture") from error
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        limit = f"{Image.MAX_IMAGE_PIXELS:,}"
        raise DataError(f"{path}: want at most {limit} pixels in a picture ({error})") from error
    except UnidentifiedImageError as error:
        raise DataError(f"{path}: not a picture (tried {', '.join(PICTURE_FORMATS)})") from error
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error

    formats = (Image.registered_extensions().get(path.suffix.lower()), picture.format)
    named, held = ("JPEG" if name == "MPO" else name for name in formats)  # a phone's, with extras
    if named is not None and named != held:
        picture.close()
        raise DataError(f"{path}: the name says {named}, the file holds {held}; rename it")
    if picture.mode.startswith(("I", "F")):  # converted to RGB, all above 255 would be white
        picture.close()
        raise DataError(f"{path}: grey of more than 8 bits ({picture.mode}); save it with 8")
    return picture


def read_picture(path: Path, long_side: int | None = None) -> UInt8[Tensor, "3 H W"]:
    """Decode a picture to RGB, as it is shown.

    With `long_side`, it is resized so that its longer side has that many pixels.

    Raises:
        DataError: as `open_picture`, or the pixels are cut short.
    """
    with open_picture(path) as picture:
        header = header_of(picture, path)
        turned = isinstance(picture, TiffImageFile)  # by Pillow, while it decodes; only these
        size = header.size if turned else header.stored_size
        if long_side is not None:
            size = fitted_size(size, long_side)
            picture.draft("RGB", size[::-1])  # a JPEG can skip detail that resizing would drop
        if isinstance(picture, TiffImageFile):
            picture.filename = ""  # Pillow 13 maps raw pixels with their sides swapped: read them
        try:
            picture.load()
            rgb = picture if picture.mode == "RGB" else picture.convert("RGB")  # no needless copy
        except (OSError, ValueError, SyntaxError, EOFError, struct.error) as error:
            raise DataError(f"{path}: truncated or damaged picture: {error}") from error
    if rgb.size != size[::-1]:
        rgb = rgb.resize(size[::-1], Image.Resampling.BILINEAR)
    if header.orientation in TURNS and not turned:
        rgb = rgb.transpose(TURNS[header.orientation])
    return to_tensor(rgb)


def to_tensor(rgb: Image.Image) -> UInt8[Tensor, "3 H W"]:
    """The pixels of an RGB picture, copied strip by strip.

    In one go, NumPy would hold them three times over: 0.8 GB for the largest picture allowed.
    """
    pixels = torch.empty(rgb.height, rgb.width, 3, dtype=torch.uint8)
    for top in range(0, rgb.height, STRIP):
        strip = rgb.crop((0, top, rgb.width, min(top + STRIP, rgb.height)))
        pixels[top : top + STRIP] = torch.from_numpy(np.array(strip))
    return pixels.permute(2, 0, 1)


def list_pictures(folder: Path) -> list[Path]:
    """All files of a folder with a picture's name, in order; none where there is no folder.

    Hidden ones are left out: a Mac writes `._photo.jpg`, which is no picture, beside `photo.jpg`.
    """
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    named = (path for path in paths if path.suffix.lower() in SUFFIXES)
    return [path for path in named if path.is_file() and not path.name.startswith(".")]
