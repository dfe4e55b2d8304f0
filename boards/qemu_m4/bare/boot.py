# SPDX-License-Identifier: MIT
# Starts no node: what is measured on it is imported and built by who measures.
