/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of PROTOCOL.md section 4, as a station writes them. */
#ifndef REQUESTS_H
#define REQUESTS_H

#include "board.h"

enum command { HELLO, CSR, WRITE, READ, TLS, SEAL, NET, RECEIPT, UPDATE };

struct write_request {
	unsigned slot;
	size_t offset, total;
	const uint8_t *whole; /* the octets whose hash is `h`; NULL: no `h`, as in version 2 */
	const uint8_t *data;
	size_t len;
	bool commit;
	bool wrong_hash;
};

int ask_write(struct board *b, const struct write_request *w);
int ask_read(struct board *b, unsigned slot, unsigned offset);
int ask_seal(struct board *b);
int ask_hello(struct board *b);
int ask_csr(struct board *b, const char *o, const char *ou); /* without `p` */
int ask_csr_for(struct board *b, uint32_t purpose, const char *o, const char *ou);
int ask_tls(struct board *b, uint32_t q, const char *server_name, const uint8_t *in, size_t in_len);
int ask_tls_close(struct board *b, uint32_t q);
int ask_net(struct board *b, const char *address, uint32_t port, const char *server_name); /* with the chain */
int ask_net_again(struct board *b, uint32_t q);
int ask_net_close(struct board *b, uint32_t q);

/* Sends a piece of an update; `total` is sent with offset 0. */
int ask_update(struct board *b, size_t offset, size_t total, const uint8_t *data, size_t len, bool commit);

/* Sends a request with this body. */
int ask_raw(struct board *b, uint8_t command, const void *body, size_t len);

/* Reads a key of the last answer. False: the answer has no such key. octets points into the answer. */
bool answer_number(const struct board *b, const char *key, int64_t *value);
bool answer_octets(const struct board *b, const char *key, const uint8_t **octets, size_t *len);

extern const uint8_t test_nonce[NONCE_SIZE];

#endif
