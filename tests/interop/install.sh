# Installs the other implementations: sourced by `run`, and by other tests.
#
# Only a browser is installed on the system. Debian's other packages are unpacked in the cache directory: none of their
# services starts, and root is not needed.
# shellcheck shell=bash disable=SC2154,SC2034

# Versions from npm and PyPI. A different version here causes a new installation.
readonly WS='ws@8.18.3' WEBSOCKETS='websockets==15.0.1' H2='h2==4.4.1'
readonly TORNADO='tornado==6.6.1' AIOHTTP='aiohttp==3.14.5'

# Prints the directory NAME in the cache. If it does not exist, the command makes it; the directory is its
# last argument.
# usage: install NAME COMMAND...
install() {
    local directory=$cache/$1 lock
    shift
    # Prevents two simultaneous installations. A directory gets its name only when it is complete.
    exec {lock}>"$cache/.lock"
    flock "$lock"
    if [[ ! -e $directory ]]; then
        say "installing $(basename "$directory")"
        rm -rf "$directory.part"
        "$@" "$directory.part" >"$cache/install.log" 2>&1 || {
            tail -n 20 "$cache/install.log" >&2
            die "$(basename "$directory") could not be installed"
        }
        mv "$directory.part" "$directory"
    fi
    exec {lock}>&-
    printf '%s\n' "$directory"
}

npm_package() { npm install --no-audit --no-fund --no-save --prefix "$2" "$1"; }

pypi() { install "${1/==/-}" pypi_package "$1"; }
pypi_package() { python3 -m pip install --disable-pip-version-check --target "$2" "$1"; }

# Unpacks packages and those of their dependencies that the system does not have.
# usage: debian_packages PACKAGE... DIRECTORY
debian_packages() {
    local packages
    mapfile -t packages < <(
        apt-get install --simulate --reinstall --no-install-recommends "${@:1:$#-1}" | sed -n 's/^Inst \([^ ]*\).*/\1/p'
    )
    unpack "${packages[@]}" "${!#}"
}

# Downloads and unpacks packages without their dependencies.
# usage: unpack PACKAGE... DIRECTORY
unpack() {
    local directory=${!#} package
    mkdir -p "$directory/archives"
    (($# > 1)) || return
    (cd "$directory/archives" && apt-get download "${@:1:$#-1}") || return
    for package in "$directory"/archives/*.deb; do
        dpkg -x "$package" "$directory" || return
    done
    rm -r "$directory/archives"
}

# Runs a command that needs apt's package lists. If the lists are missing or old, root updates them.
# usage: with_lists COMMAND... DIRECTORY
with_lists() {
    command -v apt-get >/dev/null || die "needed and missing: apt-get, to install Debian's packages"
    "$@" && return
    [[ $(id -u) == 0 ]] || die "without root, the lists of Debian's packages cannot be updated: run apt-get update"
    rm -rf "${!#}"
    apt-get update && "$@"
}

# usage: debian NAME PACKAGE...
debian() { install "debian-$1" with_lists debian_packages "${@:2}"; }

# Prints the path of a program: the system's own if there is one, otherwise the one in these packages.
# usage: program NAME PACKAGE...
program() {
    local found directory
    for found in "$(type -P "$1")" "/usr/sbin/$1"; do
        [[ -x $found ]] && printf '%s\n' "$found" && return
    done
    directory=$(debian "$@")
    for found in "$directory"/usr/{bin,sbin}/"$1"; do
        [[ -x $found ]] && printf '%s\n' "$found" && return
    done
    die "Debian's packages have no $1: ${*:2}"
}

# Prints the variable with which an unpacked program finds its libraries.
libraries() {
    local all=()
    [[ $1 != "$cache"/* ]] || all=("${1%/usr/*}"/usr/lib/*-linux-gnu*)
    printf 'LD_LIBRARY_PATH=%s\n' "${all[0]-}"
}

# Prints the directory of the Go libraries, without the packages that only their tests import.
go_sources() {
    install debian-go-sources with_lists unpack golang-github-gorilla-websocket-dev golang-nhooyr-websocket-dev \
        golang-github-klauspost-compress-dev
}

find_chromium() {
    local name
    for name in "${CHROMIUM:-chromium}" chromium-browser google-chrome; do
        type -P "$name" && return
    done
    if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
        say "installing chromium"
        {
            apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium
        } >"$cache/install.log" 2>&1 || tail -n 20 "$cache/install.log" >&2
        type -P chromium && return
    fi
    die "no chromium is here: install it, or set CHROMIUM to its path"
}
