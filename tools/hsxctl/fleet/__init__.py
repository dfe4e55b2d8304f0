# SPDX-License-Identifier: MIT
"""A staged roll-out: some nodes first, a look at how they do, then the rest.

`rollout` decides and does nothing else; `work` does what it decides, over a Reach; `record` keeps
it in a file, so that it can be interrupted anywhere; `page` shows that to people.
"""
