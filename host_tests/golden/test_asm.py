# SPDX-License-Identifier: MIT
"""Sources: the assembler gives the image of the reference, byte for byte."""

import os
import struct
from pathlib import Path

import pytest

from hsxctl.cli import main

GOLDEN = Path(os.environ.get("HSX_GOLDEN", Path(__file__).parent))
SOURCES = sorted([*GOLDEN.glob("programs/*.mvasm"), *GOLDEN.glob("svc/*.mvasm")])


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_a_source_becomes_the_image_of_the_reference(source, tmp_path):
    golden = source.with_suffix(".hxe").read_bytes()
    # What was given on the reference's command line, and nowhere in the source.
    (flags,) = struct.unpack_from(">H", golden, 0x06)
    (req_caps,) = struct.unpack_from(">I", golden, 0x18)
    name = golden[0x20:0x40].rstrip(b"\0").decode()
    target = tmp_path / "out.hxe"
    options = ["--app-name", name, "--req-cap", str(req_caps)]
    if not flags & 2:
        options.append("--single-instance")
    assert main(["asm", str(source), "-o", str(target), *options]) == 0
    assert target.read_bytes() == golden
