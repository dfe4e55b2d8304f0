# SPDX-License-Identifier: MIT
"""Nodes on the host, in layers. A test takes the lowest layer that has what it needs:

images        instructions and small images; no node
node          `NodeBench`: executive and VM; the test owns the clock
runtime       `RuntimeBench` adds board, boot, card, console, policy and, with a medium, a store
apps          `AppsBench` adds to that two apps with values and commands, and requests to them
service       `ServiceBench` adds to runtime keys, signed commands and transfers into the store
links         `LinksBench` runs several of these in real time on a pty and a CAN bus, for hsxctl
uart_engines  `UartEngines`: both ends of the UART protocol; no node
"""
