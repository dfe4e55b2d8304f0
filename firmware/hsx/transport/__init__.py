# SPDX-License-Identifier: MIT
"""Drivers joined to what reads from them: a file per transport, none imports another.

Rule: a transport moves bytes; it decides nothing about images.
"""
