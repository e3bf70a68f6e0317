# shellcheck shell=bash
# What install.sh and run share. Sourced by both, under `set -euo pipefail`.

# shellcheck source-path=SCRIPTDIR source=../support/processes.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/processes.sh"

say() { printf 'autobahn: %s\n' "$*" >&2; }

die() {
    say "$*"
    exit 1
}

# Runs a command for at most so many seconds. It runs in the background, so that a signal to this
# script is heard at once; `timeout` hands on the TERM of `stop_children`.
bounded() {
    local seconds=$1
    shift
    timeout --kill-after=10 "$seconds" "$@" &
    wait "$!"
}

# The caller's own cleaning goes into `at_exit`, which this calls last.
end() {
    stop_children
    at_exit
}
at_exit() { :; }
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

command -v timeout >/dev/null || die "needed and missing: timeout (GNU coreutils)"
