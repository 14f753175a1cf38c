#!/bin/sh
# Makes the certificates of the tests anew: an authority, and a server and a client that it vouches for. They guard nothing.
set -eu
cd "$(dirname "$0")"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500 -sha256 \
  -subj '/CN=Callscribe test authority' -keyout ca-key.pem -out ca.pem
for name in server other-server client; do
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -sha256 \
    -subj "/CN=$name.test" -keyout "$name-key.pem" -out request.pem
  openssl x509 -req -in request.pem -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 36500 -sha256 -out "$name.pem"
done
rm -f request.pem ca-key.pem ca.srl
