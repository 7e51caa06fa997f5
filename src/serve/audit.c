/* SPDX-License-Identifier: MIT */
#include "serve/audit.h"
#include "base/error.h"
#include "serve/json.h"

#include <errno.h>
#include <fcntl.h>
#include <flowcarve/value.h>
#include <time.h>
#include <unistd.h>

int fc_audit_open(struct fc_audit *audit, const char *path, struct fc_error *err)
{
    audit->fd = -1;
    if (!path)
        return 0;
    audit->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);
    return audit->fd < 0 ? fc_error_errno(err, FC_E_IO, path, FC_NO_OFFSET, "cannot write the audit log") : 0;
}

bool fc_audit_write(const struct fc_audit *audit, const struct fc_audit_line *line)
{
    struct fc_json j = {0};
    struct timespec now;
    char buf[FC_TEXT_MAX];

    if (audit->fd < 0)
        return true;
    clock_gettime(CLOCK_REALTIME, &now);
    fc_json_mark(&j, '{');
    fc_json_key(&j, "time");
    fc_json_plain(&j, buf, fc_text_time(buf, (int64_t)now.tv_sec * 1000000000 + now.tv_nsec));
    fc_json_put_text(&j, "event", line->end ? "end" : "begin");
    fc_json_put_number(&j, "request", line->number);
    fc_json_put_text(&j, "who", line->who);
    fc_json_put_text(&j, "from", line->from);
    fc_json_put_text(&j, "target", line->target);
    if (line->end) {
        fc_json_put_number(&j, "status", (uint64_t)line->status);
        fc_json_put_number(&j, "bytes", line->bytes);
        if (line->ids) {
            fc_json_put_number(&j, "ids", line->ids);
            fc_json_put_text(&j, "list", line->list);
        }
        fc_json_put_number(&j, "sessions", line->sessions);
        fc_json_put_number(&j, "packets", line->packets);
        fc_json_put_text(&j, "how", line->how);
    }
    fc_json_mark(&j, '}');
    fc_json_line(&j);
    /* one call: lines of several threads are not mixed */
    bool written = !j.failed && write(audit->fd, j.text, j.len) == (ssize_t)j.len;
    fc_json_fini(&j);
    return written;
}

void fc_audit_close(struct fc_audit *audit)
{
    if (audit->fd >= 0)
        close(audit->fd);
    audit->fd = -1;
}
