# SPDX-License-Identifier: MIT
"""What a command ends with: exit codes, and messages in three parts (what, where, what to do).

The codes are style section 6's: a script may tell a damaged image (1) from a cable that fell
off (3) without reading the text.
"""

import hsx.errors

DONE = 0
REFUSED = 1  # refused or failed
USAGE = 2  # wrong usage
NO_NODE = 3  # no node, or the connection was lost
INTERRUPTED = 130


class ToolError(Exception):
    """A command ends here.

    `what` happened, in one clause; `where`: file, line, offset or phase, may be empty; `remedy`:
    what the reader does next, a whole sentence, may be empty; `status`: the exit code; `facts`:
    the fields that `--json` prints.
    """

    def __init__(
        self,
        what: str,
        where: str = "",
        remedy: str = "",
        status: int = REFUSED,
        facts: dict | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.remedy = remedy
        self.status = status
        self.facts = facts or {}

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}. {self.remedy}" if self.remedy else text


def image_facts(error: hsx.errors.HsxError) -> dict:
    """The fields of a refused image, as `hsxctl verify --json` prints them."""
    return {
        "errno": hsx.errors.name(error.errno or 0),
        "where": error.where,
        "detail": error.detail,
        "rule": error.rule,
        "offset": error.offset if error.offset >= 0 else None,
    }


def refused_image(path: str, error: hsx.errors.HsxError) -> ToolError:
    """An HsxError about the image in file `path`, for people and for `--json`."""
    offset = f", offset {error.offset}" if error.offset >= 0 else ""
    return ToolError(
        f"{hsx.errors.name(error.errno or 0)} at {error.where}{offset}: {error.detail}",
        path,
        _REMEDIES.get(error.errno or 0, ""),
        facts=image_facts(error),
    )


_REMEDIES = {
    hsx.errors.EBADMSG: "The file is damaged or no HXE image: copy or build it again.",
    hsx.errors.ENOSPC: "The image does not fit: make its data or its stack smaller.",
    hsx.errors.EEXIST: "An app of this name runs already: stop that one first.",
}


def file_error(error: OSError) -> ToolError:
    """An error of the operating system, passed on under its own name."""
    number = error.errno or 0
    remedy = "Check the path." if number == hsx.errors.ENOENT else ""
    where = str(error.filename or "")
    return ToolError(
        f"{hsx.errors.name(number)}: {error.strerror or error}",
        where,
        remedy,
        facts={"errno": hsx.errors.name(number), "where": where, "detail": error.strerror},
    )
