# Starts programs, bounds them, and ends them: sourced by `run`.
# shellcheck shell=bash disable=SC2154,SC2034

# shellcheck source-path=SCRIPTDIR source=../support/processes.sh
. "$root/tests/support/processes.sh"

say() { printf 'interop: %s\n' "$*" >&2; }

die() {
    say "$*"
    exit 1
}

# The most seconds that a conversation may take: a hang is a failure.
readonly LIMIT=180
bounded() { timeout --kill-after=10 "$LIMIT" "$@"; }

# Runs a command that must fail and print this error.
# usage: fails_with ERROR COMMAND...
fails_with() {
    local output
    if output=$(bounded "${@:2}" 2>&1 </dev/null); then
        say "this did not fail: ${*:2}"
        return 1
    fi
    [[ $output == *"$1"* ]] || {
        say "another error than '$1': $output"
        return 1
    }
}

# Repeats a command until it succeeds. Fails if the process ends or a minute passes.
# usage: wait_until PROCESS COMMAND...
wait_until() {
    local process=$1 last=$((SECONDS + 60))
    shift
    until "$@"; do
        kill -0 "$process" 2>/dev/null && ((SECONDS < last)) || return
        sleep 0.05
    done
}

build() {
    say "building the examples"
    cargo build --all-features --manifest-path "$root/Cargo.toml" --example echo_server --example client \
        --message-format=json-render-diagnostics >"$work/cargo.json"
    local executables
    executables=$(python3 -c '
import json, sys
found = {m["target"]["name"]: m["executable"] for m in map(json.loads, sys.stdin) if m.get("executable")}
print(found["echo_server"], found["client"], sep="\n")' <"$work/cargo.json")
    { read -r echo_server && read -r client; } <<<"$executables"
    readonly echo_server client
}

# Starts a server that prints `listening on URL`. Sets `url` to its address and `server` to its process id.
start() {
    local log=$work/server.log
    : >"$log"
    timeout --foreground --kill-after=10 600 "$@" >"$log" 2>&1 &
    server=$!
    wait_until "$server" has_address || die "the server does not listen: $(cat "$log")"
}

has_address() { url=$(sed -n 's/^listening on //p' "$work/server.log") && [[ -n $url ]]; }

# Starts an echo_server with these arguments.
serve() { start "$echo_server" "$@"; }

# Waits for the server, which must end with status 0.
ended() {
    local status=0
    wait "$server" || status=$?
    ((status == 0)) || {
        say "the server ended with status $status: $(cat "$work/server.log")"
        return 1
    }
}

stop() {
    kill -TERM "$server" || true
    ended
}

# Runs a conversation with its own server: the address is the program's last argument.
with_server() {
    local status=0
    bounded "$@" "$url" || status=$?
    stop && return "$status"
}
