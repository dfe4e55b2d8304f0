# SPDX-License-Identifier: MIT
"""What hsxed25519.mpy offers: of hsxvm.pyi, what a .mpy file has apart."""

def ed25519_verify(public_key: bytes, message: bytes, signature: bytes, /) -> bool: ...
