# SPDX-License-Identifier: MIT
"""What runs: tasks, their names, loading into the VM, scheduling and service calls.

`Node` owns the rest and is what the layers above talk to. Imports `image` and `native`; time, the
sinks for text and CAN frames and the event receiver are handed in. Rule: nothing here blocks, and
nothing but `Node` is changed from outside.
"""
