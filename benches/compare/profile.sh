#!/bin/sh
# profile.sh [SERVER] [WORKLOAD]: counts a server's instructions, function by function.
#
#   ./profile.sh                  ours, 64 connections, 32 B, 32 in flight
#   ./profile.sh ours 32x1
#   ./profile.sh ours 32x1 --auto=yes      line by line (further arguments are passed to callgrind_annotate)
set -eu
cd "$(dirname "$0")"
server=${1:-ours} workload=${2:-32x32}
[ $# -lt 2 ] || shift
[ $# -lt 1 ] || shift
cargo build --release --quiet
./target/release/compare callgrind --only "$server" --workload "$workload"
callgrind_annotate "$@" "target/compare/$server.$workload.callgrind"
