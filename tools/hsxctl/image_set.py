# SPDX-License-Identifier: MIT
"""Files as a set: what `push` sends and `activate` names."""

import hashlib
from pathlib import Path

from hsx.errors import HsxError
from hsx.image.manifest import parse_manifest
from hsx.store.bank import Image
from hsx.store.entries import take_over

from .bank_image import BankImage, bank_image, describe
from .errors import ToolError, refused_image

_MANIFESTS = (".toml", ".json")


def checked(path: Path) -> bytes:
    """The bytes of an image that breaks no rule. ToolError, OSError."""
    data = path.read_bytes()
    _described(path, data)
    return data


def bank(paths: list[Path]) -> BankImage:
    """The bank of these images, or of the images of one manifest. ToolError, OSError."""
    pairs: list[tuple[Image, bytes]] = []
    for path in paths:
        if path.suffix.lower() in _MANIFESTS:
            pairs += _listed(path)
        else:
            data = path.read_bytes()
            pairs.append((_described(path, data), data))
    names = [image.name for image, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise ToolError(f"two images are called {name}", "", "Send one of them.")
    try:
        return bank_image(pairs)
    except HsxError as error:
        raise ToolError(error.detail, "", "Send between 1 and 16 images.") from None


def _described(path: Path, data: bytes, version: str = "") -> Image:
    try:
        return describe(str(path), data, version)
    except HsxError as error:
        raise refused_image(str(path), error) from None


def _listed(path: Path) -> list[tuple[Image, bytes]]:
    """The images of a manifest, with what it wishes for each."""
    try:
        manifest = parse_manifest(path.read_bytes(), path.suffix.lower() == ".toml")
    except HsxError as error:
        line = f":{error.offset}" if error.offset > 0 else ""
        raise ToolError(error.detail, f"{path}{line}", "See docs/sd_manifest.md.") from None
    pairs = []
    for entry in manifest.entries:
        data = (path.parent / entry.file).read_bytes()
        if entry.sha256 is not None and entry.sha256 != hashlib.sha256(data).digest():
            raise ToolError(
                f"{entry.file} has another SHA-256", str(path), "Put the right file beside it."
            )
        image = _described(path.parent / entry.file, data, entry.version)
        try:
            take_over(image, entry)
        except HsxError as error:
            raise ToolError(
                f"{entry.file}: {error.detail}",
                str(path),
                "Put it into the image: docs/hxe_format.md.",
            ) from None
        pairs.append((image, data))
    return pairs
