# Sourced by the scripts in this folder: the sources of exactly the standard library of this compiler, and
# what cargo needs to build it. No toolchain is changed: `-Z` is enabled on the one that is there.
#
# A script ends with status 77 if something that it needs cannot be had here.
# shellcheck shell=bash
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

cache=${XDG_CACHE_HOME:-$HOME/.cache}/websocket-stream/targets
release=$(rustc -vV | sed -n 's/^release: //p')

cannot() {
    printf '!! %s\n' "$*" >&2
    exit 77
}

# Another program may be installing something.
wait_for_lock=(-o DPkg::Lock::Timeout=600)

install() {
    DEBIAN_FRONTEND=noninteractive apt-get "${wait_for_lock[@]}" -qq install -y --no-install-recommends "$@" >&2
}

# Installs the Debian packages that are missing.
packages() {
    local missing=() package
    for package; do
        dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    if ! command -v apt-get >/dev/null || [[ $(id -u) != 0 ]]; then
        cannot "not installed: ${missing[*]}"
    fi
    # The lists of a fresh system are empty, and old ones name packages that are gone.
    install "${missing[@]}" || { apt-get "${wait_for_lock[@]}" -qq update >&2 && install "${missing[@]}"; } ||
        cannot "could not be installed: ${missing[*]}"
}

# Downloads Debian's package with the sources of std, from the system's own source of packages but from other
# suites, with a configuration and lists of its own. apt checks the signatures.
# usage: download_sources FOLDER
download_sources() {
    local keyring=/usr/share/keyrings/debian-archive-keyring.gpg apt=$cache/apt source suite exact
    if ! command -v apt-get >/dev/null || [[ ! -e $keyring ]]; then
        cannot "no sources of Rust $release: the component rust-src is not installed, and this is not Debian"
    fi
    source=$(sed -n 's/^URIs: *\([^ ]*\).*/\1/p' /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -n 1)
    [[ -n $source ]] || source=$(sed -n 's/^deb \(\[[^]]*\] \)\?\([^ ]*\).*/\2/p' /etc/apt/sources.list | head -n 1)
    rm -rf "$apt"
    mkdir -p "$apt"/{etc/apt.conf.d,etc/preferences.d,etc/sources.list.d,state/lists/partial,debs} \
        "$apt/cache/archives/partial"
    touch "$apt/state/status"
    cat >"$apt/apt.conf" <<CONFIGURATION
Dir::Etc "$apt/etc";
Dir::Etc::sourcelist "$apt/etc/sources.list";
Dir::Etc::sourceparts "$apt/etc/sources.list.d";
Dir::Etc::preferencesparts "$apt/etc/preferences.d";
Dir::Etc::parts "$apt/etc/apt.conf.d";
Dir::State "$apt/state";
Dir::State::status "$apt/state/status";
Dir::Cache "$apt/cache";
APT::Sandbox::User "root";
Acquire::Languages "none";
CONFIGURATION
    for suite in trixie-backports testing unstable; do
        echo "deb [signed-by=$keyring] $source $suite main" >"$apt/etc/sources.list"
        APT_CONFIG=$apt/apt.conf apt-get -qq update >&2 || continue
        exact=$(APT_CONFIG=$apt/apt.conf apt-cache madison rust-src |
            awk -v wanted="$release+" 'index($3, wanted) == 1 { print $3; exit }')
        [[ -n $exact ]] || continue
        (cd "$apt/debs" && APT_CONFIG=$apt/apt.conf apt-get -qq download "rust-src=$exact" >&2) || continue
        rm -rf "$1.partial"
        dpkg -x "$apt"/debs/rust-src_*.deb "$1.partial"
        rm -rf "$apt" "$1"
        mv "$1.partial" "$1"
        return
    done
    cannot "no sources of Rust $release: no suite of Debian has them"
}

# Builds std from its sources in what follows.
std_from_source() {
    local sources=$cache/rust-src-$release
    if [[ ! -e $(rustc --print sysroot)/lib/rustlib/src/rust/library/Cargo.lock ]]; then
        [[ -d $sources ]] || download_sources "$sources"
        # Where cargo looks for std instead of in the toolchain.
        export __CARGO_TESTS_ONLY_SRC_ROOT=$sources/usr/src/rustc-$release/library
    fi
    export RUSTC_BOOTSTRAP=1 # `-Z` on any toolchain
    export CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=0
    # Apart from ordinary builds, which some build scripts make different without RUSTC_BOOTSTRAP.
    export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}/targets
}

step() {
    printf '\n== %s\n' "$*"
    "$@"
}

# Runs a command that runs tests, and prints how many.
count_tests() {
    local log status=0
    log=$(mktemp)
    step "$@" 2>&1 | tee "$log" || status=$?
    awk '/^test result:/ { passed += $4; failed += $6; ignored += $8; skipped += $12; programs++ }
        END {
            printf "\n== %d tests passed, %d failed, %d ignored, %d filtered out, in %d programs\n",
                passed, failed, ignored, skipped, programs
            exit passed == 0
        }' "$log" || status=1
    rm -f "$log"
    return "$status"
}
