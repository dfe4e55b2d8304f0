# SPDX-License-Identifier: MIT
"""`make demo`: an emulated node at work, while you watch.

`card` boots it from an SD card, `store` updates it; `screen` is what both show themselves on.
"""
