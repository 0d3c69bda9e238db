# Says what the heavy tests need and how to get it, before they start.
missing=0
need() {
	echo "test-servers needs $1: $2" >&2
	missing=1
}
[ "$(uname -s)" = Linux ] || need "Linux" "the tests mount a tmpfs and kill real processes"
[ "$(id -u)" = 0 ] || need "root" "to mount a small tmpfs for the full-disk test; run: sudo make test-servers"
command -v mount >/dev/null 2>&1 || need "mount" "apt-get install mount"
command -v python3 >/dev/null 2>&1 || need "python3" "apt-get install python3"
sh scripts/need-postgres.sh >/dev/null 2>&1 || need "the programs of Postgres and PgBouncer" "apt-get install postgresql pgbouncer"
command -v curl >/dev/null 2>&1 || need "curl" "apt-get install curl"
free_kb=$(df -Pk "${TMPDIR:-/tmp}" | awk 'NR == 2 { print $4 }')
[ "${free_kb:-0}" -ge 4000000 ] || need "4 GB free under ${TMPDIR:-/tmp}" "set TMPDIR to a larger disk"
cache="${XDG_CACHE_HOME:-$HOME/.cache}/osproxy-ci"
server() { # NAME MODULE VARIABLE-VALUE VARIABLE
	version=$(cat ".ci/$1.version")
	[ -x "${3:-$cache/$1-$version/$1}" ] || command -v "$1" >/dev/null 2>&1 ||
		need "$1" "GOBIN=$cache/$1-$version go install $2@$version (minutes, once), or set $4"
}
server minio github.com/minio/minio "${OSPD_TEST_MINIO:-}" OSPD_TEST_MINIO
server versitygw github.com/versity/versitygw/cmd/versitygw "${OSPD_TEST_VERSITYGW:-}" OSPD_TEST_VERSITYGW
command -v node >/dev/null 2>&1 || command -v nodejs >/dev/null 2>&1 || need "node" "apt-get install nodejs"
[ -x "${OSPD_TEST_CHROMIUM:-}" ] || command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1 ||
	need "chromium" "apt-get install chromium, or set OSPD_TEST_CHROMIUM"
version=$(sed -n 's/.*"playwright-core": "\([0-9.]*\)".*/\1/p' e2e/browser/package.json)
folder="$cache/playwright-core-$version"
[ -d "${OSPD_TEST_PLAYWRIGHT:-$folder/node_modules}/playwright-core" ] ||
	need "playwright-core" "mkdir -p $folder && cp e2e/browser/package*.json $folder && npm ci --prefix $folder --ignore-scripts (npm: apt-get install npm), or set OSPD_TEST_PLAYWRIGHT"
exit $missing
