# SPDX-License-Identifier: MIT
"""The boot configuration: what a node does at power-up, where and in which order it looks.

The defaults stand here; a board may change them (`BOOT`, pairs of key and value), and a file on
the flash file system what the board says (config_file). docs/boot.md has every key.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ORDER = "bank flash frozen sd can"


class Config:
    """What is configured. Of the class, and only what may lie in flash: what stays as it is takes
    no heap."""

    order = ""  # sources with blanks between; "": ORDER
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
    safe = ""  # who asks for it: "configuration", "file"
    number = 127
    network = 0
    signatures = "off"
    commands = "off"
    key: "Any" = None  # tables, as the file has them
