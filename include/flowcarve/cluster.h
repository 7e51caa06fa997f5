/* SPDX-License-Identifier: MIT */
/*
 * Many sensors, one question: what is known of sessions goes into an engine (ClickHouse), packets stay where they were
 * captured.
 *
 * Threads: one at a time for a handle. Memory: each function says who frees what.
 */
#ifndef FLOWCARVE_CLUSTER_H
#define FLOWCARVE_CLUSTER_H

#include <flowcarve/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- the file that says who takes part */

/*
 * An INI file:
 *
 *     [engine]
 *     url = http://ch.example:8123/flowcarve     the path is the database
 *     user = analyst
 *     password-file = engine.pw                  relative names are relative to the folder of this file
 *     ca = ca.pem                                who may have signed the engine's certificate
 *
 *     [sensors]                                  what holds for all of them: ca, cert, key, token-file
 *     ca = ca.pem
 *     cert = analyst.pem
 *     key = analyst.key
 *
 *     [sensor nyc1]
 *     url = https://nyc1.example:8484
 *
 * Lines that begin with # or ; are comments. A key that is unknown or comes twice is an error that names the line.
 */
struct fc_cluster;

/*
 * Reads it. On success *out must go to fc_cluster_free(). Nobody is asked yet. FC_E_IO; FC_E_USAGE: err names file, line and cause;
 * also for a file with a password or a token that others may read. FC_E_NOMEM.
 */
int fc_cluster_read(const char *path, struct fc_cluster **out, struct fc_error *err);
void fc_cluster_free(struct fc_cluster *cluster);

/* Number of sensors that the file names, and the name of one of them; in the order of the file. */
size_t fc_cluster_sensors(const struct fc_cluster *cluster);
const char *fc_cluster_sensor_name(const struct fc_cluster *cluster, size_t number);

/* True for what may be a sensor's name: 1 to 63 letters, digits, '.', '_' and '-', the first one a letter or a digit. */
bool fc_is_sensor_name(const char *name);

#ifdef __cplusplus
}
#endif
#endif
