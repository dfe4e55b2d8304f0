# SPDX-License-Identifier: MIT
"""The emulated node refuses what the host's node refuses, and nothing of it changes either."""

import json
from pathlib import Path

import pytest

from judge import refusals

pytestmark = pytest.mark.target

OUT = Path("build/refusals.json")


@pytest.mark.requirement("P-28", "P-47", "P-87", "P-99", "P-104")
def test_every_refusal_of_the_host_is_one_here_and_changes_nothing(power_up, connect, tmp_path):
    repl = connect(power_up(fram=tmp_path / "fram.bin"))
    repl.run(refusals.ON_NODE)
    repl.run("import hsx\nfrom hsx.boot import lock\nr = Refusals(hsx.runtime(), lock.run)")
    repl.run(refusals.setup())
    rows = []
    for case in refusals.CASES:
        rows.append(json.loads(repl.run(refusals.script(case)).splitlines()[-1]))
        repl.run("import gc; gc.collect()")
    refusals.record(rows, "target", OUT)
    for case, (_, errno, _, _, detail, unchanged) in zip(refusals.CASES, rows, strict=True):
        assert (case.name, errno) == (case.name, case.errno), detail
        assert unchanged, case.name
    assert all("target" in row["tiers"] for row in json.loads(OUT.read_text()))
