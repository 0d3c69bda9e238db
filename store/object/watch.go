package object

import (
	"context"
	"net/http"
	"strconv"
	"time"
)

// Answer is what the storage answered last to a request that was made with the
// context of Watch: what an SDK does not tell, or not of failures.
type Answer struct {
	Status int
	Header http.Header
	// Skew is how far this machine's clock is ahead of the storage's, by the
	// answer's Date; 0 where it has none.
	Skew time.Duration
}

// RetryAfter is how long the storage asks to wait, 0 where it does not say.
func (a *Answer) RetryAfter() time.Duration {
	s := a.Header.Get("Retry-After")
	if n, err := strconv.Atoi(s); err == nil && n > 0 {
		return time.Duration(n) * time.Second
	}
	if t, err := http.ParseTime(s); err == nil {
		return max(0, time.Until(t))
	}
	return 0
}

type answerKey struct{}

// Watch gives a context for one call of an SDK, after which the Answer is set,
// where there was one.
func Watch(ctx context.Context) (context.Context, *Answer) {
	a := &Answer{}
	return context.WithValue(ctx, answerKey{}, a), a
}

// Watched is a transport that fills Answers, and gives no refusal for the
// storage's that is another's: see Stranger.
type Watched struct {
	Base http.RoundTripper
	// RequestID is the header in which the storage has its id of a request.
	RequestID string
}

// RoundTrip is http.RoundTripper's.
func (w Watched) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := w.Base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	a, ok := r.Context().Value(answerKey{}).(*Answer)
	if !ok {
		return w.own(r, resp)
	}
	*a = Answer{Status: resp.StatusCode, Header: resp.Header}
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		a.Skew = time.Since(date)
	}
	return w.own(r, resp)
}
