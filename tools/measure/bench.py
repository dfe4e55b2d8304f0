# SPDX-License-Identifier: MIT
"""`make bench`: how fast the VM is, how much the store writes and how well the links use the
wire, into build/bench.json.

On the M4 instructions are counted, in the firmware that ships; on the host it is a race within
one run. The store's bytes are counted at the medium, what goes over a link in bits of a modelled
wire. `--diff` shows the change against the run before; `--programs` what each program costs.
"""

import argparse
from pathlib import Path

from measure import (
    bench_bus,
    boot,
    can,
    can_node,
    can_receive,
    host,
    node,
    record,
    store,
    uart,
    uart_node,
    uart_peers,
)

RESULT = Path("build/bench.json")
FOLDER = Path("build/measure")
TARGETS: record.Targets = {
    "vm.m4_insns_per_op": ("<=", 18),
    "vm.m4_insns_per_op_mix": ("<=", 27),
    "vm.m4_insns_per_op_locals": ("<=", 24),
    "vm.host_vs_plain": (">=", 1.0),
    "store.write_amplification": ("<=", 1.05),
    "store.ram_high_water": ("<=", 4096),
    "can.share_1": (">=", 0.965),
    "can.share_1_loss1pct": (">=", 0.935),
    "can.ratio_10": ("<=", 1.02),
    "can.ratio_50": ("<=", 1.17),
    "can.insns_per_frame": ("<=", 12_000),
    "can.rx_ram": ("<=", 3072),
    "bench_bus.ratio_50": ("<=", 1.17),
    "uart.eff_0ms": (">=", 0.98),
    "uart.eff_5ms": (">=", 0.98),
    "uart.eff_5ms_512": (">=", 0.97),
    "uart.insns_per_byte": ("<=", 300),
    "uart.rx_ram": ("<=", 3072),
    "boot.fram_read_per_byte": ("<=", 1.2),
}


def over_can(target: node.MeasuringNode) -> record.Figures:
    """The figures of the CAN link on a booted node with FRAM, which is stopped then."""
    can_node.begin_in_ram(target)
    figures = can_receive.count(target)
    figures.update(can_node.count(target, figures["can.m4_insns_interrupt"]))
    return figures


def main() -> None:
    """Measures, writes and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--firmware", type=Path, default=Path("build/qemu_m4/firmware.elf"))
    parser.add_argument("--diff", action="store_true")
    parser.add_argument("--programs", action="store_true")
    options = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    with node.MeasuringNode(options.firmware, FOLDER) as target:
        figures, per_program = node.count(target)
        figures.update(node.crypto(target))
    with node.MeasuringNode(options.firmware, FOLDER, has_fram=True) as target:
        figures.update(over_can(target))
        figures.update(uart_node.count(target))
    figures.update(can_node.paces(options.firmware, FOLDER))
    figures.update(host.time(FOLDER))
    figures.update(store.count())
    figures.update(can.count())
    figures.update(bench_bus.count())
    figures["store.ram_high_water"] = store.ram_high_water(options.firmware, FOLDER)
    figures.update(boot.count(options.firmware, FOLDER))
    figures.update(uart.count())
    figures.update(uart_peers.count(uart.PAYLOAD))
    before = record.write(RESULT, figures)
    if options.programs:
        print(record.table(per_program, {}), end="\n\n")
    print(record.changes(before, figures) if options.diff else record.table(figures, TARGETS))
    print(f"\n{RESULT}")


if __name__ == "__main__":
    main()
