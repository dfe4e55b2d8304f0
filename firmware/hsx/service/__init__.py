# SPDX-License-Identifier: MIT
"""Who may do what, and who is told: transfer sessions and events.

Imports `node` and what stands below it. Rule: images reach the node only through a session, and
everything worth knowing leaves as an event.
"""
