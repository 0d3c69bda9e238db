# Runs every fuzz target of the module for FUZZTIME, FUZZJOBS (2) at a time. A
# target begins from the cases that are committed beside it, in testdata/fuzz;
# one that has none is an error. What a target finds is written there too.
set -eu

# ended: the fuzzer took the end of its time for a failure. It does so now and
# then, when it learns of the end before its workers do.
ended() {
	printf '%s\n' "$1" | grep -q '^    context deadline exceeded$' && ! printf '%s\n' "$1" | grep -Eq 'Failing input|^panic:|_test\.go:[0-9]+:'
}

if [ $# = 2 ]; then
	dir=$1 target=$2
	[ -n "$(ls "$dir/testdata/fuzz/$target" 2>/dev/null)" ] || {
		echo "$target has no cases in $dir/testdata/fuzz/$target" >&2; exit 1; }
	cd "$dir"
	# By default most of the time goes into making inputs smaller.
	if out=$("$GO" test -run '^$' -fuzz "^$target\$" -fuzztime "$FUZZTIME" -fuzzminimizetime 100x -parallel 1 . 2>&1) || ended "$out"; then
		printf '%s\n' "$out" | sed -n "s|^fuzz: elapsed: \(.*\)|$target: \1|p" | tail -1
	else
		printf '%s: FAILED\n%s\n' "$target" "$out"
		exit 1
	fi
	exit
fi

targets=$(for dir in $("$GO" list -f '{{.Dir}}' ./...); do
	sed -n "s|^func \(Fuzz[A-Za-z0-9_]*\)(f \*testing\.F).*|$dir \1|p" "$dir"/*_test.go 2>/dev/null || true
done)
[ -n "$targets" ] || { echo "no fuzz target found" >&2; exit 1; }
printf '%s\n' "$targets" | xargs -P "${FUZZJOBS:-2}" -n 2 sh "$0"
