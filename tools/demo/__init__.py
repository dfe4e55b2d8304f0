# SPDX-License-Identifier: MIT
"""`make demo`: an emulated node at work, while you watch.

`card` boots it from an SD card, `store` updates it, `wires` does without a card; `screen` is what
they show themselves on.
"""
