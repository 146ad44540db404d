/* SPDX-License-Identifier: Apache-2.0 */
/* A law: what must hold for the board after any input. The functions are in laws.c. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

#define INPUT_MAX 4096u

struct law {
	const char *name;
	void (*start)(void);	       /* makes the board, once, and calls fuzz_seed for each seed */
	void (*check)(const uint8_t *input, size_t len);
};

extern const struct law laws[]; /* ends with a law without a name */

/* Adds an input from which others are made. A longer one is left out. */
void fuzz_seed(const uint8_t *input, size_t len);

#endif
