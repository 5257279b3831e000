/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The texts of the *.varlink files beside this one, NUL-terminated
 *
 * Made from the files themselves by embed-text.cmake when they are built.
 */

extern const char control_text_org_qubes_contrib_autoattach[];
extern const char control_text_org_varlink_service[];
