package predecessor

import (
	"context"
	"fmt"
	"strings"

	"github.com/osproxy/osproxy/protocol"
)

// Reckoning is what an import needs of its owner's quota.
type Reckoning struct {
	Bytes, Files Charge
}

// Charge is one row of it.
type Charge struct {
	// Allowed is nil where there is no limit.
	Allowed *int64 `json:"allowed"`
	// Used are there, and Wanted is what osproxy's Files have besides.
	Used   int64 `json:"used"`
	Wanted int64 `json:"wanted"`
}

// over reports whether that is more than the owner may have.
func (c Charge) over() bool { return c.Allowed != nil && c.Wanted > 0 && c.Used+c.Wanted > *c.Allowed }

// Over reports whether the quota does not allow it. There may be no reckoning.
func (k *Reckoning) Over() bool { return k != nil && (k.Bytes.over() || k.Files.over()) }

// refusal is why the owner cannot have the Files, nil where he can. What became
// of them says done.
func (k *Reckoning) refusal(owner protocol.Owner, done string) error {
	var says, keys []string
	for _, c := range []struct {
		what string
		Charge
	}{{"bytes", k.Bytes}, {"files", k.Files}} {
		if c.over() {
			says = append(says, fmt.Sprintf("it allows %d %s, of which %d are in use, and osproxy's Files need %d more, which is %d", *c.Allowed, c.what, c.Used, c.Wanted, c.Used+c.Wanted))
			keys = append(keys, fmt.Sprintf("quotas.owners.%s.%s to %d", owner, c.what, c.Used+c.Wanted))
		}
	}
	if len(says) == 0 {
		return nil
	}
	return &protocol.Error{Kind: protocol.KindQuotaExceeded,
		Message: fmt.Sprintf("the quota of %s is too small: %s; %s", owner, strings.Join(says, "; "), done),
		Hint:    fmt.Sprintf("Set %s or more in the configuration, and run it again with that: it goes on. The daemon keeps to it from its next start.", strings.Join(keys, " and "))}
}

// reckon says in the summary what is wanted of the quota beside what it allows.
func (r *run) reckon(ctx context.Context) error {
	used, err := r.Meta.Usage(ctx, r.Owner)
	if err != nil {
		return err
	}
	r.sum.Quota = &Reckoning{
		Bytes: Charge{Allowed: r.Quota.Bytes, Used: used.Bytes, Wanted: r.wanted.Bytes},
		Files: Charge{Allowed: r.Quota.Files, Used: used.Files, Wanted: r.wanted.Files},
	}
	return nil
}

// foretell ends a dry run as the import would.
func (r *run) foretell(ctx context.Context) error {
	if err := r.reckon(ctx); err != nil {
		return err
	}
	return r.sum.Quota.refusal(r.Owner, "nothing was changed, and the import would end within")
}

// beyond says of an import that met the quota what all that is left needs. Objects
// are not looked at for that: what counts is what their rows say.
func (r *run) beyond(ctx context.Context, src *Source, met error) error {
	sum := r.sum // of rows that are only counted nothing is said
	for {
		rows, err := src.next(ctx)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			break
		}
		items := r.items(rows)
		if err := r.known(ctx, items); err != nil {
			return err
		}
		for _, it := range items {
			if !it.ended {
				r.want(it, it.saidSize())
			}
		}
	}
	r.sum = sum
	if err := r.reckon(ctx); err != nil {
		return err
	}
	if err := r.sum.Quota.refusal(r.Owner, "what was imported before stays, and nothing of the rest was recorded"); err != nil {
		return err
	}
	return met
}

// want counts what a File of so many bytes needs that is to be made, or anew.
func (r *run) want(it *item, size int64) {
	switch {
	case it.same: // it stays on its objects
		return
	case it.as != nil:
		r.wanted.Bytes += size - it.as.Size
		return
	}
	r.wanted.Bytes += size
	r.wanted.Files++
}

// saidSize is how many bytes a row says that there are.
func (it *item) saidSize() (n int64) {
	if it.size != nil {
		return *it.size
	}
	for _, p := range it.pieces() {
		if p.Size != nil {
			n += *p.Size
		}
	}
	return n
}
