# SPDX-License-Identifier: MIT
"""The CRC-framed record: a record counts only if its last four bytes are the CRC-32 (ISO 3309, as
`binascii.crc32`) of all before. Little-endian.

The CRC is written with and behind the data, in one ascending write: a torn record has new bytes,
then old ones, and does not count. A record of zeros never counts: that is how one is blanked.
"""

import binascii
import struct


def seal(buf: bytearray) -> None:
    """Puts the CRC into the last four bytes of a record."""
    end = len(buf) - 4
    struct.pack_into("<I", buf, end, binascii.crc32(memoryview(buf)[:end]))


def sealed(buf: "bytearray | memoryview") -> bool:
    """Whether a record counts."""
    end = len(buf) - 4
    return struct.unpack_from("<I", buf, end)[0] == binascii.crc32(memoryview(buf)[:end])


def blank(buf: "bytearray | memoryview") -> bool:
    """Whether a record was never written or was blanked."""
    for byte in buf:  # noqa: SIM110  any() with a generator allocates
        if byte:
            return False
    return True
