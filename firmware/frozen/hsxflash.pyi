# SPDX-License-Identifier: MIT
"""What `in_flash.c` offers."""

def settle() -> None: ...
