# SPDX-License-Identifier: MIT
"""A roll-out in a file: it is read as it was written, and written as a whole or not at all."""

import contextlib
import resource

import pytest

from hsxctl.errors import ToolError
from hsxctl.fleet import record
from hsxctl.fleet import rollout as r

IMAGE = {"name": "pump", "version": "1.4", "length": 213, "sha256": "05" * 32}


@pytest.fixture
def kept(tmp_path):
    """One that is in its file already, with something in each field."""
    nodes = {3: r.Node(r.GOOD, 0, "01" * 16, images=[IMAGE]), 4: r.Node(r.SICK, 1, reason="hot")}
    rollout = r.Rollout("02" * 16, 1, 10, 0.5, 7.0, True, 0.25, True, nodes=nodes)
    expect = [("level", 0.0, 1.0), ("dose", -2.0, 2.0)]
    path = tmp_path / "rollout.json"
    kept = record.Record(path, rollout, ["/apps/pump.hxe"], [IMAGE], "can0", expect)
    kept.save(1000.0)
    return kept


@contextlib.contextmanager
def disk_that_takes(size):
    """No file may become larger, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_all_of_it_is_read_as_it_was_saved(kept):
    assert record.load(kept.path) == kept
    assert record.load(kept.path).saved == 1000.0


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
def test_write_that_breaks_off_leaves_the_file_as_it_was(kept, share):
    before = kept.path.read_bytes()
    kept.rollout.nodes[3].state = r.SICK
    with disk_that_takes(int(len(before) * share)), pytest.raises(OSError):
        kept.save(2000.0)
    assert kept.path.read_bytes() == before
    kept.save(3000.0)
    assert record.load(kept.path) == kept
    assert list(kept.path.parent.iterdir()) == [kept.path]


@pytest.mark.parametrize("size", [0, 1, 100, -2])
def test_file_that_is_cut_off_is_refused(kept, size):
    kept.path.write_bytes(kept.path.read_bytes()[:size])
    with pytest.raises(ToolError, match="EBADMSG: no roll-out"):
        record.load(kept.path)
