# SPDX-License-Identifier: MIT
"""The boot configuration: what a node does at power-up, where and in which order it looks.

The defaults stand here; a board may change them (`BOOT`, pairs of key and value), and `hsx.toml`
or `hsx.json` on the flash file system what the board says. docs/boot.md has every key.
"""

import os

from micropython import const

from ..errors import EBADMSG, HsxError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..contracts import Board

FLASH = "/flash"  # where the flash file system is mounted
APPS = "/flash/apps"  # the folder of the images in it
SOURCES = ("bank", "flash", "frozen", "sd", "can")

_FILES = (("hsx.toml", True), ("hsx.json", False))  # the first that exists counts
_MOST = const(4096)  # bytes of one


class Config:
    """What is configured. Of the class: what stays as it is takes no heap."""

    order = SOURCES
    bank = "load"
    flash = "load"
    frozen = "load"
    sd = "load"
    can = "load"
    on_failure = "next"
    depend = False
    limit_ms = 60000
    can_wait_ms = 5000
    can_again_s = 30
    attempts = 3
    confirm_s = 60
    restarts = 3
    watchdog_ms = 0
    safe = False
    number = 127
    network = 0
    signatures = "off"
    commands = "off"
    key = ()


def read(board: "Board", config: Config) -> "tuple[str, HsxError | None]":
    """Fills `config` from what the board says and from the file, if there is one; the name of the
    file, "" without one, and what is wrong with it: then nothing of it counts."""
    for name, value in board.BOOT:
        setattr(config, name, value)
    try:
        board.mount_flash(FLASH)
    except OSError:
        return "", None
    for name, is_toml in _FILES:
        path = FLASH + "/" + name
        try:
            size = os.stat(path)[6]
        except OSError:
            continue
        try:
            if size > _MOST:
                raise HsxError(EBADMSG, "boot", "configuration is larger than 4 KiB")
            with open(path, "rb") as file:
                text = file.read()
            take(text, is_toml, config)
        except HsxError as error:
            return name, error
        except (OSError, MemoryError):
            return name, HsxError(EBADMSG, "boot", "configuration can't be read")
        return name, None
    return "", None


def take(text: bytes, is_toml: bool, config: Config) -> None:
    """Puts what a file says into `config`, all or nothing. EBADMSG: a key that is unknown or has
    not the value that it must have, named in the detail; malformed text with its line as the
    offset."""
    from .config_keys import parse

    found: "dict[str, Any]" = parse(text, is_toml, config)
    for name in found:
        setattr(config, name, found[name])


def asked_for_safe_mode() -> bool:
    """Whether a file asks for the safe mode; the flash file system must be mounted."""
    return _exists(FLASH + "/safe")


def has_apps() -> bool:
    """Whether there are images in the flash file system."""
    return _exists(APPS)


def _exists(path: str) -> bool:
    try:
        os.stat(path)
        return True
    except OSError:
        return False
