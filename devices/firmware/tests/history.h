/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store's life in steps: trust anchor, chain, certificate, COSE certificate, another certificate beside it, another
 * anchor, both certificates anew, seal.
 */
#ifndef HISTORY_H
#define HISTORY_H

#include "board.h"

#define HISTORY_STEPS 9u

/* What a store holds. */
struct content {
	bool sealed;
	size_t len[SLOT_COUNT];
	const uint8_t *der[SLOT_COUNT];
};

/* The content after the first `steps` steps. */
struct content history_content(unsigned steps);

/* Takes step `step`, 0 to HISTORY_STEPS - 1. */
int history_step(struct store *s, unsigned step);

/* Does the store hold exactly this? Octets are read from flash. */
bool store_holds(const struct store *s, const struct content *c);

/* An object that begins with `seed`, for stores that are tried without certificates. */
const uint8_t *blob(uint8_t seed);

#endif
