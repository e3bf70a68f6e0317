# Sourced by the scripts that need a subcommand of cargo's that does not come with it.
# shellcheck shell=bash

# Makes `cargo NAME` callable: the one that is there, or else one in the user's cache directory.
# usage: cargo_tool NAME
cargo_tool() {
    local root=${XDG_CACHE_HOME:-$HOME/.cache}/websocket-stream/cargo-$1
    if ! cargo "$1" --version >/dev/null 2>&1; then
        PATH=$root/bin:$PATH
        cargo "$1" --version >/dev/null 2>&1 || cargo install --locked --root "$root" "cargo-$1"
    fi
}
