#!/bin/sh
# install-peers.sh: installs the peers that are not crates: bun and ws from npm, into target/peers, and Boost
# (for Beast) from Debian's packages, for the whole machine.
set -eu
cd "$(dirname "$0")"
mkdir -p target/peers
npm install --prefix target/peers --no-fund --no-audit bun ws
if [ ! -f /usr/include/boost/beast.hpp ]; then
    apt-get install -y --no-install-recommends g++ libboost-dev
fi
