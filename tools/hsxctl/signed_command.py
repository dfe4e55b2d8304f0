# SPDX-License-Identifier: MIT
"""Commands with the signature of a key, as nodes take them (hsx.link.command)."""

from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hsx.link import command


def signed(private: Ed25519PrivateKey | None, action: int, acts_on: bytes, **more: Any) -> bytes:
    """A command; `more` as for command.pack, but for `key`. Without a private key nobody signs:
    for nodes whose policy takes that."""
    if private is None:
        return command.pack(action, acts_on, **more) + bytes(command.SIZE - command.BODY)
    public = private.public_key().public_bytes_raw()
    body = command.pack(action, acts_on, key=public, **more)
    return body + private.sign(command.CONTEXT + body)
