/* SPDX-License-Identifier: Apache-2.0 */
/* A board in RAM whose flash insists on the rules of NOR, and which breaks where a test says. */
#ifndef BOARD_H
#define BOARD_H

#include "core.h"

#define BOARD_SECTOR 4096u
#define BOARD_LARGE_SECTOR 8192u /* what a test may set instead */
#define BOARD_FLASH (2u * BOARD_LARGE_SECTOR)

/* How far a flash operation gets when power goes: enough for the laws of store.c's header comment. */
enum tear { TEAR_NOTHING, TEAR_HALF, TEAR_LAST_OCTET, TEAR_RANDOM_BITS, TEAR_COUNT };

struct board {
	struct prov_port port;
	struct prov prov;
	bool running;
	uint8_t flash[BOARD_FLASH];
	uint8_t huk[32];
	bool huk_missing, entropy_missing;
	uint32_t random;
	unsigned calls, fail_at;    /* every call of the port; the call that fails, 0: none */
	unsigned changes, cut_at;   /* erase and program operations; the one in which power goes, 0: none */
	unsigned deaf_at;	    /* the one that succeeds without an effect, 0: none */
	enum tear tear;
	bool off;		    /* power is gone: nothing happens any more */
	unsigned broken_rules;	    /* NOR rules that the core broke */
	unsigned reboots;
	uint8_t sent[1u << 16];
	size_t sent_len;
	uint8_t answer[SMP_MESSAGE_MAX];
	size_t answer_len;
};

/* An erased board with a HUK, write granule 4, not started. *b is zero, or was made before. */
void board_make(struct board *b);

/* prov_init after power-on; ends a run before it. What happened to the port before is forgotten, flash stays. */
int board_start(struct board *b);

/* Frees what the running firmware holds. */
void board_stop(struct board *b);

/* The group's answer to the body in `request`, as prov_group_handle gives it; answer and answer_len are filled. */
int board_ask(struct board *b, uint8_t command, bool write, const struct cbor_writer *request);

/* Writes a whole object into a slot in pieces of at most `piece` octets. */
int board_write(struct board *b, unsigned slot, const uint8_t *der, size_t len, size_t piece);

/* A pseudo-random number that is the same in each run. */
uint32_t next_random(uint32_t *state);

#endif
