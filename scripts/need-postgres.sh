# Says what the tests on Postgres need and how to get it, before they start.
command -v initdb >/dev/null 2>&1 && exit 0
for program in /usr/lib/postgresql/*/bin/initdb; do
	[ -x "$program" ] && exit 0
done
echo "test-postgres needs Postgres' programs (initdb on PATH or under /usr/lib/postgresql): apt-get install postgresql" >&2
exit 1
