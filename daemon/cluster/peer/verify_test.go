package peer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

const (
	here    meta.NodeID = "00000000000000000000000000000001"
	there   meta.NodeID = "00000000000000000000000000000002"
	another meta.NodeID = "00000000000000000000000000000003"
)

// clock is a clock that tests set.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func newClock() *clock { return &clock{time.UnixMilli(1_800_000_000_000)} }

func key(t testing.TB, secret string) Key {
	t.Helper()
	k, err := NewKey(strings.Repeat(secret, minSecret))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// everything is a message that has each field there is.
func everything() Message {
	m := Message{Method: http.MethodPut, Path: "/v1/uploads/7/parts/1", Query: "a=b", Length: 5}
	for _, name := range Fields() {
		m.Fields = append(m.Fields, Field{name, "value of " + name})
	}
	return m
}

func sign(t testing.TB, s Signer, to meta.NodeID, m Message) Message {
	t.Helper()
	fields, err := s.Sign(to, m)
	if err != nil {
		t.Fatal(err)
	}
	m.Fields = fields
	return m
}

// certified is a channel of which a certificate with those names was verified.
func certified(names ...string) *tls.ConnectionState {
	if names == nil {
		return nil
	}
	c := &x509.Certificate{DNSNames: names}
	return &tls.ConnectionState{PeerCertificates: []*x509.Certificate{c}, VerifiedChains: [][]*x509.Certificate{{c}}}
}

func reasonOf(err error) Reason {
	r, _ := errors.AsType[Reason](err)
	return r
}

// set replaces the value of a field, or adds it.
func set(m Message, name, value string) Message {
	m.Fields = slices.Clone(m.Fields)
	for i, f := range m.Fields {
		if strings.EqualFold(f.Name, name) {
			m.Fields[i].Value = value
			return m
		}
	}
	m.Fields = append(m.Fields, Field{name, value})
	return m
}

func without(m Message, name string) Message {
	m.Fields = slices.DeleteFunc(slices.Clone(m.Fields), func(f Field) bool { return strings.EqualFold(f.Name, name) })
	return m
}

func TestWhatWasSignedIsBelievedOnce(t *testing.T) {
	c := newClock()
	s := Signer{Self: here, Key: key(t, "k"), Now: c.now}
	v := NewVerifier(VerifierConfig{Self: there, Key: s.Key, Now: c.now})
	m := sign(t, s, there, everything())
	m.Fields = append(m.Fields, Field{"Host", "elsewhere"}, Field{"Expect", "100-continue"}, Field{"Content-Length", "5"})
	got, err := v.Verify(t.Context(), m, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got.From != here || !slices.Equal(got.Fields(), everything().Fields) {
		t.Errorf("from %s: %v", got.From, got.Fields())
	}
	if value, ok := got.Value("range"); !ok || value != "value of Range" {
		t.Errorf("Range is %q, %v", value, ok)
	}
	if _, ok := got.Value("Host"); ok {
		t.Error("a field that nobody signed is believed")
	}
	if _, err := v.Verify(t.Context(), m, nil); reasonOf(err) != ReasonReplayed || protocol.KindOf(err) != protocol.KindUnauthenticated {
		t.Errorf("the second time: %v", err)
	}
}

// TestEachSignedThingIsBound alters one thing after the other.
func TestEachSignedThingIsBound(t *testing.T) {
	c := newClock()
	s := Signer{Self: here, Key: key(t, "k"), Now: c.now}
	altered := map[string]struct {
		change func(Message) Message
		want   Reason
	}{
		"method":           {func(m Message) Message { m.Method = http.MethodPost; return m }, ReasonSignature},
		"path":             {func(m Message) Message { m.Path += "0"; return m }, ReasonSignature},
		"query":            {func(m Message) Message { m.Query += "&c=d"; return m }, ReasonSignature},
		"no query":         {func(m Message) Message { m.Query = ""; return m }, ReasonSignature},
		"path into query":  {func(m Message) Message { m.Path, m.Query = m.Path[:5], m.Path[5:]+m.Query; return m }, ReasonSignature},
		"length":           {func(m Message) Message { m.Length++; return m }, ReasonSignature},
		"no body":          {func(m Message) Message { m.Length = 0; return m }, ReasonSignature},
		"chunks":           {func(m Message) Message { m.Length = Unsized; return m }, ReasonSignature},
		"sender":           {func(m Message) Message { return set(m, HeaderNode, string(another)) }, ReasonSignature},
		"no sender":        {func(m Message) Message { return without(m, HeaderNode) }, ReasonSignature},
		"itself":           {func(m Message) Message { return set(m, HeaderNode, string(there)) }, ReasonSender},
		"receiver":         {func(m Message) Message { return set(m, HeaderTo, string(another)) }, ReasonReceiver},
		"no receiver":      {func(m Message) Message { return without(m, HeaderTo) }, ReasonReceiver},
		"time":             {func(m Message) Message { return set(m, HeaderTime, strconv.FormatInt(c.at.UnixMilli()+1, 10)) }, ReasonSignature},
		"time, other form": {func(m Message) Message { return set(m, HeaderTime, "+"+strconv.FormatInt(c.at.UnixMilli(), 10)) }, ReasonSignature},
		"nonce":            {func(m Message) Message { return set(m, HeaderNonce, strings.Repeat("0", 32)) }, ReasonSignature},
		"nonce, upper":     {func(m Message) Message { return set(m, HeaderNonce, strings.Repeat("A", 32)) }, ReasonSignature},
		"signature":        {func(m Message) Message { return set(m, HeaderSignature, strings.Repeat("0", 64)) }, ReasonSignature},
		"no signature":     {func(m Message) Message { return without(m, HeaderSignature) }, ReasonSignature},
		"unknown field":    {func(m Message) Message { return set(m, "OSP-peer-Admin", "1") }, ReasonFields},
		"other key":        {func(m Message) Message { return set(m, protocol.HeaderIdempotencyKey, "1") }, ReasonFields},
		"many fields": {func(m Message) Message {
			for i := range maxReceived {
				m = set(m, "X-"+strconv.Itoa(i), "")
			}
			return m
		}, ReasonFields},
	}
	for _, f := range signed {
		altered[f.wire+" altered"] = struct {
			change func(Message) Message
			want   Reason
		}{func(m Message) Message { return set(m, f.wire, "other") }, ReasonSignature}
		altered[f.wire+" emptied"] = struct {
			change func(Message) Message
			want   Reason
		}{func(m Message) Message { return set(m, f.wire, "") }, ReasonSignature}
		altered[f.wire+" left out"] = struct {
			change func(Message) Message
			want   Reason
		}{func(m Message) Message { return without(m, f.wire) }, ReasonSignature}
		altered[f.wire+" twice"] = struct {
			change func(Message) Message
			want   Reason
		}{func(m Message) Message {
			m.Fields = append(slices.Clone(m.Fields), Field{strings.ToLower(f.wire), "value of " + f.name})
			return m
		}, ReasonFields}
	}
	for _, name := range proving {
		altered[name+" twice"] = struct {
			change func(Message) Message
			want   Reason
		}{func(m Message) Message {
			m.Fields = append([]Field{{name, ""}}, m.Fields...)
			return m
		}, ReasonFields}
	}
	v := NewVerifier(VerifierConfig{Self: there, Key: s.Key, Now: c.now})
	for name, a := range altered {
		m := sign(t, s, there, everything())
		if _, err := v.Verify(t.Context(), a.change(m), nil); reasonOf(err) != a.want {
			t.Errorf("%s: %v, want %s", name, err, a.want)
		}
		if _, err := v.Verify(t.Context(), m, nil); err != nil {
			t.Errorf("%s: what was not altered is refused afterwards: %v", name, err)
		}
	}
}

// TestAFieldCannotBeAdded: each field that a message does not have.
func TestAFieldCannotBeAdded(t *testing.T) {
	c := newClock()
	s := Signer{Self: here, Key: key(t, "k"), Now: c.now}
	v := NewVerifier(VerifierConfig{Self: there, Key: s.Key, Now: c.now})
	for _, f := range signed {
		m := sign(t, s, there, Message{Method: http.MethodGet, Path: "/"})
		if _, err := v.Verify(t.Context(), set(m, f.wire, "1"), nil); reasonOf(err) != ReasonSignature {
			t.Errorf("%s: %v", f.wire, err)
		}
	}
}

func TestTheKeyMatters(t *testing.T) {
	c := newClock()
	m := sign(t, Signer{Self: here, Key: key(t, "k"), Now: c.now}, there, everything())
	if _, err := NewVerifier(VerifierConfig{Self: there, Key: key(t, "o"), Now: c.now}).Verify(t.Context(), m, nil); reasonOf(err) != ReasonSignature {
		t.Errorf("with another key: %v", err)
	}
	if _, err := NewKey(strings.Repeat("k", minSecret-1)); err == nil {
		t.Error("a short key is taken")
	}
}

func TestTimesAreWithinTheWindow(t *testing.T) {
	for name, c := range map[string]struct {
		off  time.Duration
		want Reason
		told string
	}{
		"old": {-Window - time.Millisecond, ReasonTime, "is 1m0s behind the one of this node"}, "just not old": {-Window, "", ""},
		"future": {Window + time.Millisecond, ReasonTime, "is 1m0s ahead of the one of this node"}, "just not future": {Window, "", ""},
		"three minutes": {-3 * time.Minute, ReasonTime, string(here) + " is 3m0s behind"},
	} {
		at := newClock()
		k := key(t, "k")
		v := NewVerifier(VerifierConfig{Self: there, Key: k, Now: at.now})
		at.at = at.at.Add(10 * Window)
		sent := &clock{at.at.Add(c.off)}
		_, err := v.Verify(t.Context(), sign(t, Signer{Self: here, Key: k, Now: sent.now}, there, everything()), nil)
		if reasonOf(err) != c.want || err != nil && !strings.Contains(err.Error(), c.told) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestOneNonceOfTwoNodes are two requests.
func TestOneNonceOfTwoNodes(t *testing.T) {
	c := newClock()
	k := key(t, "k")
	v := NewVerifier(VerifierConfig{Self: there, Key: k, Now: c.now})
	from := func(node meta.NodeID) Message {
		m := Message{Method: http.MethodGet, Path: "/"}
		h := head{node: string(node), to: string(there), nonce: strings.Repeat("ab", nonceSize), time: strconv.FormatInt(c.at.UnixMilli(), 10)}
		m.Fields = []Field{{HeaderNode, h.node}, {HeaderTo, h.to}, {HeaderTime, h.time}, {HeaderNonce, h.nonce},
			{HeaderSignature, hex.EncodeToString(k.sign(canonical(m, h, make([]*string, len(signed)))))}}
		return m
	}
	for _, node := range []meta.NodeID{here, another} {
		if _, err := v.Verify(t.Context(), from(node), nil); err != nil {
			t.Errorf("from %s: %v", node, err)
		}
	}
	if _, err := v.Verify(t.Context(), from(another), nil); reasonOf(err) != ReasonReplayed {
		t.Errorf("again: %v", err)
	}
}

// TestAChannelSaysWhoSpeaks where there is no key.
func TestAChannelSaysWhoSpeaks(t *testing.T) {
	c := newClock()
	v := NewVerifier(VerifierConfig{Self: there, Now: c.now})
	for _, names := range [][]string{nil, {string(another)}, {"localhost", string(there)}} {
		m := sign(t, Signer{Self: here, Now: c.now}, there, everything())
		if _, err := v.Verify(t.Context(), m, certified(names...)); reasonOf(err) != ReasonSender {
			t.Errorf("with %q: %v", names, err)
		}
	}
}

// TestAChannelNeedsNoClock: nobody sends again into it.
func TestAChannelNeedsNoClock(t *testing.T) {
	c := newClock()
	v := NewVerifier(VerifierConfig{Self: there, Now: c.now})
	for _, off := range []time.Duration{-365 * 24 * time.Hour, -2 * Window, 0, 365 * 24 * time.Hour} {
		sent := &clock{c.at.Add(off)}
		if _, err := v.Verify(t.Context(), sign(t, Signer{Self: here, Now: sent.now}, there, everything()), certified(string(here))); err != nil {
			t.Errorf("a clock that differs by %s: %v", off, err)
		}
	}
}

// TestWhoHasNoLeaseIsRefused, however well it shows who it is. Nobody is looked
// for who does not.
func TestWhoHasNoLeaseIsRefused(t *testing.T) {
	k := key(t, "k")
	for name, n := range map[string]struct {
		key     Key
		channel *tls.ConnectionState
	}{"key": {k, nil}, "certificate": {Key{}, certified(string(here))}} {
		lives := true
		var asked []meta.NodeID
		v := NewVerifier(VerifierConfig{Self: there, Key: n.key, Lives: func(_ context.Context, node meta.NodeID) bool {
			asked = append(asked, node)
			return lives
		}})
		s := Signer{Self: here, Key: n.key}
		m := sign(t, s, there, everything())
		if _, err := v.Verify(t.Context(), m, n.channel); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		lives = false
		if _, err := v.Verify(t.Context(), sign(t, s, there, everything()), n.channel); reasonOf(err) != ReasonLease || protocol.KindOf(err) != protocol.KindUnauthenticated {
			t.Errorf("%s: %v", name, err)
		}
		if len(asked) != 2 || asked[0] != here {
			t.Errorf("%s: asked for %v", name, asked)
		}
		for _, other := range []Message{without(m, HeaderTo), set(m, HeaderNode, string(another)), everything()} {
			if _, err := v.Verify(t.Context(), other, n.channel); err == nil || reasonOf(err) == ReasonLease {
				t.Errorf("%s: %v", name, err)
			}
		}
		if len(asked) != 2 {
			t.Errorf("%s: somebody who does not show who he is is looked for: %v", name, asked)
		}
	}
}
