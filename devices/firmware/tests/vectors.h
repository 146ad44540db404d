/* SPDX-License-Identifier: Apache-2.0 */
/* The vectors of devices/smp/testdata; the README there describes the format. */
#ifndef VECTORS_H
#define VECTORS_H

#include <stddef.h>
#include <stdint.h>

struct vector {
	char name[64], expect[32], refusal[64];
	uint8_t line[8192], message[4096];
	size_t line_len, message_len;
};

/* Calls `use` for each vector whose name begins with `prefix`. Returns their number. */
unsigned vectors_each(const char *prefix, void (*use)(const struct vector *v));

#endif
