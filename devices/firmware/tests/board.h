/* SPDX-License-Identifier: Apache-2.0 */
/* A board in RAM. Its flash enforces the rules of NOR flash, and its calls fail where the test says. */
#ifndef BOARD_H
#define BOARD_H

#include "core.h"

#define BOARD_SECTOR 4096u
#define BOARD_LARGE_SECTOR 8192u /* a size that a test may set instead */
#define BOARD_FLASH (2u * BOARD_LARGE_SECTOR)

/* How far a flash operation gets when the power goes: the cases in the header comment of store.c. */
enum tear { TEAR_NOTHING, TEAR_HALF, TEAR_THREE_QUARTERS, TEAR_LAST_OCTET, TEAR_RANDOM_BITS, TEAR_COUNT };

struct board {
	struct prov_port port;
	struct prov prov;
	bool running;
	uint8_t flash[BOARD_FLASH];
	uint8_t huk[32];
	bool huk_missing, entropy_missing;
	uint32_t random;
	unsigned calls, fail_at;    /* number of port calls; number of the call that fails, 0: none */
	unsigned changes, cut_at;   /* number of erase and program operations; number of the one in which the power goes, 0: none */
	unsigned deaf_at;	    /* number of the operation that reports success without an effect, 0: none */
	enum tear tear;
	bool off;		    /* the power is gone: operations have no effect */
	unsigned broken_rules;	    /* how often the core broke a rule of NOR flash */
	unsigned reboots;
	uint32_t uptime;	    /* the port's clock in milliseconds */
	uint8_t sent[1u << 16];
	size_t sent_len;
	uint8_t answer[SMP_MESSAGE_MAX];
	size_t answer_len;
};

/* Makes an erased board with an HUK and write size 4, not started. *b is zero, or was made before. */
void board_make(struct board *b);

/* Starts the board: prov_init after power-on. Ends a run before, and clears the port's counters. The flash stays. */
int board_start(struct board *b);

/* Frees the objects of the running firmware. */
void board_stop(struct board *b);

/* Returns the result of prov_group_handle for the body in `request`; fills answer and answer_len. */
int board_ask(struct board *b, uint8_t command, bool write, const struct cbor_writer *request);

/* Writes a whole object to a slot in pieces of at most `piece` octets. */
int board_write(struct board *b, unsigned slot, const uint8_t *der, size_t len, size_t piece);

/* A pseudo-random number; the sequence is the same in each run. */
uint32_t next_random(uint32_t *state);

#endif
