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
from PIL import ExifTags, Image, UnidentifiedImageError, features
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import IMAGELENGTH, IMAGEWIDTH, TiffImageFile
from torch import Tensor

from detlab.data.records import DataError
from detlab.images import fit_image, fitted_size

PICTURE_FORMATS = (
    *("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM"),
    *(("AVIF",) if features.check("avif") else ()),
)
"""The only decoders that are tried; others can start programs (EPS) or are never photographs."""

SUFFIXES = (
    *(".jpg", ".jpeg", ".jfif", ".mpo"),
    *(".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".avif", ".heic", ".heif"),
)
"""How a picture's name may end, where the annotation gives only its stem."""

PAGED = ("TIFF", "GIF")
"""Formats of which each page is a picture; the further ones of a phone's JPEG are its extras."""

STRIP = 256
"""Rows of a picture that are copied at a time."""

SWAPPED = 5
"""From this EXIF orientation on, rows are shown as columns."""
FLIPPED: dict[int, tuple[int, ...]] = {
    **{1: (), 2: (2,), 3: (1, 2), 4: (1,)},
    **{5: (), 6: (2,), 7: (1, 2), 8: (1,)},
}
"""EXIF orientation to the dimensions of [3, H, W] that are then flipped."""


class Header(NamedTuple):
    """The frames of a picture, known without decoding it."""

    stored_size: tuple[int, int]
    """(height, width) in pixels, as they lie in the file."""
    orientation: int
    """EXIF's, 1 to 8; 1 shows the pixels as they are stored."""
    remark: str = ""
    """What is to be said of the file, though it can be read."""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels, as the picture is shown; all boxes are in this frame.

        >>> Header(stored_size=(480, 640), orientation=6).size
        (640, 480)
        """
        height, width = self.stored_size
        return (width, height) if self.orientation >= SWAPPED else (height, width)


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
    return Header((height, width), orientation_of(picture, path), remark_on(picture, path))


def remark_on(picture: Image.Image, path: Path) -> str:
    """What is odd in a file that can be read all the same: its name, its depth, or its pages."""
    formats = (Image.registered_extensions().get(path.suffix.lower()), picture.format)
    named, held = ("JPEG" if name == "MPO" else name for name in formats)  # a phone's, with extras
    if named is not None and named != held:
        return "pictures hold another format than their names say"
    if has_pages(picture):
        return "pictures have several pages or frames; the first is read"
    return "pictures of 16-bit grey are divided by 256" if is_deep(picture) else ""


def has_pages(picture: Image.Image) -> bool:
    """Whether a picture has a second page or frame; not where it cannot be told."""
    try:
        return picture.format in PAGED and bool(getattr(picture, "is_animated", False))
    except Exception:  # a broken frame behind the first, which is read all the same
        return False


def is_deep(picture: Image.Image) -> bool:
    """Whether a picture has 16 bits of grey; converted to RGB by Pillow, it would turn white."""
    return picture.mode.startswith("I;16")


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
    return orientation if orientation in FLIPPED else 1


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
        DataError: missing, no picture or no regular file, in a format that Pillow does not read
            alone (HEIC), 32 bits a channel, or so many pixels that decoding it would fill the
            memory (a "decompression bomb").
    """
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for without end
            raise DataError(f"{path}: cannot be read: not a regular file")
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(path, formats=PICTURE_FORMATS)
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such picture") from error
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        limit = f"{Image.MAX_IMAGE_PIXELS:,}"
        raise DataError(f"{path}: want at most {limit} pixels in a picture ({error})") from error
    except DataError:
        raise
    except UnidentifiedImageError as error:
        if path.suffix.lower() in (".heic", ".heif"):
            raise DataError(
                f"{path}: HEIC, which Pillow does not read; save it as JPEG, for instance with the "
                "package pillow-heif"
            ) from error
        raise DataError(f"{path}: not a picture (tried {', '.join(PICTURE_FORMATS)})") from error
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error

    if picture.mode in ("I", "F"):  # no range is given by which they could be scaled
        picture.close()
        raise DataError(f"{path}: grey of 32 bits ({picture.mode}); save it with 8 or 16")
    return picture


def read_picture(path: Path, long_side: int | None = None) -> UInt8[Tensor, "3 H W"]:
    """Decode a picture to RGB, as it is shown.

    With `long_side`, it is resized so that its longer side has that many pixels.

    Raises:
        DataError: as `open_picture`, or the pixels are cut short.
    """
    stored, orientation = decode(path, long_side)
    return turn(fit_image(stored, long_side), orientation)


def decode(path: Path, long_side: int | None) -> tuple[UInt8[Tensor, "3 H W"], int]:
    """The pixels of a picture, and the EXIF orientation that they are still to be turned by.

    With `long_side`, as much detail may be missing as a longer side of so many pixels cannot show.

    Raises:
        DataError: as `read_picture`.
    """
    with open_picture(path) as picture:
        stored_size, orientation, _ = header_of(picture, path)
        if long_side is not None:
            picture.draft("RGB", fitted_size(stored_size, long_side)[::-1])  # quicker, of a JPEG
        if isinstance(picture, TiffImageFile):
            orientation = 1  # Pillow turns these itself, only these
            picture.filename = ""  # Pillow 13 maps raw pixels with their sides swapped: read them
        try:
            picture.load()
            return to_tensor(picture), orientation
        except (OSError, ValueError, SyntaxError, EOFError, struct.error) as error:
            raise DataError(f"{path}: truncated or damaged picture: {error}") from error


def to_tensor(picture: Image.Image) -> UInt8[Tensor, "3 H W"]:
    """The pixels of a picture as RGB, converted and copied strip by strip.

    In one go, Pillow and NumPy would hold them three times over: 0.9 GB for the largest picture
    allowed.
    """
    pixels = torch.empty(picture.height, picture.width, 3, dtype=torch.uint8)
    for top in range(0, picture.height, STRIP):
        strip = picture.crop((0, top, picture.width, min(top + STRIP, picture.height)))
        pixels[top : top + STRIP] = torch.from_numpy(as_rgb(strip))
    return pixels.permute(2, 0, 1)


def as_rgb(picture: Image.Image) -> UInt8[np.ndarray, "H W 3"]:
    """Pixels as RGB of 8 bits; of 16-bit grey the upper 8, as OpenCV takes them."""
    if not is_deep(picture):
        return np.array(picture.convert("RGB"))
    upper = (np.array(picture) // 256).astype(np.uint8)
    return np.repeat(upper[:, :, None], 3, axis=2)


def turn(image: Tensor, orientation: int) -> Tensor:
    """A picture [3, H, W] as EXIF's orientation shows it; from 5 on, height and width swap.

    >>> stored = torch.tensor([[1, 2, 3], [4, 5, 6]]).expand(3, 2, 3)
    >>> turn(stored, orientation=6)[0]  # a quarter turn, clockwise
    tensor([[4, 1],
            [5, 2],
            [6, 3]])
    """
    if orientation >= SWAPPED:
        image = image.transpose(1, 2)
    return image.flip(FLIPPED[orientation]) if FLIPPED[orientation] else image


def list_pictures(folder: Path) -> list[Path]:
    """All files of a folder with a picture's name, in order; none where there is no folder.

    Hidden ones are left out: a Mac writes `._photo.jpg`, which is no picture, beside `photo.jpg`.
    """
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    named = (path for path in paths if path.suffix.lower() in SUFFIXES)
    return [path for path in named if path.is_file() and not path.name.startswith(".")]
