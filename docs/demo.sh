#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# ./dev demo: makes sample captures, indexes them, asks, and carves one session. Usage: demo.sh BUILD-FOLDER
set -eu
build=$(readlink -f "$1")
PATH=$build:$build/bench:$PATH
dir=$build/demo
rm -rf "$dir"
mkdir "$dir"
cd "$dir"

run() {
    printf '\n$ %s\n' "$*"
    eval "$@"
}
mkdir day
fcgen --preset demo -w day/sample -q
run ls -s --block-size=K day
run "flowcarve index day"
run "flowcarve query --format table --limit 8 --sort bytes:desc"
run "flowcarve query --count tcp and port 443"
run "flowcarve query --format json --limit 2 'net 10.0.0.0/8 and not udp and after 2023-11-14T22:14'"
# a session that starts in the first capture and ends in the second
id=$(flowcarve query --format tsv "tcp and before @1700000060 and after @1700000050" --sort packets:desc --limit 1 | tail -1 | cut -f1)
run "flowcarve carve --id $id -w one.pcap"
run "tcpdump -c 4 -nr one.pcap 2>/dev/null"
run "flowcarve carve 'icmp or icmp6' -w - | tcpdump -c 3 -nr - 2>/dev/null"
run "flowcarve verify"
printf '\nThe same in a browser:\n    cd %s && ../flowcarve serve\nand open the URL that it prints: docs/web.md tells of the page.\n' "$dir"
