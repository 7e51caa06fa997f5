/* SPDX-License-Identifier: MIT */
/* What became of a session (docs/sessions.md has the table of states and events). Threads: any. */
#ifndef FLOWCARVE_STATE_H
#define FLOWCARVE_STATE_H

#ifdef __cplusplus
extern "C" {
#endif

enum fc_state { FC_STATE_NEW = 0, FC_STATE_ESTABLISHED, FC_STATE_CLOSED, FC_STATE_RESET, FC_STATE_MIDSTREAM };

/* "new", "established", "closed", "reset", "midstream"; NULL: there is no such state. Static string. */
const char *fc_state_name(int state);

#ifdef __cplusplus
}
#endif
#endif
