# Makes certificates with the command openssl: sourced by the scripts of tests/wss, tests/proxies and tests/autobahn.
# Each is two files, PATH.pem and PATH.key.
# shellcheck shell=bash disable=SC2154

# Makes a private key and a request for a certificate.
# usage: requested PATH
requested() {
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$(basename "$1")" \
        -keyout "$1.key" -out "$1.csr" 2>>"$1.log"
}

# Signs a request. OPTIONS are those of `openssl x509`.
# usage: signed PATH AUTHORITY EXTENSIONS [OPTION]...
signed() {
    openssl x509 -req -days 2 -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -CAcreateserial \
        -extfile <(printf '%b\n' "$3") -out "$1.pem" "${@:4}" 2>>"$1.log"
}

# Makes an authority that nothing else trusts.
# usage: authority PATH
authority() {
    openssl req -x509 -days 2 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$(basename "$1")" \
        -addext keyUsage=critical,keyCertSign -keyout "$1.key" -out "$1.pem" 2>>"$1.log"
}

# Makes an authority below another one.
# usage: lower_authority PATH AUTHORITY
lower_authority() {
    requested "$1"
    signed "$1" "$2" 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign'
}

# The extensions of a server's certificate.
# usage: for_names SUBJECT_ALT_NAME
for_names() { printf '%s\n' "subjectAltName=$1" basicConstraints=CA:FALSE extendedKeyUsage=serverAuth; }

readonly LOOPBACK='DNS:localhost,IP:127.0.0.1,IP:::1'

# Makes a server's certificate for the names of the loopback, or for others.
# usage: certificate PATH AUTHORITY [SUBJECT_ALT_NAME]
certificate() {
    requested "$1"
    signed "$1" "$2" "$(for_names "${3:-$LOOPBACK}")"
}

# Makes a server's certificate that has expired. `openssl x509` cannot do that.
# usage: expired_certificate PATH AUTHORITY
expired_certificate() {
    requested "$1"
    : >"$1.index"
    printf '%s\n' '[ca]' 'default_ca=own' '[own]' "database=$1.index" "new_certs_dir=$(dirname "$1")" \
        policy=any default_md=sha256 rand_serial=yes '[any]' commonName=supplied >"$1.conf"
    openssl ca -batch -config "$1.conf" -cert "$2.pem" -keyfile "$2.key" -notext -in "$1.csr" \
        -startdate 20200101000000Z -enddate 20200201000000Z -extfile <(for_names "$LOOPBACK") \
        -out "$1.pem" 2>>"$1.log"
}

# Makes a server's certificate that signs itself.
# usage: own_certificate PATH
own_certificate() {
    openssl req -x509 -days 2 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$(basename "$1")" \
        -addext "subjectAltName=$LOOPBACK" -keyout "$1.key" -out "$1.pem" 2>>"$1.log"
}

# Makes the certificates of a script's servers, once, in the directory `work`: `root` is trusted, `lower` is below it,
# `server` is below `lower`, and `chain.pem` is what a server sends.
make_certificates() {
    [[ ! -e $work/chain.pem ]] || return 0
    authority "$work/root"
    lower_authority "$work/lower" "$work/root"
    certificate "$work/server" "$work/lower"
    cat "$work/server.pem" "$work/lower.pem" >"$work/chain.pem"
}
