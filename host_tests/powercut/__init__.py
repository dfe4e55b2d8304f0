# SPDX-License-Identifier: MIT
"""Power cuts, bit rot and damage at every byte of what the store writes.

`medium` is a part that fails on demand, `scenarios` what a node does, `invariant` the one
statement of what must hold afterwards, `bugs` the store with one rule left out, `run` goes through
all of it: `python host_tests/powercut/run.py`, or `--case ID` for one case.

"Reboot" here is new Store objects on the same medium, `Store.open()`, then `Commit.choose(hard)`
and `Commit.run()` with the check of the whole bank: what the boot path of the node calls.
"""
