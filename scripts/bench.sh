# Installs nginx and curl where they are missing, and runs the bench with
# what BENCH, ROUNDS, PEERS and LARGE say. Further arguments are its flags.
set -eu
[ "$(uname -s)" = Linux ] || { echo "bench needs Linux: it reads what servers use from /proc" >&2; exit 1; }
missing=
command -v nginx >/dev/null 2>&1 || missing="$missing nginx-light"
command -v curl >/dev/null 2>&1 || missing="$missing curl"
if [ -n "$missing" ]; then
	if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
		echo "bench needs$missing: apt-get install$missing" >&2
		exit 1
	fi
	apt-get update -qq
	# A server of the system's is not wanted, only the program.
	RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
fi
exec "$GO" run ./e2e/bench -osp "$OSP_BIN/osp" -ospd "$OSP_BIN/ospd" -work "$BENCH" -peers "$PEERS" ${ROUNDS:+-rounds "$ROUNDS"} ${LARGE:+-large} "$@"
