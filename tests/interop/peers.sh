# Conversations with other implementations: sourced by `run`.
# shellcheck shell=bash disable=SC2154,SC2034

# Values of Sec-WebSocket-Extensions in answers: both windows of 15 bits are kept between messages; both are reset; both
# have 9 bits and are kept.
readonly KEPT='permessage-deflate'
readonly ALONE='permessage-deflate; server_no_context_takeover; client_no_context_takeover'
readonly NINE='permessage-deflate; server_max_window_bits=9; client_max_window_bits=9'

# These set `peer` to the command of a peer. Its next argument is `client` or `server`.
use_python() {
    local directory
    directory=$(pypi "$1")
    peer=(env PYTHONPATH="$directory" python3 "$here/${1%%==*}_peer.py")
}

# Mojolicious does not load without the files of libjs-jquery.
use_mojolicious() {
    local directory
    directory=$(debian mojolicious libmojolicious-perl libjs-jquery)
    peer=(env PERL5LIB="$directory/usr/share/perl5" perl "$here/mojolicious_peer.pl")
}

use_http2() {
    local frames http2
    frames=$(pypi "$WEBSOCKETS")
    http2=$(pypi "$H2")
    peer=(env PYTHONPATH="$frames:$http2" python3 "$here/http2_client.py")
}

use_go() {
    local go sources
    go=$(program go golang-go)
    sources=$(go_sources)
    bounded env GO111MODULE=off GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS=-p=1 GOCACHE="$cache/go-build" \
        GOPATH="$sources/usr/share/gocode" "$go" build -o "$work/$1" "$here/conversation.go" "$here/$1_peer.go"
    peer=("$work/$1")
}

# The peer, as a client, talks with an echo_server.
# usage: peer_talks [OPTION EXTENSIONS]
peer_talks() {
    serve ${1:+"$1"} 127.0.0.1:0
    with_server env EXTENSIONS="${2-}" "${peer[@]}" client
}

# The peer, as a client, does not compress as agreed: the server closes with this code.
# usage: peer_breaks OPTION EXTENSIONS CODE
peer_breaks() {
    serve "$1" 127.0.0.1:0
    with_server env EXTENSIONS="$2" CLOSED="$3" "${peer[@]}" client
}

# The example client talks with the peer, a server, which ends after one connection.
# usage: client_talks [OPTION EXTENSIONS]
client_talks() {
    start env EXTENSIONS="${2-}" "${peer[@]}" server
    bounded python3 "$here/example_client.py" "$client" ${1:+"$1"} "$url"
    ended
}

# The peer, as a client, refuses the server's answer with this error.
# usage: peer_refuses OPTION ERROR
peer_refuses() {
    serve "$1" 127.0.0.1:0
    fails_with "$2" env EXTENSIONS=any "${peer[@]}" client "$url"
    stop
}

# The example client refuses the answer of the peer, a server, with this error.
# usage: client_refuses OPTION EXTENSIONS ERROR
client_refuses() {
    start env EXTENSIONS="$2" "${peer[@]}" server
    fails_with "$3" "$client" "$1" "$url"
    # Its status does not matter: some servers fail when a connection ends without a Close frame.
    kill -TERM "$server" 2>/dev/null || true
    wait "$server" || true
}

readonly KEEPS_CONTEXT="missing server_no_context_takeover in the response"
readonly LARGE_WINDOW="missing or too large server_max_window_bits in the response"

# --- Node's ws

node() {
    serve 127.0.0.1:0
    node_talks ws_client.cjs
}

node_unix() {
    serve --unix "$work/socket"
    node_talks ws_client.cjs
}

node_deflate() {
    local option
    for option in --deflate --deflate=9 --deflate=15; do
        serve "$option" 127.0.0.1:0
        node_talks ws_deflate.cjs || return
    done
}

node_talks() {
    local ws
    ws=$(install "${WS/@/-}" npm_package "$WS")
    with_server env NODE_PATH="$ws/node_modules" node "$here/$1"
}

# --- Python's websockets

python() {
    use_python "$WEBSOCKETS"
    peer_talks
}

python_deflate() {
    local option directory
    directory=$(pypi "$WEBSOCKETS")
    for option in --deflate --deflate=15; do
        serve "$option" 127.0.0.1:0
        with_server env PYTHONPATH="$directory" python3 "$here/websockets_deflate.py" || return
    done
}

client() {
    use_python "$WEBSOCKETS"
    client_talks
}

client_unix() {
    use_python "$WEBSOCKETS"
    start "${peer[@]}" server "$work/other"
    bounded python3 "$here/example_client.py" "$client" "$url"
    ended
}

# A server of websockets uses windows of 12 bits unless the offer asks for fewer.
client_deflate() {
    local twelve='server_max_window_bits=12; client_max_window_bits=12'
    use_python "$WEBSOCKETS"
    client_talks --deflate "$ALONE; $twelve"
    client_talks --deflate=9 "$NINE"
    client_talks --deflate=15 "$KEPT; $twelve"
}

# --- Python's h2: extended CONNECT (RFC 8441), which axum answers itself

axum_http2() {
    local option
    use_http2
    for option in '' --deflate --deflate=15; do
        start "$axum_echo" ${option:+"$option"} 127.0.0.1:0
        bounded env EXTENSIONS="$(extensions_with "$option")" "${peer[@]}" client "$url/"
        grep -q 'a WebSocket over HTTP/2.0' "$work/server.log"
        stop
    done
}

# --- Tornado
#
# Tornado 6.6.1 drops parameters without a value, both in offers and in answers: `client_no_context_takeover` and
# `server_no_context_takeover` have no effect. It obeys the parameters with a value.

tornado() {
    use_python "$TORNADO"
    peer_talks
}

# --deflate=BITS works: both sides keep their windows. With --deflate alone the server asks the client to reset its
# window, and Tornado does not. The first message that refers to an earlier one cannot be inflated, and the server
# closes with 1007.
tornado_deflate() {
    use_python "$TORNADO"
    peer_talks --deflate=15 "$KEPT"
    peer_talks --deflate=9 "$NINE"
    peer_breaks --deflate "$ALONE" 1007
}

client_tornado() {
    use_python "$TORNADO"
    client_talks
}

# --deflate=BITS works. With --deflate alone the client asks the server to reset its window, and the answer of Tornado
# does not confirm this. Section 7.1.1.1 of RFC 7692 requires the confirmation, so the client refuses the answer.
client_tornado_deflate() {
    use_python "$TORNADO"
    client_talks --deflate=15 "$KEPT"
    client_talks --deflate=9 'permessage-deflate; client_max_window_bits=9; server_max_window_bits=9'
    client_refuses --deflate "$KEPT" "$KEEPS_CONTEXT"
}

# --- aiohttp: every setting works in both roles. A server of aiohttp ignores parameters for the client's
# window.

aiohttp() {
    use_python "$AIOHTTP"
    peer_talks
}

aiohttp_deflate() {
    use_python "$AIOHTTP"
    peer_talks --deflate "$ALONE"
    peer_talks --deflate=9 "$NINE"
    peer_talks --deflate=15 "$KEPT"
}

client_aiohttp() {
    use_python "$AIOHTTP"
    client_talks
}

client_aiohttp_deflate() {
    use_python "$AIOHTTP"
    client_talks --deflate 'permessage-deflate; server_no_context_takeover'
    client_talks --deflate=9 'permessage-deflate; server_max_window_bits=9'
    client_talks --deflate=15 "$KEPT"
}

# --- Mojolicious
#
# Mojolicious 9.31 searches for the word permessage-deflate and reads no parameters. It keeps a window of 15 bits in
# both roles, so only --deflate=15 works.

mojolicious() {
    use_mojolicious
    peer_talks
}

# Mojolicious does not offer `client_max_window_bits`. For a smaller window the server then asks for
# `client_no_context_takeover`, which Mojolicious ignores: the server closes with 1007.
mojolicious_deflate() {
    use_mojolicious
    peer_talks --deflate=15 "$KEPT"
    peer_breaks --deflate=9 'permessage-deflate; client_no_context_takeover; server_max_window_bits=9' 1007
    peer_breaks --deflate "$ALONE" 1007
}

client_mojolicious() {
    use_mojolicious
    client_talks
}

client_mojolicious_deflate() {
    use_mojolicious
    client_talks --deflate=15 "$KEPT"
    client_refuses --deflate=9 "$KEPT" "$LARGE_WINDOW"
    client_refuses --deflate "$KEPT" "$KEEPS_CONTEXT"
}

# --- gorilla/websocket: every setting works in both roles. Its offers and answers reset both windows.

gorilla() {
    use_go gorilla
    peer_talks
}

gorilla_deflate() {
    use_go gorilla
    peer_talks --deflate "$ALONE"
    peer_talks --deflate=9 "$ALONE; server_max_window_bits=9"
    peer_talks --deflate=15 "$ALONE"
}

client_gorilla() {
    use_go gorilla
    client_talks
}

client_gorilla_deflate() {
    use_go gorilla
    client_talks --deflate "$ALONE"
    client_talks --deflate=9 "$ALONE"
    client_talks --deflate=15 "$ALONE"
}

# --- nhooyr.io/websocket
#
# nhooyr.io/websocket 1.8.7 rejects the parameter `server_max_window_bits`, both in offers and in answers. --deflate and
# --deflate=15 do not use the parameter and work. With other BITS, a client of nhooyr refuses our answer (three seconds
# later), and a server of nhooyr answers our offer with status 400.

nhooyr() {
    use_go nhooyr
    peer_talks
}

nhooyr_deflate() {
    use_go nhooyr
    peer_talks --deflate "$ALONE"
    peer_talks --deflate=15 "$KEPT"
    peer_refuses --deflate=9 'unsupported permessage-deflate parameter'
}

client_nhooyr() {
    use_go nhooyr
    client_talks
}

client_nhooyr_deflate() {
    use_go nhooyr
    client_talks --deflate 'permessage-deflate; client_no_context_takeover; server_no_context_takeover'
    client_talks --deflate=15 "$KEPT"
    client_refuses --deflate=9 "$KEPT" 'status 400'
}

# --- tungstenite, Chromium

tungstenite() { cargo test --quiet --all-features --manifest-path "$root/Cargo.toml" --test programs interop; }

browser() {
    local chromium
    chromium=$(find_chromium)
    serve 127.0.0.1:0
    with_server python3 "$here/browser.py" "$chromium" "$root/README.md"
}

browser_deflate() {
    local chromium
    chromium=$(find_chromium)
    serve --deflate=15 127.0.0.1:0
    with_server env EXTENSIONS=permessage-deflate python3 "$here/browser.py" "$chromium" "$root/README.md"
}
