# SPDX-License-Identifier: MIT
"""How a node is judged by the golden cases, the same on every tier that runs MicroPython.

`on_node` and `scenarios` are code for the node, which loads and runs the images and prints what
came out; `golden` asks for it and compares. How code gets to a node and text back is the tier's
own business.
"""
