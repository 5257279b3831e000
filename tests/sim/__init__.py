# SPDX-License-Identifier: GPL-2.0-or-later
"""The simulated dom0: qubesd, policy daemon and policy agent as WIRE.md has them."""
