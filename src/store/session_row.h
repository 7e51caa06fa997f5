/* SPDX-License-Identifier: MIT */
/*
 * Rows of `session`, `session_fields`, `open_session` and `open_batch` as SQLite records; the same that the INSERTs
 * store.
 */
#ifndef FC_STORE_SESSION_ROW_H
#define FC_STORE_SESSION_ROW_H

#include "store/record.h"
#include "store/sqlite_record.h"

/* The optional fields of a session, all empty when it has none. */
const struct fc_extra *fc_record_extra(const struct fc_session_record *record);

/* Whether it has one of direction d that the index holds, of a column that has directions. */
#define FC_EXTRA_HAS(extra, fields, column, FIELD, d) (((fields)&FC_FIELD_##FIELD) && ((extra)->has_##column >> (d)&1))

/* Its columns of text, "" for NULL; ids of VLANs and labels as "10,20". */
enum { FC_VLAN_TEXT = FC_VLAN_MAX * 8, FC_MPLS_TEXT = FC_MPLS_MAX * 12 };
struct fc_field_texts {
    char vlan[FC_VLAN_TEXT], mpls[FC_MPLS_TEXT], tunnel[FC_TUNNEL_TEXT];
    const char *community_id;
};
/* community: the Community ID, or NULL. */
void fc_field_texts(struct fc_field_texts *texts, const struct fc_session_record *record, const char *community);

/* The row of a session, and of its optional fields; fields: FC_FIELD_* that are stored. FC_E_NOMEM. */
int fc_session_row(struct fc_row *row, const struct fc_session_record *record);
int fc_session_fields_row(struct fc_row *row, const struct fc_session_record *record, uint32_t fields,
                          const char *community);

/* A row of session_positions, and its entries in the two indexes: by session, or with session 0 by file. FC_E_NOMEM. */
int fc_piece_row(struct fc_row *row, int64_t session, uint32_t file, const void *blob, size_t len);
int fc_piece_entry(struct fc_row *row, int64_t session, uint32_t file, int64_t id);

/* A row of an id and a blob. FC_E_NOMEM. */
int fc_blob_row(struct fc_row *row, const void *blob, size_t len);

/* The row of a batch of open sessions; expiry_ns: FC_NEVER: none. FC_E_NOMEM. */
int fc_open_batch_row(struct fc_row *row, uint32_t entries, int64_t expiry_ns, const void *tags, size_t len);

/* duration_ns of a session that has times. */
int64_t fc_session_duration_ns(const struct fc_session_sum *session);

#endif
