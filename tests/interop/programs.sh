# Runs conversations; starts programs, bounds them, and ends them: sourced by `run`, and by those of tests/wss and
# tests/proxies.
# shellcheck shell=bash disable=SC2154,SC2034

# shellcheck source-path=SCRIPTDIR source=../support/processes.sh
. "$root/tests/support/processes.sh"
# shellcheck source-path=SCRIPTDIR source=../support/certificates.sh
. "$root/tests/support/certificates.sh"

say() { printf '%s: %s\n' "${title:-interop}" "$*" >&2; }

die() {
    say "$*"
    exit 1
}

# Runs the conversations with these names, or all of `ALL`, each a function. Uses the function `usage`.
converse() {
    local name chosen failed=()
    for name in "$@"; do
        if [[ $name == -h || $name == --help ]]; then
            usage
            exit
        fi
        [[ " ${ALL[*]} " == *" $name "* ]] || {
            usage >&2
            die "unknown conversation: $name"
        }
    done
    if (($#)); then chosen=("$@"); else chosen=("${ALL[@]}"); fi

    cache=${INTEROP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/websocket-stream/interop}
    mkdir -p "$cache"
    cache=$(cd "$cache" && pwd)
    work=$(mktemp -d)
    readonly cache work

    # The source tree stays clean.
    export PYTHONDONTWRITEBYTECODE=1

    trap 'stop_children; rm -rf "$work"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM

    for name in cargo node npm python3 perl timeout flock; do
        command -v "$name" >/dev/null || die "needed and missing: $name"
    done

    build
    for name in "${chosen[@]}"; do
        say "$name"
        # In a subshell, because `set -e` has no effect in a condition.
        (
            trap stop_children EXIT
            "$name"
        ) &
        wait "$!" || failed+=("$name")
    done
    ((${#failed[@]} == 0)) || die "failed: ${failed[*]}"
    say "all ${#chosen[@]} conversations went well"
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

# Fails if a part is missing in `printed`.
# usage: expect PART...
expect() {
    local part
    for part; do
        [[ $printed == *"$part"* ]] || die "this was not printed: '$part'; but this: $printed"
    done
}

# The environment of the example client, with the authority that it trusts, and `variables`.
variables=()
# usage: run_client [ARGUMENT]...
run_client() { bounded env -i SSL_CERT_FILE="$work/root.pem" "${variables[@]}" "$client" "$@"; }

# The example client ends with exit status 1 and an error with this part.
# usage: client_fails_with PART ARGUMENT...
client_fails_with() {
    local status=0
    printed=$(run_client "${@:2}" 2>&1 </dev/null) || status=$?
    ((status == 1)) || die "the exit status is $status, not 1: $printed"
    expect "$1"
    say "  $printed"
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

# The example that is the echo server.
server_example=echo_server

# Builds the examples, or takes them from the directory EXAMPLES.
build() {
    if [[ -n ${EXAMPLES-} ]]; then
        readonly echo_server=$EXAMPLES/$server_example client=$EXAMPLES/client axum_echo=$EXAMPLES/axum_echo
        return
    fi
    say "building the examples"
    cargo build --all-features --manifest-path "$root/Cargo.toml" --example "$server_example" --example client \
        --example axum_echo --message-format=json-render-diagnostics >"$work/cargo.json"
    local executables
    executables=$(python3 -c '
import json, sys
found = {m["target"]["name"]: m["executable"] for m in map(json.loads, sys.stdin) if m.get("executable")}
print(found[sys.argv[1]], found["client"], found["axum_echo"], sep="\n")' "$server_example" <"$work/cargo.json")
    { read -r echo_server && read -r client && read -r axum_echo; } <<<"$executables"
    readonly echo_server client axum_echo
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

# Starts an echo_server with TLS.
# usage: serve_tls [OPTION]...
serve_tls() {
    make_certificates
    serve --tls "$work/chain.pem" "$work/server.key" "$@" 127.0.0.1:0
}

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
