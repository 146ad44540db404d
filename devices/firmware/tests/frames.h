/* SPDX-License-Identifier: Apache-2.0 */
/* The station's end of the line, PROTOCOL.md section 1: another implementation than the core's. */
#ifndef FRAMES_H
#define FRAMES_H

#include "board.h"

/* Header and body as lines; the number of octets in out. `per_line`: octets before base64, at most 93. */
size_t frame_write(const uint8_t *message, size_t len, size_t per_line, uint8_t *out, size_t size);

/* The first message in `in`: its length, or 0 if there is none. *used is how far it reaches. */
size_t frame_read(const uint8_t *in, size_t in_len, uint8_t *message, size_t *used);

/* Gives the board octets from memory that ends with them. */
void uart_send(struct board *b, const uint8_t *octets, size_t len);

/* Sends one request; the length of the one answer in `answer`, or 0 if the board was silent. */
size_t uart_ask(struct board *b, const uint8_t *request, size_t len, uint8_t answer[PROV_BUF_SIZE]);

/* A request's message: header and body. */
size_t message_write(uint8_t *out, unsigned version, unsigned op, unsigned group, unsigned command, const void *body,
		     size_t len);

#endif
