package metatest

import (
	"fmt"
	"runtime"
	"testing"

	"pgregory.net/rapid"
)

// Noticed runs a check that must fail, since what it checks is broken, and
// gives what it said first, "" where it noticed nothing.
func Noticed(t testing.TB, check func(found rapid.TB)) string {
	v := &verdict{TB: t}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		check(v)
	}()
	<-ended
	return v.said
}

// verdict takes a failure without failing the test.
type verdict struct {
	rapid.TB
	said string
}

func (v *verdict) say(text string) {
	if v.said == "" {
		v.said = text
	}
}

func (v *verdict) Logf(string, ...any)       {}
func (v *verdict) Log(...any)                {}
func (v *verdict) Errorf(f string, a ...any) { v.say(fmt.Sprintf(f, a...)) }
func (v *verdict) Error(a ...any)            { v.say(fmt.Sprint(a...)) }
func (v *verdict) Fail()                     { v.say("failed") }
func (v *verdict) Failed() bool              { return v.said != "" }
func (v *verdict) Fatalf(f string, a ...any) { v.Errorf(f, a...); runtime.Goexit() }
func (v *verdict) Fatal(a ...any)            { v.Error(a...); runtime.Goexit() }
func (v *verdict) FailNow()                  { v.Fail(); runtime.Goexit() }
