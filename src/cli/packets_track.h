/* SPDX-License-Identifier: MIT */
/*
 * What a packet is in its session: seconds since the first one shown, sequence numbers from those that the session
 * began with. Rules of the latter, those of Wireshark: a direction counts from the number of its SYN; without one from
 * the byte in front of its first segment, or of what the other end acknowledges before that; another SYN begins anew.
 *
 * Threads: one. Memory: 24 bytes a session.
 */
#ifndef FC_CLI_PACKETS_TRACK_H
#define FC_CLI_PACKETS_TRACK_H

#include <flowcarve/packets.h>

struct fc_track {
    int64_t first_ns; /* of the first packet shown */
    uint32_t base[2]; /* FC_FROM_*: the number that counts as 0 */
    bool has_base[2];
    bool has_first;
};

/* Numbers as they are shown: the difference to their base, modulo 2^32. */
struct fc_relative {
    uint32_t seq, ack;
    bool has_seq, has_ack;
};

/*
 * Takes note of a packet, whether it is shown or not, in the order of packets; *relative has no numbers where it is not
 * of TCP.
 */
void fc_track_packet(struct fc_track *track, const struct fc_session_packet *packet, struct fc_relative *relative);

/*
 * Takes note of a packet that is shown. False: it has no time, or none before had; else *ns since the first of these.
 */
bool fc_track_shown(struct fc_track *track, int64_t ts_ns, int64_t *ns);

#endif
