# SPDX-License-Identifier: MIT
"""What goes over a wire, as bytes, shared by node and host: no driver, no clock, no print.

`wire` codes values and events; `messages` is the table of requests and replies, with the node's
half of it; `host_messages` is the host's, which no node imports. Rule: bytes and numbers in, bytes
and facts out; whatever comes from outside may be wrong and gives EBADMSG. Imports errors and ticks
only.
"""
