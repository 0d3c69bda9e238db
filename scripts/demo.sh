# The two-minute tour as a program: what `make demo` runs. It needs nothing but
# the two binaries and the coreutils, prints every command as a user would type
# it, and works in a folder of its own that it removes.
set -eu

bin=${OSP_BIN:-bin}
work=$(mktemp -d "${TMPDIR:-/tmp}/osp-demo.XXXXXX")
daemon=
finish() {
	status=$?
	trap - EXIT INT TERM
	if [ -n "$daemon" ]; then
		kill "$daemon" 2>/dev/null || true
		wait "$daemon" 2>/dev/null || true
	fi
	[ "$status" = 0 ] || { echo "demo failed; the daemon said:" >&2; tail -n 20 "$work/ospd.log" >&2 || true; }
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

PATH="$bin:$PATH"
OSP_HOME="$work/osp-home"
OSP_PROGRESS=none
export PATH OSP_HOME OSP_PROGRESS
cd "$work"

say "Start the daemon on a free port; everything it keeps is under ./data."
echo '$ ospd serve --listen 127.0.0.1:0 --data data --ready-file ready &'
ospd serve --listen 127.0.0.1:0 --data data --ready-file ready >ospd.log 2>&1 &
daemon=$!
tries=0
until [ -s ready ]; do
	kill -0 "$daemon" 2>/dev/null || { daemon=; exit 1; }
	tries=$((tries + 1))
	[ "$tries" -lt 300 ] || exit 1
	sleep 0.1
done
OSP_SERVER=$(cat ready)
export OSP_SERVER
echo "$ export OSP_SERVER=$OSP_SERVER"

say "Put a file of 64 MiB; what comes back is its uid."
run dd if=/dev/urandom of=big.bin bs=1048576 count=64 status=none
echo '$ uid=$(osp put -q big.bin)'
uid=$(osp put -q big.bin)
echo "$uid"

say "Get it back and compare."
run osp get "$uid" -o back.bin
run cmp big.bin back.bin
echo "identical"

say "Put the same bytes under another name: proven to be here, not sent."
echo '$ osp put --json big.bin --name copy.bin'
osp put --json big.bin --name copy.bin >put.json
cat put.json
field() { sed -n "s/.*\"type\":\"result\".*\"$1\":\"\{0,1\}\([^,\"}]*\).*/\1/p" put.json; }
[ "$(field outcome)" = instant ] || { echo "the second put was not instant" >&2; exit 1; }
printf 'sent now: %s bytes; size: %s bytes\n' "$(field sent_bytes)" "$(wc -c <big.bin | tr -d ' ')"
run osp rm -y "$uid"
uid=$(field uid)
run osp get "$uid" -o copy.bin
run cmp big.bin copy.bin
echo "identical, and the first one is deleted"
run osp ls

say "Put another file, and kill osp in the middle of it."
run dd if=/dev/urandom of=other.bin bs=1048576 count=512 status=none
echo '$ osp put other.bin &'
kept() { du -sk data | cut -f1; }
for attempt in 1 2 3; do
	enough=$(($(kept) + 160 * 1024))
	osp put other.bin >put.out 2>put.err &
	put=$!
	while kill -0 "$put" 2>/dev/null && [ "$(kept)" -lt "$enough" ]; do sleep 0.02; done
	kill -9 "$put" 2>/dev/null || true
	wait "$put" 2>/dev/null || true
	[ -s put.out ] || break
	# It finished before the kill: once more, with new bytes.
	dd if=/dev/urandom of=other.bin bs=1048576 count=512 status=none
done
echo "$ kill -9 $put"
[ ! -s put.out ] || { echo "the put was never caught in the middle" >&2; exit 1; }
run osp transfers list

say "Run the same command again: only what is missing is sent."
echo '$ osp put --json other.bin'
osp put --json other.bin >put.json
cat put.json
uid=$(field uid)
printf 'found held: %s bytes; sent now: %s bytes; size: %s bytes\n' \
	"$(field resumed_bytes)" "$(field sent_bytes)" "$(wc -c <other.bin | tr -d ' ')"

say "Get it back and compare."
run osp get "$uid" -o other-back.bin
run cmp other.bin other-back.bin
echo "identical"

say "Stop the daemon; it finishes what it is doing and leaves with 0."
echo "$ kill $daemon"
kill "$daemon"
status=0
wait "$daemon" || status=$?
daemon=
[ "$status" = 0 ] || { echo "the daemon left with $status" >&2; exit 1; }

say "And check everything it keeps, every byte of it."
run ospd fsck --read-data --data data
printf '\nDemo done.\n'
