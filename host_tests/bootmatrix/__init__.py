# SPDX-License-Identifier: MIT
"""Every combination of what bank, card and bus may hold at a boot, on the emulated Cortex-M4.

The outcomes that are expected stand in docs/boot.md, in one table, which `table` reads; `bench`
runs the cases, with the power cut at counted moments if wanted; `run` is `make bootmatrix`.
"""
