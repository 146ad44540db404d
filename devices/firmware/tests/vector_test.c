/* SPDX-License-Identifier: Apache-2.0 */
/* The vectors that the station's codec reads, too. */
#include "frames.h"
#include "test.h"
#include "vectors.h"

#include <string.h>

static struct board board;

static void start(void)
{
	board_make(&board);
	CHECK(board_start(&board) == PROV_OK, "starting");
}

static bool dropped(const struct vector *v)
{
	return strcmp(v->expect, "ok") != 0;
}

/* The last message that the core took out of frames. Its answer takes its place in the core, so the linker (--wrap) calls this function first. */
static uint8_t heard[SMP_MESSAGE_MAX];
static size_t heard_len;

void __real_prov_smp_message(struct prov *prov, const uint8_t *m, size_t len);
void __wrap_prov_smp_message(struct prov *prov, const uint8_t *m, size_t len);

void __wrap_prov_smp_message(struct prov *prov, const uint8_t *m, size_t len)
{
	memcpy(heard, m, len);
	heard_len = len;
	__real_prov_smp_message(prov, m, len);
}

/* The core handled exactly this message, and the frame is finished. */
static void check_frame(const struct vector *v, size_t piece)
{
	struct smp *smp = &board.prov.smp;

	memset(smp, 0, sizeof *smp);
	board.sent_len = heard_len = 0;
	for (size_t at = 0; at < v->line_len; at += piece) {
		uart_send(&board, v->line + at, v->line_len - at < piece ? v->line_len - at : piece);
	}
	if (dropped(v)) {
		CHECK(board.sent_len == 0, "%s is answered", v->name);
		CHECK(smp->open == (strcmp(v->expect, "incomplete") == 0), "%s: %s", v->name, v->expect);
		return;
	}
	CHECK(!smp->open && heard_len == v->message_len && memcmp(heard, v->message, v->message_len) == 0,
	      "%s: another message came out", v->name);
}

static void check_frame_in_pieces(const struct vector *v)
{
	static const size_t pieces[] = { 1, 7, sizeof v->line };

	for (unsigned i = 0; i < sizeof pieces / sizeof *pieces; i++) {
		check_frame(v, pieces[i]);
	}
}

static void frames_are_what_the_vectors_say(void)
{
	start();
	unsigned count = vectors_each("frame-", check_frame_in_pieces);
	CHECK(count >= 25, "%u vectors", count);
	count = vectors_each("re", check_frame_in_pieces);
	CHECK(count >= 50, "%u vectors of requests and responses", count);
}

/* The name of an answer, as the header `refusal` writes it. */
static const char *name_of(const uint8_t *body, size_t len)
{
	static const char *const names[] = { "ok", "internal", "bad-map", "too-long", "out-of-order", "bad-hash",
					     "bad-slot", "sealed", "no-huk", "no-entropy", "foreign-key", "untrusted",
					     "bad-certificate", "store-io", "store-full", "empty", "tls-state", "crypto",
					     "no-anchor", "no-network", "tls-busy" };

	if (len == 5 && memcmp(body, "\xa1\x62rc", 4) == 0) {
		return body[4] == 3 ? "rc3" : body[4] == 8 ? "rc8" : "another rc";
	}
	if (len != 18 || memcmp(body, "\xa1\x63" "err\xa2\x65group\x18\x40\x62rc", 17) != 0) {
		return "ok";
	}
	return body[17] < sizeof names / sizeof *names ? names[body[17]] : "a refusal without a name";
}

static bool among(const char *name, const char *list)
{
	const char *at = strstr(list, name);
	size_t len = strlen(name);

	return at != NULL && (at == list || at[-1] == '|') && (at[len] == '\0' || at[len] == '|');
}

static void check_request(const struct vector *v)
{
	uint8_t answer[PROV_BUF_SIZE];
	size_t used = 0;

	start();
	uart_send(&board, v->line, v->line_len);
	size_t n = frame_read(board.sent, board.sent_len, answer, &used);
	if (!CHECK(n >= SMP_HEADER_SIZE && used == board.sent_len, "%s: %u octets of answer", v->name, (unsigned)n)) {
		return;
	}
	const char *name = name_of(answer + SMP_HEADER_SIZE, n - SMP_HEADER_SIZE);
	CHECK(v->refusal[0] == '\0' || among(name, v->refusal), "%s: %s, want %s",
	      v->name, name, v->refusal);
	CHECK(answer[0] == (v->message[0] | 1u) && memcmp(answer + 4, v->message + 4, 4) == 0, "%s: header", v->name);
	CHECK(board.changes == 0 || strcmp(v->name, "request-seal.txt") == 0, "%s changed flash", v->name);
	CHECK((board.reboots == 1) == (strcmp(v->name, "request-reset.txt") == 0), "%s: resets", v->name);
}

static void requests_get_the_answers_of_the_vectors(void)
{
	unsigned count = vectors_each("request-", check_request);

	CHECK(count >= 38, "%u vectors", count);
	board_stop(&board);
}

static void check_response(const struct vector *v)
{
	start();
	uart_send(&board, v->line, v->line_len);
	CHECK(board.sent_len == 0, "%s is answered", v->name);
}

/* A board that receives its own answers, or those of another board, must not answer them. */
static void responses_are_not_answered(void)
{
	CHECK(vectors_each("response-", check_response) >= 15, "vectors are missing");
	board_stop(&board);
}

const struct test vector_tests[] = {
	{ "each frame gives what its vector says, in pieces of any size", frames_are_what_the_vectors_say },
	{ "each request is answered as its vector says", requests_get_the_answers_of_the_vectors },
	{ "responses are not answered", responses_are_not_answered },
	{ 0 },
};
