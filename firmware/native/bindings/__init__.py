# SPDX-License-Identifier: MIT
"""The C core for CPython: the same module face as on MicroPython (`hsxvm.pyi`)."""

from .cpython import *  # noqa: F403  the face is that of cpython.py
from .cpython import __all__ as __all__
