# Conversations through reverse proxies: sourced by `run`.
#
# Each proxy runs in the foreground with its own configuration. All of them forward Sec-WebSocket-Extensions unchanged,
# so client and server negotiate compression end to end.
# shellcheck shell=bash disable=SC2154,SC2034

# Starts a proxy and sets `proxy` to its process id. The proxy listens once the command in `ready` succeeds.
# usage: proxied COMMAND...
#
# Each function that starts a proxy in front of `url` sets `front` to the proxy's own address.
proxied() {
    timeout --foreground --kill-after=10 600 "$@" >"$work/proxy.log" 2>&1 &
    proxy=$!
    wait_until "$proxy" "${ready[@]}"
}

proxied_or_die() { proxied "$@" || die "the proxy does not listen: $(cat "$work/proxy.log")"; }

stop_proxy() {
    kill -TERM "$proxy" || true
    wait "$proxy" || true
    rm -rf "$work"/front*
}

# Prints HOST:PORT of the server.
backend() {
    local rest=${url#ws://}
    printf '%s\n' "${rest%%/*}"
}

# Python's websockets talks with an echo_server through a proxy, without and with compression.
# usage: through PROXY
through() {
    local option
    use_python "$WEBSOCKETS"
    for option in '' --deflate --deflate=15; do
        serve ${option:+"$option"} 127.0.0.1:0
        peer_through "$1" "$(extensions_with "$option")"
    done
}

extensions_with() {
    case $1 in
        --deflate) echo "$ALONE" ;;
        --deflate=15) echo "$KEPT" ;;
    esac
}

peer_through() {
    "$1"
    bounded env EXTENSIONS="$2" "${peer[@]}" client "$front"
    stop_proxy
    stop
}

# The example client talks with a server of Python's websockets through a proxy, without and with compression.
# usage: client_through PROXY
client_through() {
    local option
    use_python "$WEBSOCKETS"
    for option in '' --deflate=9; do
        start env EXTENSIONS="${option:+$NINE}" "${peer[@]}" server
        "$1"
        bounded python3 "$here/example_client.py" "$client" ${option:+"$option"} "$front"
        ended
        stop_proxy
    done
}

# --- nginx

# By default nginx sends HTTP/1.0 to a backend and removes Upgrade and Connection. Three lines change both.
# usage: with_nginx [LINE]...      (instead of the three lines)
with_nginx() {
    local nginx upgrade=("$@")
    ((${#upgrade[@]})) || upgrade=(
        'proxy_http_version 1.1;'
        "proxy_set_header Upgrade \$http_upgrade;"
        "proxy_set_header Connection \"upgrade\";"
    )
    nginx=$(program nginx nginx)
    cat >"$work/nginx.conf" <<END
daemon off;
master_process off;
pid $work/front.pid;
error_log stderr;
events {}
http {
    access_log off;
    client_body_temp_path $work/client_body;
    proxy_temp_path $work/proxied;
    fastcgi_temp_path $work/fastcgi;
    uwsgi_temp_path $work/uwsgi;
    scgi_temp_path $work/scgi;
    server {
        listen unix:$work/front;
        location / {
            proxy_pass http://$(backend);
            $(printf '%s\n            ' "${upgrade[@]}")
        }
    }
}
END
    front=ws+unix://$work/front:/chat
    ready=(test -e "$work/front.pid")
    proxied_or_die env "$(libraries "$nginx")" "$nginx" -e stderr -p "$work" -c "$work/nginx.conf"
}

# Without the three lines the server answers with status 426 (Upgrade Required).
nginx() {
    through with_nginx
    serve 127.0.0.1:0
    with_nginx '# the defaults'
    fails_with 'HTTP 426' "${peer[@]}" client "$front"
    stop_proxy
    stop
}

client_nginx() { client_through with_nginx; }

# --- HAProxy

# Listens for HTTP/1.1 and for HTTP/2, both without TLS.
# usage: with_haproxy [LINE]...      (more about the backend)
with_haproxy() {
    local haproxy
    haproxy=$(program haproxy haproxy)
    cat >"$work/haproxy.cfg" <<END
global
    maxconn 100
    stats socket $work/stats
defaults
    mode http
    timeout connect 10s
    timeout client 60s
    timeout server 60s
    timeout tunnel 60s
frontend front
    bind unix@$work/front
    bind unix@$work/front.http2 proto h2
    default_backend back
backend back
    server server $(backend)
    $(printf '%s\n    ' "$@")
END
    front=ws+unix://$work/front:/chat
    ready=(test -S "$work/front.http2")
    proxied_or_die env "$(libraries "$haproxy")" "$haproxy" -db -f "$work/haproxy.cfg"
}

haproxy() { through with_haproxy; }

client_haproxy() { client_through with_haproxy; }

# The echo_server is healthy, by the default check and by one of its own path.
haproxy_health() {
    local check
    for check in 'option httpchk' 'option httpchk GET /health'; do
        serve 127.0.0.1:0
        with_haproxy "$check" 'default-server check inter 50ms fall 1' "server checked $(backend)"
        bounded python3 "$here/haproxy_health.py" "$work/stats" || die "it is not healthy, by $check"
        stop_proxy
        rm -f "$work/stats"
        stop
    done
}

with_haproxy_http2() {
    with_haproxy
    front=ws+unix://$work/front.http2:/chat
}

haproxy_http2() { through_http2 with_haproxy_http2; }

# An HTTP/2 client sends an extended CONNECT (RFC 8441). The proxy turns the request into an HTTP/1.1 upgrade.
#
# HAProxy answers the server's end of the connection with RST_STREAM (CANCEL), after all data.
through_http2() {
    local option
    use_http2
    for option in '' --deflate --deflate=15; do
        serve ${option:+"$option"} 127.0.0.1:0
        peer_through "$1" "$(extensions_with "$option")"
    done
}

# --- Apache httpd

# Apache cannot listen on a Unix socket. If another program takes the port first, the next attempt uses another port.
# usage: with_apache DIRECTIVES
with_apache() {
    local apache modules attempt port
    apache=$(program apache2 apache2-bin)
    modules=${apache%/sbin/*}/lib/apache2/modules
    for attempt in 1 2 3 4 5; do
        port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
        cat >"$work/apache.conf" <<END
ServerRoot "$work"
ServerName localhost
Listen 127.0.0.1:$port
PidFile "$work/front.pid"
DefaultRuntimeDir "$work"
ErrorLog "$work/front.log"
LoadModule mpm_event_module "$modules/mod_mpm_event.so"
LoadModule authz_core_module "$modules/mod_authz_core.so"
LoadModule proxy_module "$modules/mod_proxy.so"
LoadModule proxy_http_module "$modules/mod_proxy_http.so"
LoadModule proxy_wstunnel_module "$modules/mod_proxy_wstunnel.so"
$([[ $(id -u) != 0 ]] || printf 'User nobody\nGroup nogroup')
$1
END
        front=ws://127.0.0.1:$port/chat
        ready=(grep -qs 'resuming normal operations' "$work/front.log")
        proxied env "$(libraries "$apache")" "$apache" -d "$work" -f "$work/apache.conf" -DFOREGROUND && return
    done
    die "Apache does not listen: $(cat "$work/proxy.log" "$work/front.log")"
}

# mod_proxy_http forwards only upgrades to the named protocol.
with_apache_http() { with_apache "ProxyPass / http://$(backend)/ upgrade=websocket"; }

# Without this directive mod_proxy_wstunnel leaves the work to mod_proxy_http.
with_apache_wstunnel() {
    with_apache "ProxyWebsocketFallbackToProxyHttp Off
ProxyPass / ws://$(backend)/"
}

apache_http() { through with_apache_http; }

apache_wstunnel() { through with_apache_wstunnel; }

client_apache() { client_through with_apache_http; }
