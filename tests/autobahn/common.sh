# shellcheck shell=bash
# Shared by install.sh and run. Sourced by both, under `set -euo pipefail`.

# shellcheck source-path=SCRIPTDIR source=../support/processes.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/processes.sh"

say() { printf 'autobahn: %s\n' "$*" >&2; }

die() {
    say "$*"
    exit 1
}

# Runs a command with a time limit in seconds. It runs in the background, so that this script handles signals
# at once; `timeout` forwards the TERM from `stop_children`.
bounded() {
    local seconds=$1
    shift
    timeout --kill-after=10 "$seconds" "$@" &
    wait "$!"
}

# Calls `at_exit`, the caller's own cleanup, last.
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
