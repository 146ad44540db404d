/* SPDX-License-Identifier: Apache-2.0 */
/* Power cuts and failing calls at every place of a store's life: the store has the old or the new contents. */
#include "history.h"
#include "test.h"

static struct board board;

/* A started board with erased flash. The start computes keys that the store does not need, so it is done once. */
static void make(uint32_t granule)
{
	static struct board started;

	if (!board.running) {
		board_make(&board);
		CHECK(board_start(&board) == PROV_OK, "starting");
		started = board;
	}
	board = started;
	board.port.flash.write_size = granule;
}

/* Power comes back: all calls of the port work again. */
static int remount(struct store *s)
{
	board.off = false;
	board.cut_at = board.fail_at = 0;
	return prov_store_mount(s, &board.port, board.prov.identity.store_key);
}

/* Does steps until one fails. Returns how many succeeded. */
static unsigned live(struct store *s, unsigned from, int *err)
{
	for (unsigned step = from; step < HISTORY_STEPS; step++) {
		*err = history_step(s, step);
		if (*err != PROV_OK) {
			return step;
		}
	}
	return HISTORY_STEPS;
}

/* Checks the store after a failure in step `done`: old or new contents, and the remaining steps succeed. */
static void check_survivor(unsigned done, const char *what, unsigned at)
{
	struct content old = history_content(done), new = history_content(done + 1u), all = history_content(HISTORY_STEPS);
	struct store s;
	int err = remount(&s);

	if (!CHECK(err == PROV_OK, "%s %u, step %u: mounting gives %d", what, at, done, err)) {
		return;
	}
	bool is_new = store_holds(&s, &new);
	CHECK(is_new || store_holds(&s, &old), "%s %u, step %u: neither old nor new", what, at, done);
	CHECK(live(&s, done + (is_new ? 1u : 0u), &err) == HISTORY_STEPS, "%s %u: going on gives %d", what, at, err);
	CHECK(remount(&s) == PROV_OK && store_holds(&s, &all), "%s %u: the end is another one", what, at);
	CHECK(board.broken_rules == 0, "%s %u: flash was written twice or out of line", what, at);
}

static unsigned changes_of_a_life(uint32_t granule)
{
	struct store s;
	int err = PROV_OK;

	make(granule);
	CHECK(prov_store_mount(&s, &board.port, board.prov.identity.store_key) == PROV_OK, "mounting erased flash");
	CHECK(live(&s, 0, &err) == HISTORY_STEPS, "a life without accidents: %d", err);
	CHECK(board.broken_rules == 0, "granule %u: %u rules broken", (unsigned)granule, board.broken_rules);
	return board.changes;
}

static void cut(uint32_t granule, unsigned at, enum tear tear)
{
	struct store s;
	int err = PROV_OK;

	make(granule);
	board.random += at * 77u + (unsigned)tear;
	board.cut_at = at;
	board.tear = tear;
	CHECK(prov_store_mount(&s, &board.port, board.prov.identity.store_key) == PROV_OK, "mounting erased flash");
	unsigned done = live(&s, 0, &err);
	CHECK(done < HISTORY_STEPS && err == PROV_ERR_STORE_IO, "cut at %u: %u steps, %d", at, done, err);
	check_survivor(done, "cut at", at);
}

static void cut_everywhere(uint32_t granule)
{
	unsigned changes = changes_of_a_life(granule);

	for (unsigned at = 1; at <= changes; at++) {
		for (enum tear tear = 0; tear < TEAR_COUNT; tear++) {
			cut(granule, at, tear);
		}
	}
}

static void power_may_go_in_any_flash_operation(void)
{
	static const uint32_t granules[] = { 1, 4, 8, 32 };

	for (unsigned i = 0; i < sizeof granules / sizeof *granules; i++) {
		cut_everywhere(granules[i]);
	}
}

/* The second power cut hits the repair of the first. */
static void power_may_go_twice(void)
{
	unsigned changes = changes_of_a_life(4);

	for (unsigned at = 1; at <= changes; at++) {
		struct store s;
		int err = PROV_OK;

		make(4);
		board.cut_at = at;
		board.tear = TEAR_RANDOM_BITS;
		(void)prov_store_mount(&s, &board.port, board.prov.identity.store_key);
		unsigned done = live(&s, 0, &err);
		CHECK(remount(&s) == PROV_OK, "mounting after cut %u", at);
		struct content new = history_content(done + 1u);
		done += store_holds(&s, &new) ? 1u : 0u;
		board.cut_at = board.changes + 1u + at % 5u;
		done = live(&s, done, &err);
		if (done < HISTORY_STEPS) {
			check_survivor(done, "second cut after", at);
		}
	}
}

static void a_sealed_store_is_sealed_after_any_cut_that_follows(void)
{
	struct store s;
	int err = PROV_OK;

	make(4);
	(void)prov_store_mount(&s, &board.port, board.prov.identity.store_key);
	CHECK(live(&s, 0, &err) == HISTORY_STEPS, "living: %d", err);
	unsigned changes = board.changes;
	for (unsigned step = 0; step + 1u < HISTORY_STEPS; step++) {
		CHECK(remount(&s) == PROV_OK && prov_store_sealed(&s), "the seal is gone");
		board.cut_at = changes + 1u;
		err = history_step(&s, step); /* from the second anchor on the objects are those in the slots */
		CHECK(err == PROV_ERR_SEALED || (err == PROV_OK && step >= 5), "step %u gives %d", step, err);
	}
	CHECK(board.changes == changes, "a sealed store was written");
}

/* Each call of the port fails once, each time in a new life. */
static void every_call_of_the_port_may_fail(void)
{
	make(4);
	unsigned start = board.calls;
	(void)changes_of_a_life(4);
	unsigned calls = board.calls;

	CHECK(calls > start, "a life without calls");
	for (unsigned at = start + 1u; at <= calls; at++) {
		struct store s;
		int err = PROV_OK;

		make(4);
		board.fail_at = at;
		if (prov_store_mount(&s, &board.port, board.prov.identity.store_key) != PROV_OK) {
			CHECK(history_step(&s, 0) == PROV_ERR_STORE_IO, "call %u: a store that did not mount takes data", at);
			check_survivor(0, "mounting, call", at);
			continue;
		}
		unsigned done = live(&s, 0, &err);
		CHECK(done < HISTORY_STEPS && err == PROV_ERR_STORE_IO, "call %u: %u steps, %d", at, done, err);
		check_survivor(done, "failing call", at);
	}
}

/* Worn or locked flash reports success and changes nothing. */
static void flash_that_lies_is_noticed(void)
{
	unsigned changes = changes_of_a_life(4);

	for (unsigned at = 1; at <= changes; at++) {
		struct store s;
		int err = PROV_OK;

		make(4);
		board.deaf_at = at;
		CHECK(prov_store_mount(&s, &board.port, board.prov.identity.store_key) == PROV_OK, "mounting erased flash");
		unsigned done = live(&s, 0, &err);
		if (done == HISTORY_STEPS) { /* the operation erased an erased sector */
			struct content all = history_content(HISTORY_STEPS);
			CHECK(remount(&s) == PROV_OK && store_holds(&s, &all), "operation %u: success, and lost", at);
			continue;
		}
		CHECK(err == PROV_ERR_STORE_IO, "operation %u: %d", at, err);
		board.broken_rules = 0; /* the flash caused it: it did not erase */
		check_survivor(done, "lying operation", at);
	}
}

/* The firmware goes on after the error, without a reset. */
static void a_step_that_failed_can_be_tried_again_at_once(void)
{
	make(4);
	unsigned start = board.calls;
	(void)changes_of_a_life(4);
	unsigned calls = board.calls;

	for (unsigned at = start + 5u; at <= calls; at++) {
		struct content all = history_content(HISTORY_STEPS);
		struct store s;
		int err = PROV_OK;

		make(4);
		board.fail_at = at;
		if (prov_store_mount(&s, &board.port, board.prov.identity.store_key) != PROV_OK) {
			continue;
		}
		unsigned done = live(&s, 0, &err);
		CHECK(live(&s, done, &err) == HISTORY_STEPS, "call %u: again gives %d", at, err);
		CHECK(remount(&s) == PROV_OK && store_holds(&s, &all), "call %u: the end is another one", at);
	}
	board_stop(&board);
}

const struct test power_tests[] = {
	{ "power may go in any flash operation, torn in any way, for every write granule",
	  power_may_go_in_any_flash_operation },
	{ "power may go again while the first cut is repaired", power_may_go_twice },
	{ "a sealed store stays sealed and unwritten", a_sealed_store_is_sealed_after_any_cut_that_follows },
	{ "every call of the port may fail: named, and old or new", every_call_of_the_port_may_fail },
	{ "flash that reports success and did nothing is store-io", flash_that_lies_is_noticed },
	{ "a step that failed can be tried again without a reset", a_step_that_failed_can_be_tried_again_at_once },
	{ 0 },
};
