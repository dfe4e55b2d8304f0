# SPDX-License-Identifier: MIT
"""What the checks have found, as text for a person with a program's JSON at its end."""

import json
import time
import traceback
from collections.abc import Callable
from typing import Any

from hsx.errors import HsxError, name
from hsxctl.errors import ToolError

PASSED, FAILED, NOT_RUN = "passed", "failed", "not run"

Figures = dict[str, Any]


class Failed(Exception):
    """The board does something wrong. `remedy`: what to look at; `figures`: found so far."""

    def __init__(self, why: str, remedy: str = "", figures: Figures | None = None) -> None:
        super().__init__(why)
        self.remedy = remedy
        self.figures = figures or {}


class Skip(Exception):
    """The check cannot be made here; its text says why."""


class Report:
    """`facts`: of the run, printed first. `say(text)`: shows a line while the checks run."""

    def __init__(self, facts: Figures, say: Callable[[str], object]) -> None:
        self.facts = facts
        self.checks: list[Figures] = []
        self.logs: list[tuple[str, str]] = []
        self._say = say

    @property
    def failed(self) -> int:
        """How many checks have failed."""
        return sum(check["result"] == FAILED for check in self.checks)

    def check(self, title: str, make: Callable[[], Figures]) -> None:
        """Makes one check. KeyboardInterrupt goes on, once it is noted."""
        began = time.monotonic()
        result, why, remedy, figures = PASSED, "", "", {}
        self._say(f"{title} ...")
        try:
            figures = make()
        except Skip as reason:
            result, why = NOT_RUN, str(reason)
        except Failed as error:
            result, why, remedy, figures = FAILED, str(error), error.remedy, error.figures
        except ToolError as error:
            where = f"{error.where}: " if error.where else ""
            result, why, remedy = FAILED, where + error.what, error.remedy
        except HsxError as error:
            result = FAILED
            why = f"the node refuses: {name(error.errno or 0)} at {error.where}: {error.detail}"
        except OSError as error:
            result, why, remedy = FAILED, str(error), "Check the cable and the port."
        except Exception as error:  # noqa: BLE001  one check must not cost the others
            result, why = FAILED, f"{type(error).__name__}: {error}"
            remedy = "This is a fault of the check: send this report."
            self.log(f"fault of the check {title}", traceback.format_exc())
        except KeyboardInterrupt:
            self._done(title, NOT_RUN, "interrupted by Ctrl-C", "", {}, began)
            raise
        self._done(title, result, why, remedy, figures, began)

    def _done(
        self, title: str, result: str, why: str, remedy: str, figures: Figures, began: float
    ) -> None:
        seconds = round(time.monotonic() - began, 1)
        entry = {"check": title, "result": result, "seconds": seconds, "figures": figures}
        entry.update({"why": why} if why else {})
        entry.update({"remedy": remedy} if remedy else {})
        self.checks.append(entry)
        self._say(_shown(entry))

    def log(self, title: str, text: str) -> None:
        """Adds what a node has logged."""
        self.logs.append((title, text))

    def summary(self) -> str:
        """How many checks ended how."""
        counts = [
            f"{sum(check['result'] == result for check in self.checks)} {result}"
            for result in (PASSED, FAILED, NOT_RUN)
        ]
        return ", ".join(counts)

    def text(self) -> str:
        """The whole report."""
        lines = ["Report of `make prove`", ""]
        lines += [f"  {key}: {value}" for key, value in self.facts.items()]
        lines += ["", self.summary(), ""]
        lines += [_shown(check) for check in self.checks]
        for title, text in self.logs:
            lines += ["", f"---- {title} ----", text.rstrip()]
        facts = {"run": self.facts, "checks": self.checks}
        lines += ["", "---- for programs: one JSON object ----", json.dumps(facts, default=str)]
        return "\n".join(lines) + "\n"


def _shown(check: Figures) -> str:
    """A check for a person."""
    lines = [f"{check['check']}: {check['result']} ({check['seconds']} s)"]
    if "why" in check:
        lines.append(f"    {check['why']}")
    if "remedy" in check:
        lines.append(f"    What to do: {check['remedy']}")
    lines += [f"    {key}: {value}" for key, value in check["figures"].items()]
    return "\n".join(lines)
