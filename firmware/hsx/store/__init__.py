# SPDX-License-Identifier: MIT
"""What survives: two banks of images, saved values, counters, on a medium that may lose power at
any byte.

`store.Store` is the front; `superblock` holds the only commit there is; `commit` the states of a
bank and the writes for each; `bank` and `staging` what a set of images looks like and how it gets
there; `saved_values`, `counters` and `wear` the rest. `region` and the drivers reach the medium.

The rule: a state that must survive changes by one superblock write (R1 to R10, V1 to V4, C1 and F
of the project's store design; each is named where it is kept). Bytes: docs/fram_layout.md. Imports
errors, ticks and image only.
"""
