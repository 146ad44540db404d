/* SPDX-License-Identifier: Apache-2.0 */
/* A UART that splits, repeats, mixes and damages frames (PROTOCOL.md section 1). */
#include "frames.h"
#include "test.h"

#include <string.h>

static struct board board;
static uint8_t frame[8192], answer[PROV_BUF_SIZE];
static size_t frame_len;

/* Starts a board and makes the frame of an echo of `text` octets, with `per_line` octets on a line. */
static void start(size_t text, size_t per_line)
{
	uint8_t message[1024], body[1024] = "\xa1\x61" "d\x79";
	size_t n;

	board_make(&board);
	CHECK(board_start(&board) == PROV_OK, "starting");
	body[4] = (uint8_t)(text >> 8);
	body[5] = (uint8_t)text;
	memset(body + 6, 'e', text);
	n = message_write(message, 1, 2, 0, 0, body, text + 6u);
	frame_len = frame_write(message, n, per_line, frame, sizeof frame);
}

/* Number of answers that the board sent. It must have sent nothing else. */
static unsigned answers(void)
{
	unsigned count = 0;
	size_t used;

	for (size_t at = 0; at < board.sent_len; at += used, count++) {
		used = 0;
		if (frame_read(board.sent + at, board.sent_len - at, answer, &used) == 0) {
			CHECK(false, "something else than an answer was sent");
			break;
		}
	}
	board.sent_len = 0;
	return count;
}

static void line(const char *text)
{
	uart_send(&board, (const uint8_t *)text, strlen(text));
}

static void a_frame_may_arrive_split_anywhere(void)
{
	start(300, 93);
	for (size_t at = 0; at <= frame_len; at++) {
		uart_send(&board, frame, at);
		CHECK(at == frame_len || answers() == 0, "answered after %u octets", (unsigned)at);
		uart_send(&board, frame + at, frame_len - at);
		CHECK(answers() == 1, "split after %u octets", (unsigned)at);
	}
}

static void lines_may_be_short(void)
{
	for (size_t per_line = 2; per_line <= 93; per_line++) {
		start(300, per_line);
		uart_send(&board, frame, frame_len);
		CHECK(answers() == 1, "%u octets on a line", (unsigned)per_line);
		per_line += per_line > 8 ? 20u : 0u;
	}
}

static void console_text_may_stand_before_and_between(void)
{
	start(300, 93);
	const uint8_t *second = memchr(frame, '\n', frame_len);
	size_t first = (size_t)(second - frame) + 1u;

	line("boot: ok\r\n\x06 and \x04 and \x06\x06");
	uart_send(&board, frame, first);
	line("half a line ");
	uart_send(&board, frame + first, frame_len - first);
	CHECK(answers() == 1, "text between lines");
	line("\x06");
	uart_send(&board, frame, frame_len);
	CHECK(answers() == 1, "half a marker before a marker");
	line("\x04");
	uart_send(&board, frame, frame_len);
	CHECK(answers() == 1, "half a marker of the other kind before a marker");
}

static void carriage_returns_are_ignored(void)
{
	uint8_t with[8192];
	size_t n = 0;

	start(300, 93);
	for (size_t i = 0; i < frame_len; i++) {
		if (frame[i] == '\n') {
			with[n++] = '\r';
		}
		with[n++] = frame[i];
	}
	uart_send(&board, with, n);
	CHECK(answers() == 1, "CR LF");
}

static void a_frame_twice_is_two_questions(void)
{
	start(300, 93);
	uart_send(&board, frame, frame_len);
	uart_send(&board, frame, frame_len);
	CHECK(answers() == 2, "twice");
	uart_send(&board, frame, frame_len / 2);
	uart_send(&board, frame, frame_len);
	CHECK(answers() == 1, "half, then whole");
}

/* The board drops each damaged frame, or answers it as if it were whole. It always answers the next frame. */
static void damage_never_lasts(void)
{
	start(300, 93);
	for (size_t at = 0; at < frame_len; at++) {
		uint8_t kept = frame[at];
		for (unsigned kind = 0; kind < 3; kind++) {
			frame[at] = (uint8_t)(kind == 0 ? kept ^ 1u : kind == 1 ? 0x06u : (unsigned)'\n');
			uart_send(&board, frame, frame_len);
			CHECK(frame[at] == kept || answers() <= 1, "octet %u, damage %u", (unsigned)at, kind);
			board.sent_len = 0;
		}
		frame[at] = kept;
		uart_send(&board, frame, frame_len);
		CHECK(answers() == 1, "the frame after damage of octet %u", (unsigned)at);
	}
}

static void a_lost_octet_is_a_lost_frame(void)
{
	start(300, 93);
	for (size_t at = 0; at + 1u < frame_len; at++) {
		uart_send(&board, frame, at);
		uart_send(&board, frame + at + 1, frame_len - at - 1u);
		CHECK(answers() == 0, "octet %u is lost, and an answer came", (unsigned)at);
		uart_send(&board, frame, frame_len);
		CHECK(answers() == 1, "the frame after octet %u was lost", (unsigned)at);
	}
}

static void a_line_without_an_end_is_dropped(void)
{
	start(20, 93);
	line("\x06\x09");
	for (unsigned i = 0; i < 100000; i++) {
		line("AAAA");
	}
	CHECK(answers() == 0, "answered");
	uart_send(&board, frame, frame_len);
	CHECK(answers() == 1, "the frame after it");
}

static void continuations_without_end_are_dropped(void)
{
	start(20, 93);
	line("\x06\x09//8=\n");
	for (unsigned i = 0; i < 100; i++) {
		line("\x04\x14QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB\n");
	}
	line("\x06\x09" "BwAA\n"); /* announces 1792 octets: they fit, but the lines never end exactly there */
	for (unsigned i = 0; i < 200; i++) {
		line("\x04\x14QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB\n");
	}
	CHECK(answers() == 0, "answered");
	uart_send(&board, frame, frame_len);
	CHECK(answers() == 1, "the frame after it");
}

/* The board goes on when it cannot send. */
static void an_answer_that_cannot_be_sent_is_given_again(void)
{
	start(20, 93);
	board.fail_at = board.calls + 1u;
	uart_send(&board, frame, frame_len);
	CHECK(board.sent_len == 0, "sent");
	uart_send(&board, frame, frame_len);
	CHECK(answers() == 1, "again");
	board_stop(&board);
}

const struct test uart_tests[] = {
	{ "a frame may arrive split after any octet", a_frame_may_arrive_split_anywhere },
	{ "lines may have any length", lines_may_be_short },
	{ "console text may stand before and between lines", console_text_may_stand_before_and_between },
	{ "carriage returns are ignored", carriage_returns_are_ignored },
	{ "a frame twice is two questions, half a frame none", a_frame_twice_is_two_questions },
	{ "damage never lasts past the next frame", damage_never_lasts },
	{ "a lost octet is a lost frame, and only that", a_lost_octet_is_a_lost_frame },
	{ "a line without an end is dropped", a_line_without_an_end_is_dropped },
	{ "continuations without an end are dropped", continuations_without_end_are_dropped },
	{ "an answer that cannot be sent is given again when asked again",
	  an_answer_that_cannot_be_sent_is_given_again },
	{ 0 },
};
