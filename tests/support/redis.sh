# Sourced by the scripts that need Redis, after tests/interop/install.sh.
# shellcheck shell=bash disable=SC2154

# Makes `redis-server` callable: the system's own, or else Debian's package in the cache directory. Fails if
# neither is there.
# usage: with_redis DIRECTORY     (for a script, on the PATH from then on)
with_redis() {
    local found libraries
    found=$(program redis-server redis-server redis-tools) || return
    [[ $found == "$cache"/* ]] || return 0
    # An unpacked program does not find its libraries by itself.
    libraries=("${found%/usr/*}"/usr/lib/*-linux-gnu*)
    mkdir -p "$1"
    printf '#!/bin/sh\nLD_LIBRARY_PATH=%q exec %q "$@"\n' "${libraries[0]}" "$found" >"$1/redis-server"
    chmod +x "$1/redis-server"
    PATH=$1:$PATH
}
