# Runs every fuzz target of the module for FUZZTIME, one after another.
set -eu
found=0
for dir in $("$GO" list -f '{{.Dir}}' ./...); do
	for target in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(f \*testing\.F).*/\1/p' "$dir"/*_test.go 2>/dev/null); do
		found=1
		(cd "$dir" && "$GO" test -run '^$' -fuzz "^$target\$" -fuzztime "$FUZZTIME" .)
	done
done
[ "$found" = 1 ] || { echo "no fuzz target found" >&2; exit 1; }
