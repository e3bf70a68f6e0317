# Sourced by the scripts of tests/autobahn and tests/interop, under `set -euo pipefail`.
# shellcheck shell=bash

# Ends the processes that this shell started and has not waited for, and nothing else.
stop_children() {
    local pid
    for pid in $(jobs -pr); do
        kill -TERM "$pid" 2>/dev/null || true
    done
    wait
}
