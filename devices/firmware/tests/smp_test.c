/* SPDX-License-Identifier: Apache-2.0 */
/* Headers, errors and the OS group (PROTOCOL.md sections 2 and 3). */
#include "frames.h"
#include "test.h"

#include <string.h>

enum { READ_OP = 0, WRITE_OP = 2 };

static struct board board;
static uint8_t answer[PROV_BUF_SIZE];

static void start(void)
{
	board_make(&board);
	CHECK(board_start(&board) == PROV_OK, "starting");
}

/* Returns the body of the answer, and checks its header against the request's. */
static size_t ask(unsigned version, unsigned op, unsigned group, unsigned command, const void *body, size_t len)
{
	uint8_t request[PROV_BUF_SIZE];
	size_t n = message_write(request, version, op, group, command, body, len);

	n = uart_ask(&board, request, n, answer);
	if (!CHECK(n >= SMP_HEADER_SIZE, "no answer to group %u command %u", group, command)) {
		return 0;
	}
	CHECK(answer[0] == (version << 3 | (op + 1u)) && answer[1] == 0 && memcmp(answer + 4, request + 4, 4) == 0,
	      "group %u command %u: header", group, command);
	CHECK(((size_t)answer[2] << 8 | answer[3]) == n - SMP_HEADER_SIZE, "group %u command %u: length", group, command);
	return n - SMP_HEADER_SIZE;
}

static bool answered(size_t len, const char *want, size_t want_len)
{
	return len == want_len && memcmp(answer + SMP_HEADER_SIZE, want, len) == 0;
}

#define IS(len, text) answered(len, text, sizeof text - 1u)

static void echo_gives_back_what_it_got(void)
{
	start();
	size_t n = ask(1, WRITE_OP, 0, 0, "\xa1\x61" "d\x65hello", 9);
	CHECK(IS(n, "\xa1\x61r\x65hello"), "another echo");
	n = ask(1, WRITE_OP, 0, 0, "\xa1\x61" "d\x60", 4);
	CHECK(IS(n, "\xa1\x61r\x60"), "another empty echo");
	n = ask(0, WRITE_OP, 0, 0, "\xa1\x61" "d\x61" "1", 5);
	CHECK(IS(n, "\xa1\x61r\x61" "1"), "another echo in version 1 of SMP");
}

static void the_longest_echo_fits(void)
{
	uint8_t body[1100] = "\xa1\x61" "d\x79\x04\x00";

	start();
	memset(body + 6, 'x', 1025);
	size_t n = ask(1, WRITE_OP, 0, 0, body, 6 + 1024);
	CHECK(n == 6 + 1024 && memcmp(answer + SMP_HEADER_SIZE + 6, body + 6, 1024) == 0, "1024 octets: %u", (unsigned)n);
	body[5] = 1;
	n = ask(1, WRITE_OP, 0, 0, body, 6 + 1025);
	CHECK(IS(n, "\xa1\x62rc\x03"), "1025 octets");
}

static void parameters_say_the_buffer(void)
{
	start();
	size_t n = ask(1, READ_OP, 0, 6, "\xa0", 1);
	CHECK(IS(n, "\xa2\x68" "buf_size\x19\x08\x00\x69" "buf_count\x01"), "other parameters");
	n = ask(1, READ_OP, 0, 6, "", 0);
	CHECK(n > 20, "without a body");
}

static void info_names_version_and_board(void)
{
	start();
	size_t n = ask(1, READ_OP, 0, 7, "\xa0", 1);
	CHECK(IS(n, "\xa1\x66output\x72Hallmark 1.2.3 ram"), "another text");
	n = ask(1, READ_OP, 0, 7, "\xa1\x66" "format\x61" "a", 10);
	CHECK(n > 20, "with a format");
}

static void reset_restarts_after_the_answer(void)
{
	start();
	size_t n = ask(1, WRITE_OP, 0, 5, "\xa0", 1);
	CHECK(IS(n, "\xa0") && board.reboots == 1, "%u resets", board.reboots);
	n = ask(1, WRITE_OP, 0, 5, "\xa1\x61x\x01", 4);
	CHECK(IS(n, "\xa1\x62rc\x03") && board.reboots == 1, "a reset that was refused took place");
	n = ask(1, READ_OP, 0, 5, "\xa0", 1);
	CHECK(IS(n, "\xa1\x62rc\x08") && board.reboots == 1, "a reset that was read took place");
}

static void bodies_of_the_os_group_are_strict(void)
{
	static const struct {
		unsigned op, command;
	} rows[] = { { WRITE_OP, 0 }, { WRITE_OP, 5 }, { READ_OP, 6 }, { READ_OP, 7 } };

	start();
	for (unsigned i = 0; i < 4; i++) {
		size_t n = ask(1, rows[i].op, 0, rows[i].command, "\xa1\x61z\x01", 4);
		CHECK(IS(n, "\xa1\x62rc\x03"), "an unknown key in command %u", rows[i].command);
		n = ask(1, rows[i].op, 0, rows[i].command, "\xa0\xa0", 2);
		CHECK(IS(n, "\xa1\x62rc\x03"), "two maps in command %u", rows[i].command);
	}
}

static void what_is_unknown_is_rc_8(void)
{
	static const struct {
		unsigned op, group, command;
	} rows[] = { { READ_OP, 0, 1 }, { READ_OP, 0, 0 },   { READ_OP, 1, 0 },	  { READ_OP, 63, 0 },   { READ_OP, 64, 6 },
		     { READ_OP, 64, 255 }, { WRITE_OP, 64, 0 }, { READ_OP, 64, 5 }, { READ_OP, 0x4000, 0 } };

	start();
	for (unsigned version = 0; version < 2; version++) {
		for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
			size_t n = ask(version, rows[i].op, rows[i].group, rows[i].command, "\xa0", 1);
			CHECK(IS(n, "\xa1\x62rc\x08"), "group %u command %u", rows[i].group, rows[i].command);
		}
	}
	CHECK(board.changes == 0 && !prov_store_sealed(&board.prov.store), "something was done");
}

static void refusals_of_the_group_have_two_forms(void)
{
	start();
	size_t n = ask(1, READ_OP, 64, 3, "\xa2\x61s\x02\x61o\x00", 7);
	CHECK(IS(n, "\xa1\x63" "err\xa2\x65group\x18\x40\x62rc\x0f"), "version 2 of SMP");
	n = ask(0, READ_OP, 64, 3, "\xa2\x61s\x02\x61o\x00", 7);
	CHECK(IS(n, "\xa1\x62rc\x0f"), "version 1 of SMP");
}

static void what_is_no_request_is_not_answered(void)
{
	uint8_t request[64];

	start();
	for (unsigned op = 0; op < 8; op++) {
		for (unsigned version = 0; version < 4; version++) {
			size_t n = message_write(request, version, op, 64, 0, "\xa0", 1);
			bool is_request = version < 2 && (op == READ_OP || op == WRITE_OP);
			n = uart_ask(&board, request, n, answer);
			CHECK((n > 0) == is_request, "version %u op %u: %u octets", version, op, (unsigned)n);
		}
	}
}

static void a_wrong_length_in_the_header_is_not_answered(void)
{
	uint8_t request[64];

	start();
	for (unsigned said = 0; said < 4; said++) {
		size_t n = message_write(request, 1, READ_OP, 64, 0, "\xa0", 1);
		request[3] = (uint8_t)said;
		CHECK((uart_ask(&board, request, n, answer) > 0) == (said == 1), "%u octets announced", said);
	}
	for (size_t len = 0; len < SMP_HEADER_SIZE; len++) {
		(void)message_write(request, 1, READ_OP, 64, 0, "", 0);
		CHECK(uart_ask(&board, request, len, answer) == 0, "a header of %u octets", (unsigned)len);
	}
}

static void a_message_larger_than_the_buffer_is_dropped(void)
{
	uint8_t request[4096] = { 0 }, body[4096];

	start();
	memset(body, 'x', sizeof body);
	for (size_t len = SMP_MESSAGE_MAX - SMP_HEADER_SIZE - 2u; len < 3000; len += len < 2100 ? 1u : 93u) {
		size_t n = message_write(request, 1, WRITE_OP, 0, 0, body, len);
		bool fits = n <= SMP_MESSAGE_MAX;
		CHECK((uart_ask(&board, request, n, answer) > 0) == fits, "a message of %u octets", (unsigned)n);
	}
	size_t n = ask(1, WRITE_OP, 0, 0, "\xa1\x61" "d\x61" "1", 5);
	CHECK(IS(n, "\xa1\x61r\x61" "1"), "the next message");
	board_stop(&board);
}

const struct test smp_tests[] = {
	{ "echo gives back what it got", echo_gives_back_what_it_got },
	{ "the longest echo fits, one octet more is rc 3", the_longest_echo_fits },
	{ "the parameters say the size of the buffer", parameters_say_the_buffer },
	{ "info names the version and the board", info_names_version_and_board },
	{ "reset restarts once, after the answer", reset_restarts_after_the_answer },
	{ "bodies of the OS group are strict", bodies_of_the_os_group_are_strict },
	{ "an unknown group or command is rc 8", what_is_unknown_is_rc_8 },
	{ "refusals of the group name it in version 2 of SMP", refusals_of_the_group_have_two_forms },
	{ "what is no request is not answered", what_is_no_request_is_not_answered },
	{ "a wrong length in the header is not answered", a_wrong_length_in_the_header_is_not_answered },
	{ "a message larger than the buffer is dropped", a_message_larger_than_the_buffer_is_dropped },
	{ 0 },
};
