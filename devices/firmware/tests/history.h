/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a store in steps: trust anchor, chain, certificate, COSE certificate, another
 * certificate beside it, another anchor, both certificates again, seal.
 */
#ifndef HISTORY_H
#define HISTORY_H

#include "board.h"

#define HISTORY_STEPS 9u

/* The contents of a store. */
struct content {
	bool sealed;
	size_t len[SLOT_COUNT];
	const uint8_t *der[SLOT_COUNT];
};

/* Returns the contents after the first `steps` steps. */
struct content history_content(unsigned steps);

/* Does step number `step`, 0 to HISTORY_STEPS - 1. */
int history_step(struct store *s, unsigned step);

/* True if the store has exactly these contents. The octets are read from flash. */
bool store_holds(const struct store *s, const struct content *c);

/* An object whose first octet is `seed`, for tests that store no certificates. */
const uint8_t *blob(uint8_t seed);

#endif
