# The parts of run and full, each a function, and the code that runs them. Sourced by both.
# shellcheck shell=bash disable=SC2030,SC2031,SC2317 # the parts are called by name, in shells of their own
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec </dev/null

# A single clean build needs no incremental state, and only line tables as debug information: less than half of
# the disk space.
export CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=line-tables-only
# Nothing is written beside the scripts.
export PYTHONDONTWRITEBYTECODE=1

# Copies of the package are built where the package is, so that they share the dependencies.
build=${CARGO_TARGET_DIR:-$PWD/target}

# shellcheck source-path=SCRIPTDIR source=../tests/support/cargo_tool.sh
source tests/support/cargo_tool.sh

notes=()
rows=()

step() {
    printf '\n== %s\n' "$*"
    "$@"
}

# Reports a check that could not be run: now, and again at the end.
note() {
    printf '\n!! %s\n' "$*"
    notes+=("$*")
}

# Runs a script that ends with 77 if something that it needs cannot be had here, and says what.
step_if_possible() {
    local status=0
    step "$@" || status=$?
    ((status != 77)) || note "$*: not run, for want of what it names above"
    return $((status == 77 ? 0 : status))
}

has_toolchain() { command -v rustup >/dev/null && rustup run "$1" rustc --version >/dev/null 2>&1; }

tests() { step cargo test; }

# No comment line of a Rust file is longer than 110 characters, which rustfmt does not check.
comments() {
    # shellcheck disable=SC2016 # awk expands these
    git ls-files -z '*.rs' | xargs -0 awk '
        /^[ \t]*\/\// && length($0) > 110 {
            print FILENAME ":" FNR ": comment line over 110 characters"
            failed = 1
        }
        END { exit failed }'
}

lints() {
    step comments
    step cargo fmt --check
    # Includes the lints in Cargo.toml, which detect standard library items newer than the minimum Rust
    # version.
    step cargo clippy --all-targets --all-features -- -D warnings
    step cargo clippy --all-targets -- -D warnings
    step cargo clippy --no-default-features --lib -- -D warnings
    docs
    step cargo fmt --check --manifest-path fuzz/Cargo.toml
    step cargo fmt --check --manifest-path tests/million/Cargo.toml
}

# The shell scripts: what begins with a line for a shell, or with one for shellcheck.
scripts() {
    local files
    if ! command -v shellcheck >/dev/null; then
        note "shellcheck is not here: the shell scripts were not checked"
        return
    fi
    mapfile -t files < <(
        grep -rlE --exclude-dir={target,reports} '^#!.*[ /](ba)?sh$|^# shellcheck shell=' .ci tests benches
    )
    step shellcheck --external-sources "${files[@]}"
}

feature_names() {
    cargo metadata --no-deps --format-version 1 |
        python3 -c 'import json, sys; print(*json.load(sys.stdin)["packages"][0]["features"])'
}

# Links must resolve with any features: a missing page is a broken link.
docs() {
    local features names
    # On a line of its own: a failure in a list of `for` is ignored.
    names=$(feature_names)
    for features in "" $names mio,deflate; do
        step env RUSTDOCFLAGS='-D warnings' cargo doc --no-deps --lib --no-default-features --features "$features"
    done
}

# Pairs of features that meet in some file, and nothing else.
pairs() {
    local pair
    for pair in client,rustls server,rustls tokio,rustls tokio,client tokio,server server,deflate axum,server \
        axum,rustls; do
        step cargo clippy --lib --no-default-features --features "$pair" -- -D warnings
    done
}

# Each feature alone, no features, and all features.
features() {
    local feature names copy=target/no-features
    step cargo test --all-features
    # In a copy without the dependency on itself, which turns features on for tests.
    rm -rf "$copy"
    mkdir -p "$copy"
    cp -R src benches "$copy"
    grep -v '^websocket-stream = ' Cargo.toml >"$copy/Cargo.toml"
    cp Cargo.lock "$copy" 2>/dev/null || true
    mkdir -p "$copy/examples"
    step env CARGO_TARGET_DIR="$build" \
        cargo test --no-default-features --lib --manifest-path "$copy/Cargo.toml"
    rm -rf "$copy"
    names=$(feature_names)
    for feature in $names; do
        step cargo check --no-default-features --features "$feature"
    done
    # As README says.
    step cargo build --release --example echo_server
}

# With mio's poller that reports a socket again only after a call that would block, as on Windows.
poller() {
    local -x RUSTFLAGS='--cfg mio_unsupported_force_poll_poll' CARGO_TARGET_DIR=$build/poll
    step cargo build --features mio --examples
    step cargo test --features mio --test programs --test server
}

# The layers without I/O on targets without an operating system, of 32 and of 64 bits.
bare() { step_if_possible tests/targets/check thumbv7em-none-eabi aarch64-unknown-none wasm32-unknown-unknown; }

# The types on the other systems.
systems() { step_if_possible tests/targets/check; }

# The tests on other processors.
aarch64() { step_if_possible tests/targets/linux aarch64; }
armv7() { step_if_possible tests/targets/linux armv7; }
i686() { step_if_possible tests/targets/linux i686; }
s390x() { step_if_possible tests/targets/linux s390x; }

# The tests and the examples on Windows, under Wine.
windows() { step_if_possible tests/targets/windows; }

# Each set of vector instructions.
vectors() { step_if_possible tests/targets/vectors; }

msrv() {
    local version
    version=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    if has_toolchain "$version"; then
        step cargo "+$version" check --all-features
    else
        note "Rust $version is not installed: only clippy's incompatible_msrv checked for newer items"
    fi
}

# The package must build on its own, with its tests. (Only the fuzz targets are a separate package.)
package() {
    local directory=target/package-check
    step cargo package --list --allow-dirty
    step cargo package --allow-dirty --no-verify
    rm -rf "$directory"
    mkdir -p "$directory"
    # shellcheck disable=SC2012 # the names are cargo's
    tar -xzf "$(ls -t "$build"/package/websocket-stream-*.crate | head -n 1)" -C "$directory" --strip-components=1
    step env CARGO_TARGET_DIR="$build" \
        cargo test --no-run --all-features --manifest-path "$directory/Cargo.toml"
    rm -rf "$directory"
}

# The oldest dependencies that Cargo.toml allows are enough for the library and its own tests.
minimal() {
    local copy=target/minimal-versions
    rm -rf "$copy"
    mkdir -p "$copy"
    cp -R src tests benches examples README.md "$copy"
    rm -rf "$copy/benches/compare"
    # First without what only tests need, which would ask for newer ones than a user gets.
    awk '/^\[/ { skip = /dev-dependencies|^\[\[|^\[profile/ } !skip' Cargo.toml >"$copy/Cargo.toml"
    step env RUSTC_BOOTSTRAP=1 cargo generate-lockfile -Z direct-minimal-versions --manifest-path "$copy/Cargo.toml"
    local -x CARGO_TARGET_DIR=$build
    step cargo tree --depth 1 --all-features --locked --manifest-path "$copy/Cargo.toml"
    step cargo check --lib --all-features --locked --manifest-path "$copy/Cargo.toml"
    cp Cargo.toml "$copy"
    step cargo test --lib --all-features --manifest-path "$copy/Cargo.toml"
    rm -rf "$copy"
}

# Licences, sources and known vulnerabilities of everything that is depended on.
dependencies() {
    local manifest checks=(advisories licenses bans sources)
    step cargo_tool deny
    if ! step cargo deny --config .ci/deny.toml fetch db; then
        note "the advisory database could not be fetched: no dependency was looked up in it"
        checks=(licenses bans sources)
    fi
    for manifest in Cargo.toml fuzz/Cargo.toml {benches,tests}/*/Cargo.toml; do
        step cargo deny --locked --manifest-path "$manifest" --config "$PWD/.ci/deny.toml" \
            check --hide-inclusion-graph --allow license-exception-not-encountered "${checks[@]}"
    done
}

public_api() {
    if has_toolchain nightly; then
        step tests/public_api
        step tests/public_api examples
    else
        note "no nightly Rust is here: the public API was not compared with its snapshot, nor its examples counted"
    fi
}

interop() {
    step tests/interop/run
    step tests/interop/run --tokio
}

# The examples over TLS with other implementations; needs the command openssl.
wss() {
    if command -v openssl >/dev/null; then
        step tests/wss/run
    else
        note "openssl is not installed: there were no conversations over TLS"
    fi
}

# The client through HTTP and SOCKS5 proxies.
proxies() {
    if ! command -v openssl >/dev/null; then
        note "openssl is not installed: the client was not tested with proxies"
    elif command -v apt-get >/dev/null; then
        step tests/proxies/run
    else
        note "apt-get is not here, to install the proxies: the client was not tested with them"
    fi
}

# A host whose IPv6 address swallows packets.
black_hole() {
    local namespaces=(unshare --net --mount)
    [[ $(id -u) == 0 ]] || namespaces+=(--map-root-user)
    if command -v ip >/dev/null && "${namespaces[@]}" ip link add name near type veth peer name far 2>/dev/null; then
        step tests/black_hole
    else
        note "no network namespace can be made here: the client was not tested with a black hole"
    fi
}

# The example chat on two servers and a Redis, which dies and comes back.
redis() {
    if command -v redis-server >/dev/null || command -v apt-get >/dev/null; then
        step tests/redis
    else
        note "redis-server is not installed: the chat was not tested with Redis"
    fi
}

# The pages of the examples in headless Chromium.
browser() {
    local name
    for name in "${CHROMIUM:-chromium}" chromium-browser google-chrome; do
        if command -v "$name" >/dev/null; then
            step tests/browser/run
            return
        fi
    done
    if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
        step tests/browser/run
    else
        note "Chromium is not installed: the pages of the examples were not tested"
    fi
}

syscalls() {
    if command -v strace >/dev/null; then
        step tests/syscalls
    else
        note "strace is not installed: the system calls of an echo were not counted"
    fi
}

overload() {
    if [[ $(uname) == Linux ]]; then
        step tests/overload/run
    else
        note "the overload test needs /proc and was skipped"
    fi
}

# 200,000 connections to one process, in a virtual machine if need be.
million() {
    if [[ $(uname) == Linux ]]; then
        step tests/million/run 200000
    else
        note "the test with 200,000 connections needs Linux and was skipped"
    fi
}

soak() {
    if [[ $(uname) == Linux ]]; then
        step tests/soak/run --deflate=15
    else
        note "the soak test needs /proc and was skipped"
    fi
}

# Groups 1 to 11 of the Autobahn test suite, strictly.
autobahn() { autobahn_cases; }

# All 517 cases of the Autobahn test suite, strictly.
autobahn_all() { autobahn_cases --deflate; }

# The same over TLS.
autobahn_tls() {
    if ! command -v openssl >/dev/null; then
        note "openssl is not installed: Autobahn was not run over TLS"
    elif ! command -v socat >/dev/null && ! command -v apt-get >/dev/null; then
        note "socat is not installed: Autobahn was not run over TLS"
    else
        autobahn_cases --deflate --tls
    fi
}

# All 517 cases with the examples on tokio and axum.
autobahn_tokio() {
    step python3 tests/autobahn/test_verify.py
    step tests/autobahn/install.sh
    step cargo build --release --all-features --examples
    local failed=0
    autobahn_pair 'server --tokio --deflate' 'client --tokio --deflate' || failed=1
    autobahn_pair 'server --owned --deflate' 'server --axum --deflate' || failed=1
    return "$failed"
}

# Both roles.
autobahn_cases() {
    step python3 tests/autobahn/test_verify.py
    step tests/autobahn/install.sh
    step cargo build --release --all-features --example echo_server --example autobahn_client
    autobahn_pair "server $*" "client $*"
}

# Two runs of the suite at once: its interpreter takes most of the time, one processor for each.
# usage: autobahn_pair ARGUMENTS ARGUMENTS
autobahn_pair() {
    local arguments failed=0
    local -A running=()
    mkdir -p target
    for arguments; do
        printf '\n== tests/autobahn/run %s\n' "$arguments"
        # shellcheck disable=SC2086 # the arguments are words
        AUTOBAHN_TIMEOUT=2400 tests/autobahn/run $arguments >"target/autobahn-${arguments// /-}.log" 2>&1 &
        running[$arguments]=$!
    done
    for arguments in "${!running[@]}"; do
        wait "${running[$arguments]}" || failed=1
        cat "target/autobahn-${arguments// /-}.log"
    done
    return "$failed"
}

# Each fuzz target for FUZZ_SECONDS (60), from its corpus, to which nothing is added.
fuzz() {
    local target targets corpus
    if ! has_toolchain nightly; then
        note "no nightly Rust: the bodies of the fuzz targets were run as tests, without fuzzing"
        step cargo test --all-features --test fuzz_bodies
        return
    fi
    step cargo_tool fuzz
    targets=$(cargo +nightly fuzz list)
    for target in $targets; do
        corpus=$(mktemp -d)
        set -- "$corpus"
        [[ ! -d fuzz/corpus/$target ]] || set -- "$corpus" "fuzz/corpus/$target"
        step cargo +nightly fuzz run "$target" "$@" -- -max_total_time="${FUZZ_SECONDS:-60}" -verbosity=0
        rm -rf "$corpus"
    done
}

# The separate packages for benchmarks.
benches() {
    local manifest
    step cargo bench --all-features --no-run
    for manifest in benches/*/Cargo.toml; do
        [[ -e $manifest ]] || continue
        step cargo fmt --check --manifest-path "$manifest"
        step cargo clippy --all-targets --manifest-path "$manifest" -- -D warnings
        step cargo test --manifest-path "$manifest"
        step cargo build --release --manifest-path "$manifest"
    done
}

# Memory errors that the tests do not detect by themselves.
memcheck() {
    if command -v valgrind >/dev/null; then
        step tests/sanitize memcheck
    else
        note "valgrind is not installed: the echo server was not run under memcheck"
    fi
}

address() { step_if_possible tests/sanitize address; }

# Data races.
thread() { step_if_possible tests/sanitize thread; }

# Memory that is read before it is written.
memory() { step_if_possible tests/sanitize memory; }

# Runs a part, and keeps its result in `status` and for the table. Do not call it in a condition, which would
# disable `set -e` in the part.
run_part() {
    local part=$1 began=$SECONDS noted=${#notes[@]} outcome=passed
    status=0
    # In a subshell; its notes are passed back in a file.
    (
        notes=()
        trap 'printf "%s\n" "${notes[@]}" >"$noted_file"' EXIT
        "$part"
    ) &
    wait "$!" || status=$?
    local line
    while IFS= read -r line; do
        [[ -z $line ]] || notes+=("$part: $line")
    done <"$noted_file"
    if ((status)); then
        outcome=FAILED
    elif ((${#notes[@]} > noted)); then
        outcome='passed, in part'
    fi
    rows+=("$(printf '%-14s %-16s %5d s' "$part" "$outcome" "$((SECONDS - began))")")
    printf '\n== %s\n' "${rows[-1]}"
}

# Prints the table, and the checks that could not be run.
report() {
    printf '\n'
    printf '%s\n' "${rows[@]}"
    ((${#notes[@]} == 0)) || printf '!! %s\n' "${notes[@]}"
}

noted_file=$(mktemp)
trap 'rm -f "$noted_file"' EXIT
