# Makes what compose.cluster.yaml keeps secret, once, and the configuration of the
# nodes with it. What is there stays, so that a second start changes nothing.
# The folders are volumes; a test names others.
set -eu
umask 077
secrets=${SECRETS:-/secrets} config=${CONFIG:-/config} authority=${AUTHORITY:-/authority}
ospd=65532

make() {
	[ -s "$secrets/$1" ] && return
	od -An -v -N20 -tx1 /dev/urandom | tr -d ' \n' >"$secrets/$1.new"
	mv "$secrets/$1.new" "$secrets/$1"
}
make postgres-password
make minio-password
# The servers read them as users of their own, and nobody else has the volume.
chmod 0755 "$secrets"
chmod 0444 "$secrets"/*

cat >"$config/ospd.yaml.new" <<YAML
db: postgres://ospd:$(cat "$secrets/postgres-password")@postgres:5432/ospd?sslmode=disable
default_store: minio
stores:
  minio:
    type: s3
    endpoint: http://minio:9000
    region: us-east-1
    bucket: ospd
    path_style: true
    access_key_id: ospd
    secret_access_key: $(cat "$secrets/minio-password")
cluster:
  peer_listen: 0.0.0.0:8890
  tls: {cert: /var/lib/ospd/peer/peer.crt, key: /var/lib/ospd/peer/peer.key, ca: /var/lib/ospd/peer/ca.crt}
YAML
mv "$config/ospd.yaml.new" "$config/ospd.yaml"
chown "$ospd:$ospd" "$config" "$config/ospd.yaml" "$authority"
chmod 0700 "$authority"
