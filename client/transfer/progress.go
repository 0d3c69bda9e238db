package transfer

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// rateWindow is the time a rate is averaged over.
const rateWindow = 5 * time.Second

// Progress adds up what an Engine moves. Bytes found held by a resumed
// transfer count as done but never as speed. Safe for concurrent use; the zero
// value is ready.
type Progress struct {
	// Clock is time.Now where it is nil.
	Clock func() time.Time

	mu       sync.Mutex
	expItems int
	expBytes int64
	begun    int
	done     int
	total    int64
	// moved is useful bytes of ended requests, wire is all bytes ever moved.
	moved, resumed, wire int64
	instant, hash        int64
	foreseen             int64
	running              map[*flow]struct{}
	// named are the items that are not done and have a name, in the order in
	// which they got it.
	named   []*item
	samples []sample
}

type sample struct {
	at   time.Time
	wire int64
}

// Snapshot is the state of Progress at one moment. Sizes are in bytes.
type Snapshot struct {
	// Items that are expected or have begun, and that are done, well or not.
	Items, ItemsDone int
	// Name is of one item that runs: of those that do the one that began first.
	// "" while none has a name.
	Name string
	// Bytes of all items; of them those moved in this run, those found held and
	// those claimed. Their sum never exceeds what is known of Bytes for long:
	// what a failed request moved is taken back.
	Bytes, Moved, Resumed, Instant int64
	// Hashed is how far the items are that are being hashed as a whole, to be
	// claimed or compared; 0 once they are.
	Hashed int64
	// Foreseen are the bytes of items still to be done that may turn out to be
	// Instant; they count as nothing that takes time.
	Foreseen int64
	// Rate is bytes a second over the last 5 s, or since the snapshot before
	// where snapshots are further apart. 0 until it is known.
	Rate float64
	// ETA is the time the rest takes at Rate, 0 when not known.
	ETA time.Duration
}

// Done is how much of Bytes need not be moved any more.
func (s Snapshot) Done() int64 { return s.Moved + s.Resumed + s.Instant }

// Expect says what is to come, as far as the caller knows it, so that totals
// need not grow while items begin one after the other.
func (p *Progress) Expect(items int, bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expItems += items
	p.expBytes += bytes
}

// foresee counts n bytes of what is expected as such that may come to be
// claimed; less than 0 takes back some of which it is known. A nil Progress
// counts nothing.
func (p *Progress) foresee(n int64) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.foreseen += n
}

// Snapshot reads everything at once.
func (p *Progress) Snapshot() Snapshot {
	p.mu.Lock()
	defer p.mu.Unlock()
	moved, wire := p.moved, p.wire
	for f := range p.running {
		n := f.sent()
		moved += n
		wire += n
	}
	s := Snapshot{
		Items: max(p.expItems, p.begun), ItemsDone: p.done,
		Bytes: max(p.expBytes, p.total), Moved: moved, Resumed: p.resumed, Instant: p.instant, Hashed: p.hash,
		Foreseen: p.foreseen,
		Rate:     p.rate(wire),
	}
	if len(p.named) > 0 {
		s.Name = p.named[0].name
	}
	if left := s.Bytes - s.Done() - s.Foreseen; left > 0 && s.Rate > 0 {
		s.ETA = time.Duration(float64(left) / s.Rate * float64(time.Second))
	}
	return s
}

// rate notes wire and averages over the window. The oldest sample kept is the
// youngest that is at least as old as the window.
func (p *Progress) rate(wire int64) float64 {
	now := p.now()
	p.samples = append(p.samples, sample{now, wire})
	for len(p.samples) > 2 && now.Sub(p.samples[1].at) >= rateWindow {
		p.samples = p.samples[1:]
	}
	first := p.samples[0]
	if elapsed := now.Sub(first.at).Seconds(); elapsed > 0 {
		return float64(wire-first.wire) / elapsed
	}
	return 0
}

func (p *Progress) now() time.Time {
	if p.Clock != nil {
		return p.Clock()
	}
	return time.Now()
}

// item is the share of one file in a Progress. A nil Progress gives items
// that count nothing.
type item struct {
	p                    *Progress
	name                 string
	size, moved, resumed int64
	instant, hash        int64
}

// flow is one request on its way: sent says how far it is.
type flow struct{ sent func() int64 }

// begin adds an item whose size is not known yet.
func (p *Progress) begin() *item {
	it := &item{p: p}
	it.locked(func() {
		if len(p.samples) == 0 {
			p.samples = append(p.samples, sample{p.now(), p.wire})
		}
		p.begun++
	})
	return it
}

func (it *item) locked(change func()) {
	if it.p == nil {
		return
	}
	it.p.mu.Lock()
	defer it.p.mu.Unlock()
	change()
}

// called gives the item its name, "" for none.
func (it *item) called(name string) {
	it.locked(func() {
		if it.name == "" && name != "" {
			it.name, it.p.named = name, append(it.p.named, it)
		}
	})
}

// grow adds to the size of the item.
func (it *item) grow(n int64) {
	it.locked(func() { it.size += n; it.p.total += n })
}

// held counts n bytes that need not be moved.
func (it *item) held(n int64) {
	it.locked(func() { it.resumed += n; it.p.resumed += n })
}

// hashing counts n bytes that were hashed, until hashed takes them back.
func (it *item) hashing(n int64) {
	it.locked(func() { it.hash += n; it.p.hash += n })
}

func (it *item) hashed() {
	it.locked(func() { it.p.hash -= it.hash; it.hash = 0 })
}

// claimed counts n bytes that the daemon had of other files.
func (it *item) claimed(n int64) {
	it.locked(func() { it.instant += n; it.p.instant += n })
}

// watch follows a request until the returned function is called with the
// bytes it moved in the end and whether they were of use.
func (it *item) watch(sent func() int64) (end func(n int64, useful bool)) {
	f := &flow{sent}
	it.locked(func() {
		if it.p.running == nil {
			it.p.running = map[*flow]struct{}{}
		}
		it.p.running[f] = struct{}{}
	})
	return func(n int64, useful bool) {
		it.locked(func() {
			delete(it.p.running, f)
			it.p.wire += n
			if useful {
				it.moved += n
				it.p.moved += n
			}
		})
	}
}

// arrival is one download on its way. Its bytes count as moved when the block
// they belong to is good; until then they are seen but may be taken back.
type arrival struct {
	it      *item
	pending atomic.Int64
	stop    func(n int64, useful bool)
}

func (it *item) arrive() *arrival {
	a := &arrival{it: it}
	a.stop = it.watch(a.pending.Load)
	return a
}

func (a *arrival) add(n int64) { a.pending.Add(n) }

// keep counts what came since the last keep as moved.
func (a *arrival) keep() {
	a.it.locked(func() {
		n := a.pending.Swap(0)
		a.it.moved += n
		a.it.p.moved += n
		a.it.p.wire += n
	})
}

// end counts the rest as bytes that were of no use.
func (a *arrival) end() { a.stop(a.pending.Load(), false) }

// restart takes back what the item counted, for a transfer that begins anew.
func (it *item) restart() {
	it.locked(func() {
		it.p.moved -= it.moved
		it.p.resumed -= it.resumed
		it.moved, it.resumed = 0, 0
	})
}

// end counts the item as done, well or not. What a failed one did not move is
// no longer to come.
func (it *item) end(ok bool) {
	it.locked(func() {
		it.p.done++
		it.p.named = slices.DeleteFunc(it.p.named, func(o *item) bool { return o == it })
		if !ok {
			left := it.size - it.moved - it.resumed - it.instant
			it.p.total -= left
			it.p.expBytes -= min(left, it.p.expBytes)
		}
	})
}
