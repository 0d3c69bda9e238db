# A cluster in a minute, without a container's engine: what `make demo-cluster`
# runs. Postgres, MinIO and three ospd of its own in a folder that it removes, on
# loopback; it ends only what it started. It needs the two binaries, Postgres'
# programs, MinIO, curl and the coreutils.
set -eu
cd "$(dirname "$0")/.."

lacking=0
need() {
	echo "demo-cluster needs $1: $2" >&2
	lacking=1
}
postgres=
for program in "$(command -v initdb || true)" /usr/lib/postgresql/*/bin/initdb; do
	[ ! -x "$program" ] || postgres=$(dirname "$(readlink -f "$program")")
done
[ -n "$postgres" ] || need "Postgres' programs" "apt-get install postgresql"
version=$(cat .ci/minio.version)
cached="${XDG_CACHE_HOME:-$HOME/.cache}/osproxy-ci/minio-$version"
minio=${OSPD_TEST_MINIO:-$cached/minio}
[ -x "$minio" ] || minio=$(command -v minio || true)
[ -n "$minio" ] || need "MinIO" "GOBIN=$cached go install github.com/minio/minio@$version (minutes, once), or set OSPD_TEST_MINIO"
command -v curl >/dev/null 2>&1 || need "curl" "apt-get install curl"
# Postgres does not run as root.
as=
if [ "$(id -u)" = 0 ]; then
	command -v setpriv >/dev/null 2>&1 || need "setpriv" "apt-get install util-linux, or run it as another user than root"
	as="setpriv --reuid=$(id -u nobody) --regid=$(id -g nobody) --clear-groups --"
fi
[ "$lacking" = 0 ] || exit 1

work=$(mktemp -d "${TMPDIR:-/tmp}/osp-cluster.XXXXXX")
pids=
finish() {
	status=$?
	trap - EXIT
	trap '' INT TERM # a second one leaves nothing behind either
	[ "$status" = 0 ] || { echo "the demo failed; its servers said:" >&2; tail -n 12 "$work"/*.log >&2 || true; }
	for pid in $pids; do
		kill "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	rm -rf "$work"
	exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say() { printf '\n# %s\n' "$*"; }
run() {
	printf '$ %s\n' "$*"
	"$@"
}
# forget takes a pid from those that are ended at the end; the first is ended first.
forget() { pids=$(printf '%s\n' $pids | grep -vx "$1" | tr '\n' ' ') || true; }
# until WHAT PID COMMAND...: the command succeeds at last, while the process lives.
until_so() {
	what=$1 pid=$2 tries=0
	shift 2
	until "$@" >/dev/null 2>&1; do
		kill -0 "$pid" 2>/dev/null || { echo "$what has ended" >&2; exit 1; }
		tries=$((tries + 1))
		[ "$tries" -lt 600 ] || { echo "waited in vain for $what" >&2; exit 1; }
		sleep 0.1
	done
}

PATH="$(cd "${OSP_BIN:-bin}" && pwd):$PATH"
OSP_HOME="$work/osp-home"
OSP_PROGRESS=none
export PATH OSP_HOME OSP_PROGRESS
secret() { od -An -v -N"$1" -tx1 /dev/urandom | tr -d ' \n'; }
# free gives a port at which nobody answers, below those that clients get.
free() {
	while :; do
		port=$((20000 + $(od -An -N2 -tu2 /dev/urandom) % 12000))
		! ospd healthcheck --listen "127.0.0.1:$port" --timeout 1s 2>&1 | grep -q 'refused$' || break
	done
	echo "$port"
}

say "Postgres for the metadata, on a socket in a folder of its own."
chmod 0711 "$work"
mkdir "$work/postgres" "$work/minio"
[ -z "$as" ] || chown "$(id -u nobody)" "$work/postgres" "$work/minio"
chmod 0700 "$work/postgres" "$work/minio"
(cd / && $as "$postgres/initdb" --pgdata "$work/postgres/data" --username ospd --auth trust --encoding UTF8 --no-locale --no-sync >"$work/initdb.log")
$as "$postgres/postgres" -D "$work/postgres/data" -c listen_addresses= -c unix_socket_directories="$work/postgres" >"$work/postgres.log" 2>&1 &
database=$!
pids="$database $pids"
until_so Postgres "$database" "$postgres/psql" --host "$work/postgres" --username ospd --dbname postgres --command 'CREATE DATABASE ospd'

say "MinIO for the bytes, with a bucket."
cp "$minio" "$work/minio/minio" # where a user without rights can run it
minio_secret=$(secret 20)
endpoint="http://127.0.0.1:$(free)"
HOME=$work/minio MINIO_ROOT_USER=demo MINIO_ROOT_PASSWORD=$minio_secret MINIO_BROWSER=off MINIO_UPDATE=off \
	$as "$work/minio/minio" server --quiet --address "${endpoint#http://}" "$work/minio/data" >"$work/minio.log" 2>&1 &
storage=$!
pids="$storage $pids"
printf 'user = "demo:%s"\n' "$minio_secret" >"$work/curl"
until_so MinIO "$storage" curl -fsS --noproxy '*' --config "$work/curl" --aws-sigv4 aws:amz:us-east-1:s3 -X PUT "$endpoint/ospd"

say "Three ospd, each with a data folder, on one configuration."
umask 077
cat >"$work/ospd.yaml" <<YAML
listen: 127.0.0.1:0
db: postgres://ospd@/ospd?host=$work/postgres
default_store: minio
stores:
  minio: {type: s3, endpoint: "$endpoint", region: us-east-1, bucket: ospd, path_style: true, access_key_id: demo, secret_access_key: $minio_secret}
cluster: {key: $(secret 32)}
YAML
sed -E 's/(secret_access_key|key): [0-9a-f]*([,}])/\1: …\2/g' "$work/ospd.yaml"
start() { # NUMBER: starts that node; $node is then its pid
	rm -f "$work/ready$1"
	eval "peer=\$peer$1"
	echo "$ OSPD_CLUSTER__PEER_LISTEN=$peer ospd --config ospd.yaml --data node$1 --ready-file ready$1 &"
	OSPD_CLUSTER__PEER_LISTEN=$peer ospd --config "$work/ospd.yaml" --data "$work/node$1" --ready-file "$work/ready$1" >>"$work/ospd$1.log" 2>&1 &
	node=$!
	pids="$node $pids"
	until_so "node $1" "$node" test -s "$work/ready$1"
	eval "node$1=\$node url$1=\$(cat \"$work/ready$1\")"
}
for n in 1 2 3; do
	eval "peer$n=127.0.0.1:$(free)"
	start $n
done
cd "$work"
run osp --server "$url1" admin nodes

say "Put a file of 64 MiB through node 1."
run dd if=/dev/urandom of=big.bin bs=1048576 count=64 status=none
echo "$ uid=\$(osp --server $url1 put -q big.bin)"
uid=$(osp --server "$url1" put -q big.bin)
echo "$uid"

say "Kill node 1, and get the file through node 2."
run kill -9 "$node1"
wait "$node1" 2>/dev/null || true
forget "$node1"
run osp --server "$url2" get "$uid" -o back.bin
run cmp big.bin back.bin
echo "identical"

say "Put another through node 3, while node 1 is gone."
run osp --server "$url3" put big.bin --name again.bin
run osp --server "$url2" admin nodes

say "Start node 1 again: it is the node that it was."
start 1
run osp --server "$url1" verify "$uid" big.bin
run osp --server "$url1" admin nodes

say "Stop the nodes; each finishes what it is doing and leaves with 0."
for n in 1 2 3; do
	eval "pid=\$node$n"
	run kill "$pid"
	status=0
	wait "$pid" || status=$?
	forget "$pid"
	[ "$status" = 0 ] || { echo "node $n left with $status" >&2; exit 1; }
done

say "And check everything that they keep, every byte of it."
echo '$ ospd fsck --read-data --config ospd.yaml --data node1'
OSPD_CLUSTER__PEER_LISTEN=$peer1 ospd fsck --read-data --config ospd.yaml --data node1
printf '\nDemo done.\n'
