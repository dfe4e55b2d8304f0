# SPDX-License-Identifier: MIT
"""What goes over a wire, as bytes, shared by node and host: no driver, no clock, no print.

`messages` packs and unpacks what a node tells. Rule: bytes and numbers in, bytes and facts out;
whatever comes from outside may be wrong and gives EBADMSG. Imports errors and ticks only.
"""
