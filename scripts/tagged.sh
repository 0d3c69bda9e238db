#!/bin/sh
# Prints those of the packages named by the patterns whose test binary is another
# with the build tag than without it: a file of theirs, of their tests, or of
# anything that they are made of is there with the tag alone, or without it alone.
# The others prove nothing more by being run with the tag.
#   usage: scripts/tagged.sh TAG PATTERN...
set -eu
tag=$1
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

files='{{if not .Standard}}{{.ImportPath}}{{"\t"}}{{.GoFiles}}{{.CgoFiles}}{{end}}'
go list -test -deps -f "$files" "$@" >"$work/without"
go list -tags "$tag" -test -deps -f "$files" "$@" >"$work/with"
binaries='{{if .ForTest}}{{else if eq .Name "main"}}{{.ImportPath}}{{range .Deps}}{{"\t"}}{{.}}{{end}}{{end}}'
go list -tags "$tag" -test -f "$binaries" "$@" >"$work/binaries"

awk -F '\t' '
	FILENAME == ARGV[1] { without[$1] = $2; next }
	FILENAME == ARGV[2] { with[$1] = $2; if (without[$1] != $2) differs[$1] = 1; next }
	FNR == 1 { for (p in without) if (!(p in with)) differs[p] = 1 }
	$1 ~ /\.test$/ {
		for (i = 2; i <= NF; i++) if ($i in differs) { sub(/\.test$/, "", $1); print $1; found = 1; break }
	}
	END { exit !found }
' "$work/without" "$work/with" "$work/binaries"
