# SPDX-License-Identifier: MIT
"""The project's one error type and its numbers.

Errno numbers are Linux's on every tier and on the wire: MicroPython's own `errno` lacks five of
them, and whose numbers a port uses is its own choice (design.md section 9).
"""

from micropython import const

EPERM = const(1)
ENOENT = const(2)
ESRCH = const(3)
EIO = const(5)
EACCES = const(13)
EBUSY = const(16)
EEXIST = const(17)
ENODEV = const(19)
EINVAL = const(22)
ENOSPC = const(28)
EBADMSG = const(74)
ENOTSUP = const(95)
ETIMEDOUT = const(110)

_NAMES = (
    (EPERM, "EPERM"),
    (ENOENT, "ENOENT"),
    (ESRCH, "ESRCH"),
    (EIO, "EIO"),
    (EACCES, "EACCES"),
    (EBUSY, "EBUSY"),
    (EEXIST, "EEXIST"),
    (ENODEV, "ENODEV"),
    (EINVAL, "EINVAL"),
    (ENOSPC, "ENOSPC"),
    (EBADMSG, "EBADMSG"),
    (ENOTSUP, "ENOTSUP"),
    (ETIMEDOUT, "ETIMEDOUT"),
)

# Rules an image must keep. 1 to 19 are the rows of spec/hxe_v2.md section 9; 20 is one of the
# gaps named below that table. The C loader reports the same numbers (`hsxvm.h`).
RULE_SHORT = const(1)
RULE_VERSION = const(2)
RULE_SHORT_V2 = const(3)
RULE_RESERVED = const(4)
RULE_NAME_ASCII = const(5)
RULE_MAGIC = const(6)
RULE_TOO_LARGE = const(7)
RULE_ALIGN = const(8)
RULE_CRC = const(9)
RULE_TRUNCATED = const(10)
RULE_ENTRY = const(11)
RULE_TABLE_OVERLAP = const(12)
RULE_TABLE_BOUNDS = const(13)
RULE_SECTION_BOUNDS = const(14)
RULE_SECTION_CONTENT = const(15)
RULE_NAME_TAKEN = const(16)
RULE_MEMORY = const(17)
RULE_OID = const(18)
RULE_MAILBOX = const(19)
RULE_DATA_WINDOW = const(20)

_DETAILS = (
    "",
    "image ends inside its header",
    "version is neither 1 nor 2",
    "image ends inside its header",
    "reserved header bytes are not zero",
    "app name is not ASCII",
    "magic is not HSXE",
    "section is larger than 64 KiB",
    "code length or entry is not a multiple of 4",
    "checksum differs",
    "image ends inside code or rodata",
    "entry lies outside the code",
    "section table overlaps header, code or rodata",
    "section table lies outside the image",
    "section lies outside the image or on its body",
    "section content is malformed",
    "an app of this name is running",
    "not enough VM memory",
    "value or command is declared twice",
    "mailbox is declared twice",
    "rodata and bss do not fit below the stack",
)


def name(errno: "int | None") -> str:
    """The name of an errno number, `E<number>` for one that is not ours; None: an OSError that
    carries no number, told as an I/O error."""
    if errno is None:
        return "EIO"
    for number, text in _NAMES:
        if number == errno:
            return text
    return "E%d" % errno


def detail(rule: int) -> str:
    """The fixed phrase for a rule number; unknown numbers give an empty one."""
    return _DETAILS[rule] if 0 < rule < len(_DETAILS) else ""


class HsxError(OSError):
    """What was refused, where, and why.

    `errno`: number as above. `where`: begin, write, end, verify, commit or boot. `detail`: a short
    fixed phrase. `rule`: which image rule was broken, 0 if none. `offset`: byte of the image,
    -1 if none fits.
    """

    def __init__(
        self, errno: int, where: str, detail: str, rule: int = 0, offset: int = -1
    ) -> None:
        super().__init__(errno, detail)
        self.where = where
        self.detail = detail
        self.rule = rule
        self.offset = offset


def bad_image(rule: int, where: str, offset: int = -1, text: str = "") -> HsxError:
    """EBADMSG for a broken image rule, with the rule's phrase or a closer one."""
    return HsxError(EBADMSG, where, text or detail(rule), rule, offset)


def heap_full(where: str) -> HsxError:
    """The ENOSPC that a caller gets in the place of a MemoryError; `where` as in HsxError."""
    return HsxError(ENOSPC, where, "the node's heap is full")
