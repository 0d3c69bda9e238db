package protocol

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestProblemAndBack(t *testing.T) {
	for _, row := range Kinds() {
		if row.Status == 0 {
			continue
		}
		e := &Error{Kind: row.Kind, Message: "what happened", Hint: "what to do"}
		switch row.Kind {
		case KindPartsMissing:
			e.Missing = [][2]PartNumber{{1, 2}, {5, 5}}
		case KindPartsDiffer:
			e.Parts = []Part{{Number: 1, Length: 3}}
		}
		p := e.Problem("req-1")
		want := Problem{Type: "about:blank", Title: row.Title, Status: row.Status, Detail: "what happened", Code: row.Kind,
			Hint: to("what to do"), RequestID: "req-1", Retryable: row.Retryable, Missing: e.Missing, Parts: e.Parts}
		if !reflect.DeepEqual(p, want) {
			t.Errorf("%s: %+v, want %+v", row.Kind, p, want)
		}
		data, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var read Problem
		if err := json.Unmarshal(data, &read); err != nil {
			t.Fatal(err)
		}
		e.RequestID = "req-1"
		if got := read.Err(); !reflect.DeepEqual(got, e) {
			t.Errorf("%s came back as %+v, want %+v", row.Kind, got, e)
		}
	}
}

func TestProblemTellsNoCause(t *testing.T) {
	e := &Error{Kind: KindInternal, Op: "op-secret", UID: 424242, Err: errors.New("disk /dev/secret at 10.0.0.1")}
	data, err := json.Marshal(e.Problem("r"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"secret", "10.0.0.1", "424242"} {
		if strings.Contains(string(data), s) {
			t.Errorf("%s is in %s", s, data)
		}
	}
	const want = `{"type":"about:blank","title":"Internal error","status":500,"detail":"Internal error","code":"internal","hint":null,"request_id":"r","retryable":false}`
	if string(data) != want {
		t.Errorf("%s, want %s", data, want)
	}
}

// The members a kind has are there also when they are empty, and no other kind
// has them.
func TestProblemMembers(t *testing.T) {
	for kind, want := range map[Kind]string{
		KindPartsMissing: `"missing":[]}`,
		KindPartsDiffer:  `"parts":[]}`,
		KindConflict:     `"retryable":false}`,
	} {
		e := &Error{Kind: kind}
		if kind == KindConflict {
			e.Missing, e.Parts = [][2]PartNumber{{1, 1}}, []Part{{Number: 1}}
		}
		data, err := json.Marshal(e.Problem("r"))
		if err != nil || !strings.HasSuffix(string(data), want) {
			t.Errorf("%s: %s, %v, want …%s", kind, data, err, want)
		}
	}
}

func TestProblemOfAClientsKindIsInternal(t *testing.T) {
	p := Errorf(KindInterrupted, "oops").Problem("r")
	if p.Code != KindInternal || p.Status != 500 || p.Detail != "oops" {
		t.Errorf("%+v", p)
	}
}

func TestErrOfStrangeProblems(t *testing.T) {
	for code, want := range map[Kind]Kind{"": KindInternal, KindInterrupted: KindInternal, KindUsage: KindInternal, "from_the_future": "from_the_future"} {
		e := Problem{Code: code, Detail: "d", RequestID: "r"}.Err()
		if e.Kind != want || e.Kind.Row().Exit != 1 || e.Message != "d" || e.RequestID != "r" || e.Hint != "" {
			t.Errorf("code %q: %+v", code, e)
		}
	}
}
