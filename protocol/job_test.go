package protocol

import (
	"encoding/json"
	"slices"
	"testing"
)

func TestJobIDs(t *testing.T) {
	for _, text := range []string{"1", "42", "9223372036854775807"} {
		if id, err := ParseJobID(text); err != nil || id.String() != text {
			t.Errorf("%q: %d, %v", text, id, err)
		}
	}
	for _, text := range []string{"", "0", "01", "-1", "+1", "1.0", "x", "9223372036854775808", " 1"} {
		if _, err := ParseJobID(text); KindOf(err) != KindBadRequest {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestJobWords(t *testing.T) {
	var p JobPriority
	for _, text := range []string{"idle", "normal", "high"} {
		if err := p.UnmarshalText([]byte(text)); err != nil || p.String() != text {
			t.Errorf("%q is %q, %v", text, p, err)
		}
	}
	if err := p.UnmarshalText([]byte("urgent")); KindOf(err) != KindBadRequest {
		t.Errorf("urgent: %v", err)
	}
	for _, s := range JobStates() {
		if err := CheckJobState(s); err != nil {
			t.Errorf("%s: %v", s, err)
		}
		if want := slices.Contains([]JobState{JobDone, JobDead, JobCancelled}, s); s.Ended() != want {
			t.Errorf("%s has ended: %v", s, s.Ended())
		}
	}
	if err := CheckJobState("failed"); KindOf(err) != KindBadRequest {
		t.Errorf("failed: %v", err)
	}
	for _, kind := range JobKinds() {
		if !slices.Contains(constants(t, "JobKind"), string(kind)) {
			t.Errorf("the kind %s is listed, and none", kind)
		}
	}
}

func TestCreateJobRefusesWhatItDoesNotKnow(t *testing.T) {
	var c CreateJob
	if err := DecodeRequest(json.RawMessage(`{"kind":"scrub","run_at":"x"}`), &c); KindOf(err) != KindUnknownField {
		t.Errorf("%v", err)
	}
}
