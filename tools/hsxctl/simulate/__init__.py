# SPDX-License-Identifier: MIT
"""Nodes without hardware: starts and stops the machines that run the real firmware."""
