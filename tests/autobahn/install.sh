#!/usr/bin/env bash
# Prints the path of a working `wstest`, and installs one if there is none.
#
# The test suite runs only on CPython 2.7, which Debian bullseye still has. Its packages are unpacked into a
# separate directory, with separate package lists and a separate cache, so that the system's apt and packages
# are not changed. The suite is installed in a virtualenv of that interpreter.
#
# Environment:
#   WSTEST               the `wstest` to use; nothing is searched or installed
#   AUTOBAHN_CACHE       the installation directory (default: the user's cache directory)
#   AUTOBAHN_DEBIAN_URI  a Debian mirror that carries bullseye (default: the system's own sources)
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

readonly SUITE=bullseye
readonly PACKAGES=(
    python2.7 python2.7-minimal python2.7-dev
    libpython2.7 libpython2.7-minimal libpython2.7-stdlib libpython2.7-dev
    libffi7 libssl1.1
)
# The suite pins its own dependencies. virtualenv 20.22 dropped Python 2.7.
readonly VIRTUALENV='virtualenv==20.21.1'
readonly TESTSUITE='autobahntestsuite==25.10.1'
# The stamp of a complete installation: another recipe or another place causes a new installation.
readonly RECIPE="1 $SUITE ${PACKAGES[*]} $VIRTUALENV $TESTSUITE"

readonly HINT="a wstest from elsewhere works too: set WSTEST to its path, or to a script that runs \
the docker image crossbario/autobahn-testsuite (see tests/autobahn/README.md)"

cache=${AUTOBAHN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/websocket-stream/autobahn}
[[ $cache == /* ]] || cache=$PWD/$cache
readonly cache

works() { bounded 60 "$1" --autobahnversion >/dev/null 2>&1; }

complete() { [[ "$(cat "$cache/.complete" 2>/dev/null)" == "$RECIPE in $cache" ]]; }

# Runs one step, a function or `bounded ..`, with its output in the log. After a failure, prints the end of
# the log.
step() {
    local name=$1
    shift
    say "$name"
    if ! "$@" >>"$cache/install.log" 2>&1; then
        tail -n 20 "$cache/install.log" >&2
        die "this step failed: $name (whole log: $cache/install.log); $HINT"
    fi
}

need_tools() {
    local tool missing=()
    for tool in apt-get dpkg flock gcc python3; do
        command -v "$tool" >/dev/null || missing+=("$tool")
    done
    ((${#missing[@]} == 0)) || die "to install wstest, these are needed and missing: ${missing[*]}; $HINT"
    python3 -c 'import ensurepip, venv' 2>/dev/null ||
        die "to install wstest, python3's venv module is needed and missing (Debian: python3-venv); $HINT"
}

# Runs apt with no settings of the system except its mirrors' access and keys.
isolated_apt() {
    local uri=$1 keyring signed_by=
    for keyring in /usr/share/keyrings/debian-archive-keyring.{pgp,gpg}; do
        [[ -e $keyring ]] && signed_by="[signed-by=$keyring] "
    done
    rm -rf "$cache/apt"
    mkdir -p "$cache"/apt/{lists/partial,archives/partial,preferences.d}
    echo "deb $signed_by$uri $SUITE main" >"$cache/apt/sources.list"
    # Hooks are cleared, because an image's hooks may empty the system's cache.
    cat >"$cache/apt/apt.conf" <<END
#clear APT::Update;
#clear DPkg;
Dir::Etc::sourcelist "$cache/apt/sources.list";
Dir::Etc::sourceparts "-";
Dir::Etc::preferences "$cache/apt/preferences";
Dir::Etc::preferencesparts "$cache/apt/preferences.d";
Dir::State "$cache/apt";
Dir::State::lists "$cache/apt/lists";
Dir::State::status "/dev/null";
Dir::Cache "$cache/apt";
Dir::Log "$cache/apt";
APT::Sandbox::User "";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
END
}

# Prints the archives that the system's apt reads, one per line, in apt's order. Uses no network.
archives() {
    if [[ -n ${AUTOBAHN_DEBIAN_URI:-} ]]; then
        echo "$AUTOBAHN_DEBIAN_URI"
        return
    fi
    mkdir -p "$cache/apt/none/partial"
    apt-get -o Dir::State::lists="$cache/apt/none" update --print-uris |
        sed -n "s|^'\(.*\)/dists/[^/]*/InRelease'.*|\1|p" | grep -v -- '-security$' | awk '!seen[$0]++'
}

download_packages() {
    local uri uris
    mapfile -t uris < <(archives)
    for uri in "${uris[@]}"; do
        isolated_apt "$uri"
        if bounded 300 apt-get -c "$cache/apt/apt.conf" update &&
            bounded 300 env -C "$cache/apt/archives" \
                apt-get -c "$cache/apt/apt.conf" download "${PACKAGES[@]}"; then
            return
        fi
    done
    echo "None of this system's apt sources carries python2.7 of Debian $SUITE." \
        "AUTOBAHN_DEBIAN_URI can name a mirror that does."
    return 1
}

unpack_packages() {
    local package
    for package in "$cache"/apt/archives/*.deb; do
        dpkg -x "$package" "$cache/python2.7" || return
    done
}

# The interpreter's libraries and headers are in a directory that no linker or compiler searches.
write_environment() {
    local libraries=("$cache"/python2.7/usr/lib/*-linux-gnu*)
    local include=$cache/python2.7/usr/include
    cat >"$cache/environment" <<END
unset PYTHONHOME PYTHONPATH
export LD_LIBRARY_PATH='${libraries[0]}'
export CFLAGS='-I$include/python2.7 -I$include'
export VIRTUALENV_OVERRIDE_APP_DATA='$cache/virtualenv-app-data'
END
}

# wstest's own fuzzing server listens on every interface; this one only on the loopback interface.
write_wstest() {
    cat >"$cache/wstest.py" <<'END'
from autobahntestsuite import wstest, fuzzing

listen = fuzzing.listenWS
fuzzing.listenWS = lambda factory, context: listen(factory, context, interface="127.0.0.1")
wstest.run()
END
    cat >"$cache/wstest" <<END
#!/bin/sh
. '$cache/environment'
exec '$cache/testsuite/bin/python' '$cache/wstest.py' "\$@"
END
    chmod +x "$cache/wstest"
}

install() {
    say "installing wstest in $cache; this takes about a minute, once"
    # Removes what an interrupted installation left. A virtualenv contains its own path, so it is created in
    # its final place.
    rm -rf "$cache"/{.complete,apt,python2.7,virtualenv,virtualenv-app-data,testsuite,environment,wstest,wstest.py,install.log}

    step "downloading python2.7 of Debian $SUITE" download_packages
    step "unpacking it" unpack_packages
    write_environment
    step "making a Python 3 environment" bounded 300 python3 -m venv "$cache/virtualenv"
    step "installing $VIRTUALENV" bounded 600 "$cache/virtualenv/bin/python" -m pip install "$VIRTUALENV"
    # shellcheck disable=SC1091
    . "$cache/environment"
    step "making a Python 2.7 environment" bounded 300 \
        "$cache/virtualenv/bin/python" -m virtualenv -p "$cache/python2.7/usr/bin/python2.7" "$cache/testsuite"
    step "installing $TESTSUITE" bounded 900 \
        "$cache/testsuite/bin/python" -m pip --no-python-version-warning install "$TESTSUITE"
    write_wstest
    step "trying it" bounded 60 "$cache/wstest" --autobahnversion

    rm -rf "$cache"/{apt,virtualenv,virtualenv-app-data}
    echo "$RECIPE in $cache" >"$cache/.complete"
    say "installed in $SECONDS s"
}

if [[ -n ${WSTEST:-} ]]; then
    found=$(type -P -- "$WSTEST") || die "WSTEST names no program: $WSTEST"
    works "$found" || die "WSTEST names a program that is not a working wstest: $found"
elif found=$(type -P wstest) && works "$found"; then
    :
else
    [[ $cache =~ ^[A-Za-z0-9_./+,@~-]+$ ]] ||
        die "compilers and apt do not take every character in a path: set AUTOBAHN_CACHE to a plainer one than $cache"
    if ! complete; then
        need_tools
        mkdir -p "$cache"
        exec {lock}>"$cache/.lock"
        flock --timeout 1800 "$lock" || die "another installation holds $cache/.lock"
        complete || install
    fi
    found=$cache/wstest
fi
[[ $found == /* ]] || found=$PWD/$found
echo "$found"
