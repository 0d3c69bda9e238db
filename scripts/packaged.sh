# Writes what a package of osp brings besides the binary, into a folder:
# completions/ for bash, zsh and fish, and manpages/ with the manual, compressed.
# usage: packaged.sh DIR [VERSION [DATE]]; needs go and gzip
set -eu
dir=$1
cli=github.com/osproxy/osproxy/cmd/osp/cli
work=$(mktemp -d "${TMPDIR:-/tmp}/osp-packaged.XXXXXX")
trap 'rm -rf "$work"' EXIT
CGO_ENABLED=0 "${GO:-go}" build -trimpath -ldflags "-X $cli.version=${2:-} -X $cli.date=${3:-}" -o "$work/osp" ./cmd/osp
rm -rf "$dir/completions" "$dir/manpages"
mkdir -p "$dir/completions"
OSP_HOME=$work
export OSP_HOME
"$work/osp" completion bash >"$dir/completions/osp.bash"
"$work/osp" completion zsh >"$dir/completions/_osp"
"$work/osp" completion fish >"$dir/completions/osp.fish"
"$work/osp" completion powershell >"$dir/completions/osp.ps1"
"$work/osp" man "$dir/manpages"
gzip -n -9 "$dir"/manpages/*.1
