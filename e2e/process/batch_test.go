package process

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

// batchKills is how often the run of a batch is killed.
const batchKills = 5

// TestKilledBatch: see killBatch.
func TestKilledBatch(t *testing.T) { killBatch(t, 1000) }

// batchJob is a batch of one kind of line after the other, and what it must
// come to.
type batchJob struct {
	t     *testing.T
	osp   *harness.OSP
	lines []string
	// By number of line from 1: the name and the content of what is put, the
	// target and the content of what is got.
	puts, gets map[int]batchFile
	targets    string // the folder of what is got
	removed    []protocol.UID
	// kept are the uids of the files that were there before and stay.
	kept []protocol.UID
}

type batchFile struct {
	name, source string
	size         int64
}

// killBatch runs a batch of count mixed lines through a gate, kills it several
// times, at bytes that are spread over all that is to be sent, and runs the same
// command again until it is done. There is then one file for each put, every get
// is whole and every rm done, and of bytes only those were sent again that lines
// were sending when their run was killed.
func killBatch(t *testing.T, count int) {
	d := harness.StartDaemon(t, bin, t.TempDir())
	job := newBatchJob(t, d.URL, count)
	batch, journal := filepath.Join(job.osp.Dir, "batch"), filepath.Join(job.osp.Dir, "journal")
	if err := os.WriteFile(batch, []byte(strings.Join(job.lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"run", batch, "--journal", journal, "--json", "-y", "-j", "8"}

	total := job.payload()
	gate := harness.NewGate(t, d.URL, harness.Up, total/batchKills/2)
	job.osp.Server = gate.URL
	allowed := total + wireSlack
	for i := range batchKills {
		p := job.osp.Start(args...)
		select {
		case <-gate.Reached():
		case <-p.Done():
			t.Fatalf("run %d ended with %d before it could be killed:\n%s", i, p.Wait(), p.Stderr())
		}
		p.Kill()
		for line := range job.open(journal) {
			allowed += job.puts[line].size
		}
		gate.Reopen(t, d.URL, max(total*int64(2*i+3)/batchKills/2, passedUp(gate)+1))
	}
	gate.Reopen(t, d.URL, -1)
	exit, p := job.osp.Run(args...)
	if exit != 0 {
		t.Fatalf("exit %d\n%s", exit, p.Stderr())
	}
	job.check(d.API(), p.Stdout())
	if sent := passedUp(gate); sent < total || sent > allowed {
		t.Errorf("%d bytes were sent for %d of content; with what lines were sending when they were killed %d are allowed", sent, total, allowed)
	}
	if open := job.open(journal); len(open) > 0 {
		t.Errorf("the journal leaves lines open: %v", open)
	}

	before := passedUp(gate)
	exit, p = job.osp.Run(args...)
	if again := passedUp(gate) - before; exit != 0 || again != 0 {
		t.Errorf("run again: exit %d, %d bytes sent\n%s", exit, again, p.Stderr())
	}
	job.check(d.API(), p.Stdout())
	gate.Close()
	stopClean(t, d)
}

func passedUp(g *harness.Gate) int64 {
	up, _ := g.Passed()
	return up
}

// newBatchJob makes the files that the batch puts, and puts those that it gets
// and removes: a tenth each. Every 200th of the others is too large for one
// request, and of content that the daemon does not know yet.
func newBatchJob(t *testing.T, url string, count int) *batchJob {
	t.Helper()
	job := &batchJob{t: t, osp: harness.NewOSP(t, bin, url), puts: map[int]batchFile{}, gets: map[int]batchFile{}, targets: t.TempDir()}
	sources := t.TempDir()
	random := rand.New(rand.NewPCG(1, uint64(count)))
	files := make([]batchFile, count*8/10)
	for i := range files {
		f := batchFile{name: fmt.Sprintf("put/%d", i), source: filepath.Join(sources, fmt.Sprint(i)), size: 1<<10 + random.Int64N(19<<10)}
		if i >= count*2/10 && i%200 == 7 {
			f.size = 2<<20 + random.Int64N(1<<20)
		}
		if err := os.WriteFile(f.source, harness.Content(uint64(i), f.size), 0o600); err != nil {
			t.Fatal(err)
		}
		files[i] = f
	}
	uids := job.prepare(files[:count*2/10])
	var lines []func(number int) map[string]any
	for i, f := range files {
		lines = append(lines, func(number int) map[string]any {
			job.puts[number] = f
			return map[string]any{"op": "put", "path": f.source, "name": f.name, "id": fmt.Sprint(i)}
		})
	}
	for i, uid := range uids {
		if i%2 == 0 {
			job.removed = append(job.removed, uid)
			lines = append(lines, func(int) map[string]any { return map[string]any{"op": "rm", "uid": uid} })
			continue
		}
		job.kept = append(job.kept, uid)
		target := filepath.Join(job.targets, fmt.Sprint(i))
		lines = append(lines, func(number int) map[string]any {
			job.gets[number] = batchFile{name: target, source: files[i].source, size: files[i].size}
			return map[string]any{"op": "get", "uid": uid, "path": target}
		})
	}
	random.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	for i, line := range lines {
		text, err := json.Marshal(line(i + 1))
		if err != nil {
			t.Fatal(err)
		}
		job.lines = append(job.lines, string(text))
	}
	return job
}

// prepare puts files, by a batch of its own, and gives their uids.
func (job *batchJob) prepare(files []batchFile) []protocol.UID {
	job.t.Helper()
	var text bytes.Buffer
	for i, f := range files {
		fmt.Fprintf(&text, `{"op":"put","path":%q,"name":"before/%d"}`+"\n", f.source, i)
	}
	exit, p := job.osp.Run("run", harness.WriteFile(job.t, "batch", text.Bytes()), "-q", "-j", "16")
	uids := strings.Fields(p.Stdout())
	if exit != 0 || len(uids) != len(files) {
		job.t.Fatalf("exit %d, %d uids\n%s", exit, len(uids), p.Stderr())
	}
	all := make([]protocol.UID, len(uids))
	for i, uid := range uids {
		if err := all[i].UnmarshalText([]byte(uid)); err != nil {
			job.t.Fatal(err)
		}
	}
	return all
}

// payload is how much there is to send.
func (job *batchJob) payload() (n int64) {
	for _, f := range job.puts {
		n += f.size
	}
	return n
}

// open are the lines that the journal says were begun and did not end, as a
// program that reads it would find out.
func (job *batchJob) open(journal string) map[int]bool {
	job.t.Helper()
	text, err := os.ReadFile(journal)
	if err != nil {
		job.t.Fatal(err)
	}
	open := map[int]bool{}
	ended := 0
	for line := range strings.Lines(string(text)) {
		if !strings.HasSuffix(line, "\n") {
			break // torn
		}
		var record struct {
			Type string
			Line int
			OK   bool
		}
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			job.t.Fatalf("the journal has %q: %v", line, err)
		}
		switch record.Type {
		case "begin":
			open[record.Line] = true
		case "end":
			if !record.OK {
				job.t.Errorf("line %d failed: %s", record.Line, line)
			}
			ended++
			delete(open, record.Line)
		}
	}
	job.t.Logf("%d of %d lines are done, %d are open", ended, len(job.lines), len(open))
	return open
}

// check compares what a last run said with what the daemon and the disk have.
func (job *batchJob) check(api *harness.API, stdout string) {
	job.t.Helper()
	said := job.results(stdout)
	files := map[protocol.UID]protocol.File{}
	names := map[string]int{}
	for _, f := range api.Files() {
		files[f.UID] = f
		names[f.Name]++
	}
	if want := len(job.puts) + len(job.kept); len(files) != want {
		job.t.Errorf("there are %d files, want %d", len(files), want)
	}
	for _, uid := range job.removed {
		if _, there := files[uid]; there {
			job.t.Errorf("%s was to be removed", uid)
		}
	}
	for number, put := range job.puts {
		f := files[said[number]]
		if names[put.name] != 1 || f.Name != put.name || f.Size != put.size || f.Digest == nil || *f.Digest != digestOf(job.t, put.source) {
			job.t.Errorf("line %d: %d files of the name %s, and its uid %s is %+v", number, names[put.name], put.name, said[number], f)
		}
	}
	for number, get := range job.gets {
		if harness.SumFile(job.t, get.name) != harness.SumFile(job.t, get.source) {
			job.t.Errorf("line %d: what came is not what was put", number)
		}
	}
	left, err := os.ReadDir(job.targets)
	if err != nil || len(left) != len(job.gets) {
		job.t.Errorf("%d files lie where %d were got (%v)", len(left), len(job.gets), err)
	}
}

// results are the uids that a run said, by line, after its numbers were added up.
func (job *batchJob) results(stdout string) map[int]protocol.UID {
	job.t.Helper()
	said := map[int]protocol.UID{}
	var bytes, sent, held int64
	var sum struct {
		Items, Done, Failed, Skipped int
		Exit                         int
		NotBegun                     int `json:"not_begun"`
		Bytes                        int64
		SentBytes                    int64 `json:"sent_bytes"`
		ResumedBytes                 int64 `json:"resumed_bytes"`
	}
	skipped := 0
	for text := range strings.Lines(stdout) {
		var r struct {
			harness.Result
			Line int
		}
		if strings.Contains(text, `"type":"summary"`) {
			if err := json.Unmarshal([]byte(text), &sum); err != nil {
				job.t.Fatal(err)
			}
			continue
		}
		if err := json.Unmarshal([]byte(text), &r); err != nil || !r.OK {
			job.t.Fatalf("%s: %v", text, err)
		}
		said[r.Line] = r.UID
		bytes, sent, held = bytes+r.Size, sent+r.SentBytes, held+r.ResumedBytes
		if r.Outcome == "skipped" {
			skipped++
		}
	}
	n := len(job.lines)
	if len(said) != n || sum.Items != n || sum.Done != n || sum.Failed != 0 || sum.Exit != 0 || sum.NotBegun != 0 || sum.Skipped != skipped ||
		sum.Bytes != bytes || sum.SentBytes != sent || sum.ResumedBytes != held {
		job.t.Errorf("%d results with %d bytes, %d sent, %d held and %d skipped, and the summary %+v", len(said), bytes, sent, held, skipped, sum)
	}
	all := job.payload()
	for _, f := range job.gets {
		all += f.size
	}
	if sum.Bytes != all {
		job.t.Errorf("the summary has %d bytes, the batch has %d", sum.Bytes, all)
	}
	return said
}

func digestOf(t *testing.T, path string) protocol.Digest {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	digest, _, err := protocol.HashContent(f)
	if err != nil {
		t.Fatal(err)
	}
	return digest
}
