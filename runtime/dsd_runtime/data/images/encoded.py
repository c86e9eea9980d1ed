"""Opens an encoded image with Pillow, with limits against malicious files.

Only the formats below are allowed: Pillow would start Ghostscript for a file that claims to be PostScript, whatever its
name. Images with more pixels than any photograph are not decoded.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from dsd_lang.base.regular_files import NotRegular, open_regular

IMAGE_FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "PPM", "GIF", "TIFF")
LARGEST_PIXELS = 89_000_000
DECODING_ERRORS = (OSError, SyntaxError, ValueError, Image.DecompressionBombError, NotRegular)
"""What opening or decoding a damaged picture raises."""


@contextmanager
def opened_image(source: bytes | Path) -> Iterator[Image.Image]:
    """The image, header read but pixels not decoded; raises one of :data:`UNREADABLE` if it is not an image."""
    with (
        io.BytesIO(source) if isinstance(source, bytes) else open_regular(source) as stream,
        Image.open(stream, formats=IMAGE_FORMATS) as image,
    ):
        if image.width * image.height > LARGEST_PIXELS:
            raise ValueError(f"it has {image.width}x{image.height} pixels, more than {LARGEST_PIXELS:,}")
        yield image
