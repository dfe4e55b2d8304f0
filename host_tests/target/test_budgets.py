# SPDX-License-Identifier: MIT
"""What was promised of the firmware and can be counted: instructions and bytes, never seconds."""

import pytest

from measure import bench, can, linker_map, node, record, size, store, uart

pytestmark = pytest.mark.target


@pytest.fixture(scope="module")
def measured(firmware, tmp_path_factory):
    """All counted figures of the firmware."""
    folder = tmp_path_factory.mktemp("measure")
    figures = size.objects(firmware.parent)
    with node.MeasuringNode(firmware, folder) as target:
        counted, _ = node.count(target)
        again, _ = node.count(target)
        figures["native.stream_overhead"] = node.stream_overhead(target)
    with node.MeasuringNode(firmware, folder, has_fram=True) as target:
        figures.update(bench.over_can(target))
    figures.update(counted)
    figures.update(store.count())
    figures.update(uart.count())
    figures.update(can.count())
    figures["store.ram_high_water"] = store.ram_high_water(firmware, folder)
    figures["again"] = again["vm.m4_insns_per_op"]
    return figures


TARGETS = {**bench.TARGETS, **size.TARGETS}


def counted() -> list[str]:
    """What the fixture measures: not the host's races, nor what only `make bench` does."""
    others = ("vm.host", "uart.insns", "uart.rx_ram", "bench_bus.", "boot.")
    return [name for name in TARGETS if not name.startswith(others)]


@pytest.mark.requirement("P-23", "P-92g")
@pytest.mark.parametrize("name", counted())
def test_the_firmware_keeps_its_budget(measured, name):
    assert record.met(measured[name], TARGETS[name]), measured[name]


def test_counting_twice_gives_the_same(measured):
    assert measured["again"] == measured["vm.m4_insns_per_op"]


def test_the_vm_is_faster_than_bytecode_that_needs_no_big_integers(measured):
    assert measured["vm.m4_vs_micropython_small"] > 5


def test_the_map_is_that_of_the_firmware(firmware):
    core = [name for name in linker_map.read(firmware.with_suffix(".map")) if "native/" in name]
    binding = ("bindings/micropython.o", "bindings/signatures.o", "ed25519.o", "sha512.o")
    assert len(core) == len(size.CORE) + len(binding)
