/* SPDX-License-Identifier: MIT */
/* All of libflowcarve. */
#ifndef FLOWCARVE_FLOWCARVE_H
#define FLOWCARVE_FLOWCARVE_H

#include <flowcarve/capture.h>
#include <flowcarve/carve.h>
#include <flowcarve/cluster.h>
#include <flowcarve/cluster_carve.h>
#include <flowcarve/cluster_query.h>
#include <flowcarve/columns.h>
#include <flowcarve/complete.h>
#include <flowcarve/db.h>
#include <flowcarve/decode.h>
#include <flowcarve/error.h>
#include <flowcarve/fields.h>
#include <flowcarve/files.h>
#include <flowcarve/histogram.h>
#include <flowcarve/index.h>
#include <flowcarve/layers.h>
#include <flowcarve/live.h>
#include <flowcarve/log.h>
#include <flowcarve/look.h>
#include <flowcarve/loss.h>
#include <flowcarve/newfile.h>
#include <flowcarve/packets.h>
#include <flowcarve/progress.h>
#include <flowcarve/query.h>
#include <flowcarve/recorder.h>
#include <flowcarve/retain.h>
#include <flowcarve/serve.h>
#include <flowcarve/state.h>
#include <flowcarve/status.h>
#include <flowcarve/stream.h>
#include <flowcarve/summary.h>
#include <flowcarve/tap.h>
#include <flowcarve/text.h>
#include <flowcarve/top.h>
#include <flowcarve/value.h>
#include <flowcarve/verify.h>

#endif
