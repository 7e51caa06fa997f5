#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Installs the Debian package that BUILD-FOLDER holds on this system, uses it, and takes it off again. Root alone can do that.
# Usage: package.sh BUILD-FOLDER. The last line says how many checks passed and failed.
set -uo pipefail
build=$(readlink -f "$1")
packages=("$build"/flowcarve_*.deb)
deb=${packages[0]}
python=$(echo "$build"/python3-flowcarve_*.deb)
passed=0 failed=0
dir=$(mktemp -d)
trap 'dpkg --purge python3-flowcarve flowcarve >/dev/null 2>&1; rm -rf "$dir"' EXIT
export LC_ALL=C.UTF-8
unset FLOWCARVE_DB
cd "$dir" || exit 1
exec 9</var/lib/dpkg && flock 9 # one at a time on a system

# check WHAT COMMAND...: counts whether the command succeeds
check() {
    local what=$1
    shift
    if "$@" >"$dir/said" 2>&1; then
        passed=$((passed + 1))
        printf 'ok: %s\n' "$what"
    else
        failed=$((failed + 1))
        printf 'FAILED: %s\n' "$what"
        sed 's/^/    /' "$dir/said"
    fi
}

# Of the paths of the package those that are there; with -d folders alone, with -f all else.
present() {
    dpkg-deb --fsys-tarfile "$deb" | tar -t | sed 's|^\./|/|; s|/$||' | while read -r path; do
        [ -n "$path" ] || continue
        if [ -d "$path" ] && [ ! -L "$path" ]; then
            [ "$1" = -d ] && printf '%s\n' "$path"
        elif [ -e "$path" ] || [ -L "$path" ]; then
            [ "$1" = -f ] && printf '%s\n' "$path"
        fi
    done
}

holds() { # holds PATTERN...: the package has such files
    local list
    list=$(dpkg-deb --fsys-tarfile "$deb" | tar -t)
    for pattern in "$@"; do
        grep -qE "/$pattern\$" <<<"$list" || { echo "no $pattern" && return 1; }
    done
}

depends() {
    local list
    list=$(dpkg-deb -f "$deb" Depends)
    echo "$list"
    for name in libc6 libpcap0 libsqlite3-0 liburcu liblz4 libzstd liblzma zlib1g libmicrohttpd libgnutls libcurl; do
        grep -qE "(^|, )$name" <<<"$list" || return 1
    done
}

asks() {
    "$build/bench/fcgen" -q -w day.pcap --sessions 50 && /usr/bin/flowcarve index -q day.pcap &&
        [ "$(/usr/bin/flowcarve query --count)" -gt 20 ] && /usr/bin/flowcarve carve -q tcp -w tcp.pcap && [ -s tcp.pcap ] &&
        /usr/bin/flowcarve index -q -d filtered.db --filter tcp day.pcap # by way of libpcap
}

compiles() {
    cat >version.c <<'C'
#include <flowcarve/flowcarve.h>
#include <stdio.h>
int main(void) { struct fc_db *db = NULL; int rc = fc_db_open("flowcarve.db", &db, NULL); fc_db_close(db); return rc; }
C
    local flags
    # with no other package's file at hand, as where nothing else is installed
    mkdir alone && cp "$(dpkg -L flowcarve | grep '\.pc$')" alone && PKG_CONFIG_LIBDIR=alone pkg-config --cflags --libs flowcarve &&
        flags=$(pkg-config --cflags --libs flowcarve) && cc version.c $flags -o version && ./version &&
        ldd version >libraries && grep -q 'libflowcarve.so.0 => /' libraries &&
        flags=$(pkg-config --static --cflags --libs flowcarve | sed 's/-lflowcarve/-l:libflowcarve.a/') && cc version.c $flags -o static &&
        ./static && ldd static >libraries && ! grep -q libflowcarve libraries
}

completes() {
    bash -c 'compopt() { :; }; source /usr/share/bash-completion/completions/flowcarve
        COMP_WORDS=(flowcarve query --format js) COMP_CWORD=3; _flowcarve; [ "${COMPREPLY[*]}" = json ]'
}

wireshark() {
    if ! command -v tshark >/dev/null; then
        echo "tshark is not installed"
        return 0
    fi
    tshark -D 2>/dev/null | grep 'Sessions of a flowcarve index' &&
        [ "$(tshark -n -i flowcarve -o "extcap.flowcarve.db:$dir/flowcarve.db" -f tcp -T fields -e ip.proto -e ipv6.nxt 2>/dev/null | wc -l)" = \
            "$(tcpdump -nr tcp.pcap 2>/dev/null | wc -l)" ]
}

# services are there for who wants them: none is enabled, their user is
serves() {
    for unit in watch capture; do
        grep -q "^ExecStart=/usr/bin/flowcarve $unit " "/usr/lib/systemd/system/flowcarve-$unit@.service" || return 1
    done
    [ "$(getent passwd flowcarve | cut -d: -f6,7)" = /var/lib/flowcarve:/usr/sbin/nologin ] &&
        [ -z "$(find /etc/systemd /run/systemd -name 'flowcarve*' 2>/dev/null)" ] && [ ! -e /var/lib/flowcarve ]
}

# In a folder of its own, as Python looks in that first.
in_python() {
    /usr/bin/python3 - <<'PYTHON'
import flowcarve
assert flowcarve.__file__.startswith("/usr/lib/python3/dist-packages/"), flowcarve.__file__
with flowcarve.open("flowcarve.db") as index:
    assert index.count() == len(list(index.query())) > 20
    assert sum(len(list(s.packets())) for s in index.query("tcp")) == len(list(flowcarve.Capture("tcp.pcap")))
PYTHON
}

if dpkg-query -W -f='${Status}' flowcarve 2>/dev/null | grep -q 'ok installed'; then
    echo "flowcarve is installed here; this test would take it off"
    trap 'rm -rf "$dir"' EXIT
    exit 1
fi
present -d >folders
check 'nothing of it was there before' test -z "$(present -f)"
check 'holds program, library, headers, pages, completions' holds bin/flowcarve 'libflowcarve\.so\.0' 'libflowcarve\.so' 'libflowcarve\.a' \
    include/flowcarve/flowcarve.h pkgconfig/flowcarve.pc man1/flowcarve.1 man5/flowcarve-db.5 man7/flowcarve-filter.7 \
    bash-completion/completions/flowcarve zsh/site-functions/_flowcarve vendor_completions.d/flowcarve.fish wireshark/extcap/flowcarve \
    'systemd/system/flowcarve-watch@\.service' 'systemd/system/flowcarve-capture@\.service'
check 'depends on what it is linked with and what it loads' depends
check 'installs' dpkg --install "$deb"
check 'tells its version' sh -c "/usr/bin/flowcarve --version | grep -qx 'flowcarve $(dpkg-deb -f "$deb" Version)'"
check 'indexes, finds and carves' asks
check 'a program is compiled with its library' compiles
check 'completes words in bash' completes
check 'is an interface of Wireshark' wireshark
check 'has services that are not enabled, and their user' serves
check 'installs its package for Python' dpkg --install "$python"
check 'is asked from Python' in_python
check 'takes its package for Python off' dpkg --purge python3-flowcarve
check 'leaves nothing of Python' test ! -e /usr/lib/python3/dist-packages/flowcarve
check 'is taken off' dpkg --purge flowcarve
check 'takes its user off' sh -c '! getent passwd flowcarve'
check 'leaves no file' test -z "$(present -f)"
check 'leaves no folder' sh -c "test -z \"\$(printf '%s\n' '$(present -d)' | grep -vxFf folders)\""
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
