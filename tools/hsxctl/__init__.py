# SPDX-License-Identifier: MIT
"""hsxctl, the host's tool: builds, checks and runs HSX images, makes SD cards, starts nodes.

`cli` holds the argument tree, `commands` a module for each group of verbs, `assembler` the way
from source to image, `simulate` starts nodes. It runs the very code of the node (`hsx.image`,
`hsx.node`) on the same C core, so that a verdict here is the node's verdict.
"""
