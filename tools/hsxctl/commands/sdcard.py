# SPDX-License-Identifier: MIT
"""`hsxctl sdcard`: a folder of images becomes an SD card."""

import argparse
import hashlib
import re
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hsx.errors import HsxError
from hsx.image.manifest import Entry, parse_manifest
from hsx.image.signature import KEY_ID, MANIFEST_CONTEXT

from .. import errors, fat_image
from ..errors import ToolError
from ..output import Output
from . import Commands, image, keys

_HELP = """\
Makes a FAT image with every .hxe of a folder and the manifest that a node boots by. Needs: the
folder, and mtools. A hsx.toml or hsx.json in the folder is kept as it is, after a check: every
file it lists must be there, and a SHA-256 it gives must fit. Without one, hsx.toml lists all
images in the order of their names. Damaged images go onto the card too, with a warning: the node
refuses them by itself. The same folder gives the same card.

example:
  hsxctl sdcard apps -o card.img

Onto a real card of at least this size: dd if=card.img of=/dev/sdX bs=1M
"""

_MANIFESTS = ("hsx.toml", "hsx.json")
_MANIFEST_MAX = 8192  # bytes; the node reads no more
_NAME = re.compile(r"[^\x00-\x1f\x7f\\/:*?\"<>|]{1,255}")  # what a FAT long name may hold
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def add_parser(commands: Commands) -> None:
    """Adds `sdcard` to the argument tree."""
    parser = commands.add_parser(
        "sdcard",
        help="make an SD card from a folder of images",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="card.img")
    parser.add_argument(
        "--size", type=_size, metavar="SIZE", help="16M to 32G, a power of two (default: fitting)"
    )
    parser.add_argument(
        "--image-version", metavar="VERSION", help="version that a made manifest gives each image"
    )
    parser.add_argument(
        "--key",
        type=Path,
        metavar="KEY",
        help="private, PEM: sign the manifest, for nodes that ask for it (the images themselves "
        "are signed by 'hsxctl sign')",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Checks everything, then writes the card in one go."""
    folder = arguments.folder
    images = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if _is_image(path)}
    if not images:
        raise ToolError("no .hxe in this folder", str(folder), "Build some with 'hsxctl asm'.")
    _check_names(folder, images)
    name, text = _manifest(folder, images, arguments.image_version)
    entries = _entries(folder / name, name.endswith(".toml"), text)
    _check_entries(folder / name, entries, images)
    for file in images:
        _warn(folder / file, output)
    files = [(name, text), *images.items()]
    if arguments.key is not None:
        files.insert(1, ("hsx.sig", _signature(text, keys.private_key(arguments.key))))
    content = sum(len(data) for _, data in files)
    size = arguments.size or fat_image.size_for(content)
    if content > size // 2:
        raise ToolError(f"{content} bytes do not fit well", str(arguments.output), "Raise --size.")
    kind = fat_image.write(arguments.output, size, files)
    output.result(
        {
            "file": str(arguments.output),
            "size": size,
            "fat": kind,
            "manifest": name,
            "images": [entry.file for entry in entries],
        },
        f"{arguments.output}: {kind}, {size >> 20} MiB, {name} lists "
        + ", ".join(entry.file for entry in entries),
    )
    return errors.DONE


def _manifest(folder: Path, images: dict[str, bytes], version: str | None) -> tuple[str, bytes]:
    """Name and text of the manifest: the folder's own, else one that is made."""
    found = [name for name in _MANIFESTS if (folder / name).is_file()]
    if not found:
        return "hsx.toml", make_manifest(images, version)
    if len(found) > 1:
        raise ToolError(
            "hsx.toml and hsx.json: a node reads the first only", str(folder), "Remove one."
        )
    if version is not None:
        raise ToolError(
            "--image-version with a manifest of its own",
            str(folder),
            "Write the versions into the manifest.",
            errors.USAGE,
        )
    return found[0], (folder / found[0]).read_bytes()


def make_manifest(images: dict[str, bytes], version: str | None) -> bytes:
    """hsx.toml for images by name, in the order of their names, each with its SHA-256."""
    lines = ["schema = 1"]
    for name, data in sorted(images.items()):
        lines += ["", "[[image]]", f"file = {_toml_string(name)}"]
        if version is not None:
            lines.append(f"version = {_toml_string(version)}")
        lines.append(f'sha256 = "{hashlib.sha256(data).hexdigest()}"')
    return ("\n".join(lines) + "\n").encode()


def _signature(text: bytes, private: Ed25519PrivateKey) -> bytes:
    """What nodes that ask for signatures want beside the manifest."""
    message = MANIFEST_CONTEXT + hashlib.sha256(text).digest()
    return private.public_key().public_bytes_raw()[:KEY_ID] + private.sign(message)


def _toml_string(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _is_image(path: Path) -> bool:
    return path.suffix.lower() == ".hxe" and path.is_file()


def _check_names(folder: Path, images: dict[str, bytes]) -> None:
    seen: dict[str, str] = {}
    for name in images:
        if not _NAME.fullmatch(name) or name.endswith((".", " ")):
            raise ToolError("no file name for a FAT volume", str(folder / name), "Rename it.")
        other = seen.setdefault(name.lower(), name)
        if other != name:
            raise ToolError(
                f"the same name as {other} for a FAT volume, which ignores upper and lower case",
                str(folder / name),
                "Rename one of them.",
            )


def _entries(path: Path, is_toml: bool, text: bytes) -> list[Entry]:
    if len(text) > _MANIFEST_MAX:
        raise ToolError(
            f"{len(text)} bytes of manifest, a node reads {_MANIFEST_MAX}",
            str(path),
            "Make a card of fewer images.",
        )
    try:
        return parse_manifest(text.decode(), is_toml).entries
    except UnicodeDecodeError:
        raise ToolError("not UTF-8", str(path), "Write the manifest as UTF-8.") from None
    except HsxError as error:
        line = f":{error.offset}" if error.offset > 0 else ""
        raise ToolError(error.detail, f"{path}{line}", "See docs/sd_manifest.md.") from None


def _check_entries(path: Path, entries: list[Entry], images: dict[str, bytes]) -> None:
    for entry in entries:
        if entry.file not in images:
            raise ToolError(
                f"lists {entry.file}, which is not in the folder",
                str(path),
                "Upper and lower case must be the same too.",
            )
        digest = hashlib.sha256(images[entry.file]).digest()
        if entry.sha256 is not None and entry.sha256 != digest:
            raise ToolError(
                f"the SHA-256 of {entry.file} is {digest.hex()}",
                str(path),
                "The image has changed since: put this into the manifest, or the old image back.",
            )


def _warn(path: Path, output: Output) -> None:
    try:
        image.check(path)
    except HsxError as error:
        output.note(f"hsxctl: warning: a node will refuse {path}: {error.detail}")


def _size(text: str) -> int:
    match = re.fullmatch(r"([0-9]{1,12})([KMG]?)", text.upper())
    size = int(match[1]) * _UNITS[match[2]] if match else 0
    if not fat_image.SMALLEST <= size <= fat_image.LARGEST or size & (size - 1):
        raise argparse.ArgumentTypeError(f"'{text}' is no power of two from 16M to 32G")
    return size
