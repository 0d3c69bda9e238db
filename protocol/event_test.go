package protocol

import (
	"strings"
	"testing"
	"time"
)

func TestCheckEventKinds(t *testing.T) {
	for text, want := range map[string]string{
		"file.committed":                "",
		"job.dead file.deleted":         "",
		"":                              "no kind of event",
		"file.renamed":                  `there is no event "file.renamed"`,
		"file.deleted file.deleted":     "named twice",
		"File.Deleted":                  "there is no event",
		"file.committed content.healed": "",
	} {
		var kinds []EventKind
		for word := range strings.FieldsSeq(text) {
			kinds = append(kinds, EventKind(word))
		}
		err := CheckEventKinds(kinds)
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || KindOf(err) != KindBadRequest) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if err := CheckEventKinds(EventKinds()); err != nil {
		t.Error(err)
	}
}

// A field without a value is null, never absent.
func TestEventOnTheWire(t *testing.T) {
	owner, uid, name, size, reason := Owner("alice"), UID(7), "a/b", int64(5), ReasonIdle
	at := TimeOf(time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC))
	for want, e := range map[string]Event{
		`{"type":"upload.abandoned","number":3,"timestamp":"2026-11-22T10:00:00.000Z","data":{"owner":"alice","uid":"7","name":"a/b",` +
			`"size":5,"digest":null,"media_type":null,"reason":"idle","job":null}}`: {Type: EventUploadAbandoned, Number: 3, Timestamp: at,
			Data: EventData{Owner: &owner, UID: &uid, Name: &name, Size: &size, Reason: &reason}},
		`{"type":"job.dead","number":4,"timestamp":"2026-11-22T10:00:00.000Z","data":{"owner":null,"uid":null,"name":null,` +
			`"size":null,"digest":null,"media_type":null,"reason":null,"job":{"id":"9","kind":"scrub","attempts":5,"error":"x"}}}`: {Type: EventJobDead, Number: 4, Timestamp: at,
			Data: EventData{Job: &EventJob{ID: 9, Kind: "scrub", Attempts: 5, Error: "x"}}},
	} {
		if got := string(e.Encode()); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
