package peer

import (
	"bytes"
	"strings"
	"testing"
)

// FuzzVerify signs one request and receives another, which is made of lines of a
// name and a value beside what was signed. Whatever it has, it is refused, or it
// is, in all that a receiver uses, the one that was signed.
func FuzzVerify(f *testing.F) {
	f.Add("GET", "/v1/files/7/content", "", int64(0), "Range: bytes=0-1", "GET", "/v1/files/7/content", "", int64(0), "Range: bytes=0-1")
	f.Fuzz(func(t *testing.T, method, path, query string, length int64, fields, method2, path2, query2 string, length2 int64, fields2 string) {
		c := newClock()
		s := Signer{Self: here, Key: key(t, "k"), Now: c.now}
		v := NewVerifier(VerifierConfig{Self: there, Key: s.Key, Now: c.now})
		sent := Message{Method: method, Path: path, Query: query, Length: length, Fields: lines(fields)}
		proofs, err := s.Sign(there, sent)
		if err != nil {
			return
		}
		for _, p := range proofs {
			if strings.ContainsAny(p.Name+p.Value, "\r\n\x00") {
				t.Fatalf("%q would be sent", p)
			}
		}
		received := Message{Method: method2, Path: path2, Query: query2, Length: length2, Fields: append(proofs, lines(fields2)...)}
		got, err := v.Verify(t.Context(), received, nil)
		if err != nil {
			return
		}
		if method2 != method || path2 != path || query2 != query || length2 != length {
			t.Fatalf("%+v was received as %+v", sent, received)
		}
		want, _ := sent.outgoing()
		if !bytes.Equal(canonical(sent, head{}, got.fields), canonical(sent, head{}, want)) {
			t.Fatalf("%v was received as %v", sent.Fields, got.Fields())
		}
		if _, err := v.Verify(t.Context(), received, nil); reasonOf(err) != ReasonReplayed {
			t.Fatalf("the second time: %v", err)
		}
	})
}

func lines(text string) (out []Field) {
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		out = append(out, Field{name, value})
	}
	return out
}
