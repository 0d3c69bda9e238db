# Says what the tests on Postgres need and how to get it, before they start.
have() {
	command -v "${1##*/}" >/dev/null 2>&1 && return 0
	for program in "$@"; do
		[ -x "$program" ] && return 0
	done
	return 1
}
have /usr/lib/postgresql/*/bin/initdb && have /usr/sbin/pgbouncer && exit 0
echo "test-postgres needs Postgres' programs (initdb on PATH or under /usr/lib/postgresql) and pgbouncer: apt-get install postgresql pgbouncer" >&2
exit 1
