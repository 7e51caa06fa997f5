/* SPDX-License-Identifier: MIT */
/* Of sensors, for those that answer about them. Only where there is a cluster. Threads: one a question. */
#ifndef FC_SERVE_MANY_H
#define FC_SERVE_MANY_H

#include "serve/ask.h"

struct fc_inquiry_sensor;

/* The sensor that the parameter names, which can be asked, and has an index in the engine. NULL: the error is there. */
const struct fc_inquiry_sensor *fc_ask_sensor(struct fc_ask *ask);

/* 32 hex digits, as an index has its uuid. */
void fc_hex_uuid(const uint8_t uuid[16], char text[33]);

#endif
