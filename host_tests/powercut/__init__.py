# SPDX-License-Identifier: MIT
"""Power cuts, bit rot and damage at every byte of what the store writes.

`medium` is a part that fails on demand, `world` what a node does, `scenarios` in which order,
`invariant` the one statement of what must hold afterwards, `cuts` every fault of a scenario,
`damage` changed cells, `bugs` the store with one rule broken, `target` the same on a whole
emulated node, which `line` speaks to, `stm32_target` on the firmware of an STM32. `run` goes
through all of it and reports: `make powercut`, or `python host_tests/powercut/run.py --case ID`
for one case.

On the host "reboot" is new Store objects on the same medium, `Store.open()`, `Commit.choose(hard)`
and `Commit.run()` with the check of the whole bank: what the boot path of the node calls.
"""
