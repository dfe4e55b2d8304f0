# SPDX-License-Identifier: MIT
"""`hsxctl sign`: an image with the signature of a key."""

import argparse
import hashlib
from pathlib import Path

from hsx.errors import HsxError
from hsx.image import build

from .. import errors
from ..output import Output
from . import Commands, image, keys

_HELP = """\
Signs an image: who changes one bit of the new file needs your private key for nodes to take it.
Needs: an .hxe file that 'verify' accepts, not signed yet, and a private key of 'key gen'.

example:
  hsxctl sign hello.hxe --key site.pem -o signed.hxe
"""


def add_parser(commands: Commands) -> None:
    """Adds `sign` to the argument tree."""
    parser = commands.add_parser(
        "sign",
        help="sign an image",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, metavar="FILE.hxe")
    parser.add_argument("--key", type=Path, required=True, metavar="KEY", help="private, PEM")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.hxe")
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Writes the signed image."""
    try:
        image.check(arguments.file)
    except HsxError as error:
        raise errors.refused_image(str(arguments.file), error) from None
    private = keys.private_key(arguments.key)
    public = private.public_key().public_bytes_raw()
    try:
        signed = build.signed(arguments.file.read_bytes(), public, private.sign)
    except ValueError as error:
        raise errors.ToolError(
            f"EINVAL: {error}", str(arguments.file), "Sign the file that 'hsxctl asm' wrote."
        ) from None
    arguments.output.write_bytes(signed)
    output.result(
        {
            "file": str(arguments.output),
            "size": len(signed),
            "sha256": hashlib.sha256(signed).hexdigest(),
            "key": public.hex(),
        },
        f"{arguments.output}: {len(signed)} bytes, signed by {public.hex()}",
    )
    return errors.DONE
