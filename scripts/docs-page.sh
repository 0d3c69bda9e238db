# Renews what /docs is made of (daemon/api/docs/assets) from the npm package
# swagger-ui-dist: scripts/docs-page.sh [VERSION]. Without one, that of
# daemon/api/docs/README.md, whose sums it then comes to again.
set -eu
cd "$(dirname "$0")/.."
to=$PWD/daemon/api/docs
version=${1:-$(sed -n 's/^| version | \([0-9.]*\) |$/\1/p' "$to/README.md")}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
npm pack --silent "swagger-ui-dist@$version" >/dev/null # npm compares what it gets with the registry's sum
tar xzf "swagger-ui-dist-$version.tgz"
rows=
for file in swagger-ui-bundle.js swagger-ui.css; do
	gzip -9 -n -c "package/$file" >"$to/assets/$file.gz"
	rows="$rows| \`$file\` | \`$(sha256sum <"package/$file" | cut -d' ' -f1)\` |
"
done
for file in LICENSE NOTICE swagger-ui-bundle.js.LICENSE.txt; do
	printf '%s of swagger-ui-dist %s\n\n' "$file" "$version"
	cat "package/$file"
	printf '\n\n'
done >"$to/assets/licenses.txt"
sed -e "s/^| version | .* |\$/| version | $version |/" \
	-e "s|^. package sum . .* .\$|\| package sum \| \`sha512-$(openssl dgst -sha512 -binary "swagger-ui-dist-$version.tgz" | base64 -w 0)\` \||" \
	-e '/^| `swagger-ui/d' "$to/README.md" >README.md
printf '%s' "$rows" >rows
sed -e '/^| package sum |/r rows' README.md >"$to/README.md"
