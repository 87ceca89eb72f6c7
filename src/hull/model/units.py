# SPDX-License-Identifier: MPL-2.0
"""Bytes in SmartOS's units: memory and disks are given in MiB, quotas in GiB."""

MIB = 1 << 20
GIB = 1 << 30
