# SPDX-License-Identifier: MIT
"""`hsxctl key`: pairs of Ed25519 keys, in PEM files as openssl writes them."""

import argparse
import os
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from .. import errors
from ..output import Output
from . import Commands

_HELP = """\
Makes a pair of keys, or shows one. The private key signs and stays with you; its public half goes
to nodes, and to whoever checks. Needs: a file name.

example:
  hsxctl key gen site.pem    makes site.pem (private) and site.pem.pub (public)
  hsxctl key show site.pem   the public half of either file
"""


def add_parser(commands: Commands) -> None:
    """Adds `key gen` and `key show` to the argument tree."""
    parser = commands.add_parser(
        "key",
        help="make or show a key for signatures",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    for name, help_line, run in (
        ("gen", "a new pair: FILE, and FILE.pub", run_gen),
        ("show", "the public key in a file of either kind", run_show),
    ):
        verb = verbs.add_parser(name, help=help_line)
        verb.add_argument("file", type=Path, metavar="FILE")
        verb.add_argument("--json", action="store_true", help="one JSON object per line")
        verb.set_defaults(run=run)


def run_gen(arguments: argparse.Namespace, output: Output) -> int:
    """Writes both files; never over one that is there."""
    path: Path = arguments.file
    public_path = path.with_name(path.name + ".pub")
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    if public_path.exists():
        raise _in_the_way(public_path)
    _write_new(path, private, 0o600)
    _write_new(public_path, public, 0o644)
    return _show(path, key.public_key(), output)


def run_show(arguments: argparse.Namespace, output: Output) -> int:
    """Shows a public key, or the public half of a private one."""
    return _show(arguments.file, public_key(arguments.file), output)


def _show(path: Path, key: Ed25519PublicKey, output: Output) -> int:
    raw = key.public_bytes_raw()
    output.result(
        {"file": str(path), "public": raw.hex(), "id": raw[:8].hex()},
        f"{path}: public key {raw.hex()}",
    )
    return errors.DONE


def _in_the_way(path: Path) -> errors.ToolError:
    return errors.ToolError(
        "EEXIST: the file is there", str(path), "A key is never written over: name another file."
    )


def _write_new(path: Path, content: bytes, mode: int) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        raise _in_the_way(path) from None
    with open(handle, "wb") as file:
        file.write(content)


def private_key(path: Path) -> Ed25519PrivateKey:
    """The private key in a PEM file. ToolError for anything else; OSError."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise _no_key(path, "private Ed25519 key")
    return key


def public_key(path: Path) -> Ed25519PublicKey:
    """The public key in a PEM file, or that of the private key in it. ToolError, OSError."""
    if b"PRIVATE KEY" in path.read_bytes():
        return private_key(path).public_key()
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise _no_key(path, "Ed25519 key")
    return key


def _no_key(path: Path, kind: str) -> errors.ToolError:
    return errors.ToolError(
        f"EINVAL: no {kind} in PEM form", str(path), "'hsxctl key gen FILE' makes one."
    )


def ed25519_verify(key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` is that of `message` by the public key `key`."""
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except InvalidSignature:
        return False
    return True
