/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What bench-load can do; see load-main.c. */

int load_latency(int argc, char **argv);
int load_flood(int argc, char **argv);
int load_parse(int argc, char **argv);
int load_spawn(int argc, char **argv);
