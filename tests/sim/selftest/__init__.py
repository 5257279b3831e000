# SPDX-License-Identifier: GPL-2.0-or-later
"""The simulator against WIRE.md: requests and answers as bytes."""
