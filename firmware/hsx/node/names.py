# SPDX-License-Identifier: MIT
"""App names and instance names (spec/hxe_v2.md section 8)."""

from micropython import const

from ..errors import EEXIST, RULE_NAME_TAKEN, HsxError, detail

_MAX = const(31)  # characters, suffix included


def stem(path: str) -> str:
    """The file name of a path without its extension, as a name: stripped, at most 31 long."""
    name = path[path.rfind("/") + 1 :]
    dot = name.rfind(".")
    if dot > 0:
        name = name[:dot]
    return name.strip()[:_MAX]


def base(app_name: str, label: str, pid: int) -> str:
    """The app name of an image: its own, else the stem of what it was loaded from, else a name
    made of its PID."""
    return app_name or stem(label) or "<stream:%d>" % pid


def instance(name: str, taken: "list[str]", allow_multiple: bool) -> str:
    """The instance name for one more task of app `name`, `taken` being the names in use.

    The flag of the new image decides, not that of the running one. Raises EEXIST."""
    if name not in taken:
        return name
    if not allow_multiple:
        raise HsxError(EEXIST, "write", detail(RULE_NAME_TAKEN), RULE_NAME_TAKEN)
    n = 0
    while True:
        suffix = "_#%d" % n
        candidate = name[: _MAX - len(suffix)] + suffix
        if candidate not in taken:
            return candidate
        n += 1
