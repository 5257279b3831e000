#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Tell dom0 that qubes of this template may have the service "autoattach".

qvm-features-request supported-service.autoattach=1
