/* SPDX-License-Identifier: Apache-2.0 */
/* The station's end of the UART (PROTOCOL.md section 1), implemented without the core's code. */
#ifndef FRAMES_H
#define FRAMES_H

#include "board.h"

/* Writes header and body as lines. Returns the number of octets in out. `per_line`: octets before base64, at most 93. */
size_t frame_write(const uint8_t *message, size_t len, size_t per_line, uint8_t *out, size_t size);

/* Reads the first message in `in`. Returns its length, or 0 if there is none. *used: octets up to its end. */
size_t frame_read(const uint8_t *in, size_t in_len, uint8_t *message, size_t *used);

/* Gives octets to the board. They end at the end of their memory, so that a read beyond them is detected. */
void uart_send(struct board *b, const uint8_t *octets, size_t len);

/* Sends one request. Returns the length of the one answer in `answer`, or 0 if the board did not answer. */
size_t uart_ask(struct board *b, const uint8_t *request, size_t len, uint8_t answer[PROV_BUF_SIZE]);

/* Writes a request's message: header and body. */
size_t message_write(uint8_t *out, unsigned version, unsigned op, unsigned group, unsigned command, const void *body,
		     size_t len);

#endif
