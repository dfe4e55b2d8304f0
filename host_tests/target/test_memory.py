# SPDX-License-Identifier: MIT
"""Memory of a node with four apps in its store, counted in the 96 KiB build."""

import pytest

from hsxctl.assembler import assemble, image
from measure import memory, record

pytestmark = pytest.mark.target


@pytest.fixture(scope="module")
def measured(firmware, tmp_path_factory):
    """All figures but those of single modules, which need a firmware of their own."""
    figures, _ = memory.with_apps(firmware, tmp_path_factory.mktemp("memory"))
    return {**figures, **memory.flash_and_ram(firmware.parent)}


@pytest.mark.requirement("P-92a", "P-92g", "P-92h", "P-93")
@pytest.mark.parametrize("name", memory.KEPT)
def test_a_node_with_four_apps_keeps_its_budget(measured, name):
    assert record.met(measured[name], memory.TARGETS[name]), measured[name]


@pytest.mark.requirement("P-92d")
@pytest.mark.parametrize("app", memory.APPS)
def test_what_a_task_takes_is_its_stack_its_data_its_code_and_few_objects(measured, app):
    task = {name: measured[f"task.{app}.{name}"] for name in ("arena", "code", "data", "stack")}
    assert task["stack"] == 1536
    assert task["arena"] == task["code"] + task["data"] + task["stack"]
    assert measured[f"task.{app}.objects"] < 1024


@pytest.mark.requirement("P-92c")
def test_the_image_of_each_demo_app_is_at_most_8_kib():
    sources = sorted((memory.PROJECT / "tools/demo/apps").glob("*.mvasm"))
    sizes = {source.stem: len(image(assemble(source), source.stem)) for source in sources}
    assert set(memory.APPS) <= set(sizes)
    assert max(sizes.values()) <= 8192, sizes


@pytest.mark.requirement("P-93")
def test_occupancy_is_what_was_counted(measured):
    assert (
        measured["occupancy.memory"] == 100 - 100 * measured["pool.free"] // measured["pool.all"]
    )
    assert measured["occupancy.pids"] == 100 * len(memory.APPS) // 8
