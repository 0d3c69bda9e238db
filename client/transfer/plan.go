package transfer

import "github.com/osproxy/osproxy/protocol"

// maxRun is the most blocks of one request: enough to make its overhead
// small, few enough to spread a file over connections.
const maxRun = 4

// run is a range of whole blocks, from 0: first to before end.
type run struct{ first, end int }

// plan cuts the missing blocks into runs of neighbours, in order. There are
// at least as many runs as connections, while there are blocks for them.
func plan(missing []int, connections int) []run {
	most := min(max(len(missing)/max(connections, 1), 1), maxRun)
	var runs []run
	for _, i := range missing {
		if n := len(runs); n > 0 && runs[n-1].end == i && i-runs[n-1].first < most {
			runs[n-1].end++
			continue
		}
		runs = append(runs, run{i, i + 1})
	}
	return runs
}

// bytes is where the run lies in content of size bytes.
func (r run) bytes(size int64) (off, n int64) {
	off = int64(r.first) * protocol.BlockSize
	return off, min(int64(r.end)*protocol.BlockSize, size) - off
}
