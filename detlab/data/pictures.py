"""Picture files to tensors, and a clear word where that fails.

Stands on images.py and records.py (`DataError`); formats.py asks for sizes, data.py for pixels.

The frame is that of the *stored* pixels. A phone's EXIF tag that turns the picture for the
eye is not followed, because COCO's and VOC's boxes are drawn on the pixels as stored.
"""

import struct
import warnings
from pathlib import Path

from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor

from detlab.data.records import DataError
from detlab.images import fitted_size

PICTURE_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
"""The only decoders that are tried; others can start programs (EPS) or are never photographs."""

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm")
"""How a picture's name may end, where the annotation gives only its stem."""


def open_picture(path: Path) -> Image.Image:
    """Open a picture and read its header: format and size, no pixels yet.

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

    named = Image.registered_extensions().get(path.suffix.lower())
    held = "JPEG" if picture.format == "MPO" else picture.format  # MPO: a phone's JPEG and extras
    if named is not None and named != held:
        picture.close()
        raise DataError(f"{path}: the name says {named}, the file holds {held}; rename it")
    if picture.mode.startswith(("I", "F")):  # converted to RGB, all above 255 would be white
        picture.close()
        raise DataError(f"{path}: grey of more than 8 bits ({picture.mode}); save it with 8")
    return picture


def read_picture(path: Path, long_side: int | None = None) -> UInt8[Tensor, "3 H W"]:
    """Decode a picture to RGB; with `long_side`, resize it so that its longer side is that long.

    Raises:
        DataError: as `open_picture`, or the pixels are cut short.
    """
    with open_picture(path) as picture:
        size = picture.size
        if long_side is not None:
            height, width = fitted_size((size[1], size[0]), long_side)
            size = (width, height)
            picture.draft("RGB", size)  # a JPEG can leave out detail that resizing would drop
        try:
            rgb = picture.convert("RGB")
        except (OSError, ValueError, SyntaxError, EOFError, struct.error) as error:
            raise DataError(f"{path}: truncated or damaged picture: {error}") from error
    if rgb.size != size:
        rgb = rgb.resize(size, Image.Resampling.BILINEAR)
    pixels: Tensor = pil_to_tensor(rgb)
    return pixels


def list_pictures(folder: Path) -> list[Path]:
    """All files of a folder with a picture's name, in order; none where there is no folder.

    Hidden ones are left out: a Mac writes `._photo.jpg`, which is no picture, beside `photo.jpg`.
    """
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    named = (path for path in paths if path.suffix.lower() in SUFFIXES)
    return [path for path in named if path.is_file() and not path.name.startswith(".")]
