/* SPDX-License-Identifier: Apache-2.0 */
#include "history.h"

#include <string.h>

static const struct {
	enum slot slot; /* SLOT_COUNT: seal */
	size_t len;
	uint8_t seed;
} steps[HISTORY_STEPS] = {
	{ SLOT_ANCHOR, 600, 10 },      { SLOT_CHAIN, 513, 20 },	      { SLOT_CERTIFICATE, SLOT_SIZE, 30 },
	{ SLOT_COSE, 480, 35 },	       { SLOT_CERTIFICATE, 129, 40 }, { SLOT_ANCHOR, 1, 50 },
	{ SLOT_CERTIFICATE, 700, 60 }, { SLOT_COSE, 33, 65 },	      { SLOT_COUNT, 0, 0 },
};

const uint8_t *blob(uint8_t seed)
{
	static uint8_t blobs[256][SLOT_SIZE];

	for (size_t i = 0; i < SLOT_SIZE; i++) {
		blobs[seed][i] = (uint8_t)(seed + i * 3u + i / 256u);
	}
	return blobs[seed];
}

struct content history_content(unsigned count)
{
	struct content c;

	memset(&c, 0, sizeof c);
	for (unsigned i = 0; i < count; i++) {
		if (steps[i].slot == SLOT_COUNT) {
			c.sealed = true;
			continue;
		}
		for (unsigned later = steps[i].slot; steps[i].slot < SLOT_CERTIFICATE && later < SLOT_COUNT; later++) {
			c.len[later] = 0; /* replacing anchor or chain erases the objects that depend on it */
		}
		c.len[steps[i].slot] = steps[i].len;
		c.der[steps[i].slot] = blob(steps[i].seed);
	}
	return c;
}

int history_step(struct store *s, unsigned step)
{
	if (steps[step].slot == SLOT_COUNT) {
		return prov_store_seal(s);
	}
	return prov_store_commit(s, steps[step].slot, blob(steps[step].seed), steps[step].len);
}

bool store_holds(const struct store *s, const struct content *c)
{
	uint8_t der[SLOT_SIZE];

	if (s->damaged || prov_store_sealed(s) != c->sealed) {
		return false;
	}
	for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
		if (s->len[slot] != c->len[slot]) {
			return false;
		}
		if (c->len[slot] > 0 && (prov_store_read(s, (enum slot)slot, 0, der, c->len[slot]) != PROV_OK ||
					 memcmp(der, c->der[slot], c->len[slot]) != 0)) {
			return false;
		}
	}
	return true;
}
