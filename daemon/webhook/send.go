// Package webhook sends events to addresses that owners chose: signed as
// Standard Webhooks has it, at least once, those of one File in order, and only
// to where a Guard lets them.
package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

const (
	connectTimeout = 5 * time.Second
	sendTimeout    = 10 * time.Second
	// answerMax is how much of an answer is read; none of it is used.
	answerMax = 64 << 10
)

// Sender sends messages. Its methods are safe for concurrent use.
type Sender struct {
	client *http.Client
	agent  string
	clock  func() time.Time
}

// SenderConfig is what a Sender needs.
type SenderConfig struct {
	Guard Guard
	// Version is that of the daemon, for User-Agent.
	Version string
	// Resolver is net.DefaultResolver when nil, Clock time.Now.
	Resolver Resolver
	Clock    func() time.Time
	// Timeout is how long a request may take, answer and all: 10 s when 0.
	Timeout time.Duration
	// TLS is for tests, whose servers have certificates of their own making.
	TLS *tls.Config
}

// NewSender makes a Sender. Close it when it is not used any more.
func NewSender(cfg SenderConfig) *Sender {
	if cfg.Resolver == nil {
		cfg.Resolver = net.DefaultResolver
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = sendTimeout
	}
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, connectTimeout)
		defer cancel()
		return cfg.Guard.dial(ctx, cfg.Resolver, network, address)
	}
	return &Sender{clock: cfg.Clock, agent: "ospd/" + cfg.Version, client: &http.Client{
		Timeout: cfg.Timeout,
		Transport: &http.Transport{
			// A proxy would resolve and connect where the guard does not see it.
			Proxy:       nil,
			DialContext: dial, TLSClientConfig: cfg.TLS, TLSHandshakeTimeout: connectTimeout,
			// What is compressed would be longer than what is counted.
			DisableCompression: true,
			ForceAttemptHTTP2:  true,
			MaxIdleConns:       64, MaxIdleConnsPerHost: 4, IdleConnTimeout: 30 * time.Second,
			MaxResponseHeaderBytes: answerMax,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Close ends connections that wait for a next message.
func (s *Sender) Close() { s.client.CloseIdleConnections() }

// Message is what is sent.
type Message struct {
	// ID is the same each time the message is sent.
	ID     string
	Secret []byte
	Body   []byte
}

// Send sends a message, once. It has arrived where the answer's status is 2xx.
// The error is for the webhook's owner: it says nothing of what is behind the
// address, but for the status, and how the network failed in one word.
func (s *Sender) Send(ctx context.Context, to string, m Message) (status int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(m.Body))
	if err != nil {
		return 0, protocol.Errorf(protocol.KindBadRequest, "the url of the webhook cannot be read")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", s.agent)
	req.Header.Set(protocol.HeaderTraceparent, m.trace().Child().String())
	sign(req.Header, m.Secret, m.ID, s.clock(), m.Body)
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, wordOf(err)
	}
	defer func() { _ = resp.Body.Close() }() // nothing of it is used
	// What fails after the status does not change it; read to its end the
	// connection can be used again.
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, answerMax))
	if resp.StatusCode/100 == 2 {
		return resp.StatusCode, nil
	}
	return resp.StatusCode, &refusal{resp.StatusCode, retryAfterOf(resp.Header, s.clock())}
}

// refusal is an answer that is not 2xx.
type refusal struct {
	status int
	// after is how long the endpoint wants to be left alone, 0 where it does not
	// say.
	after time.Duration
}

func (r *refusal) Error() string {
	switch {
	case r.status/100 == 3:
		return fmt.Sprintf("the endpoint answered %d; redirects are not followed", r.status)
	case r.status == http.StatusGone:
		return "the endpoint answered 410: it is gone, and what is sent to it is given up at once"
	}
	return fmt.Sprintf("the endpoint answered %d", r.status)
}

// retryAfterOf reads Retry-After, seconds or a date (RFC 9110, 10.2.3). What
// cannot be read, or has passed, is 0; what is longer than any pause is cut.
func retryAfterOf(h http.Header, now time.Time) time.Duration {
	text := h.Get("Retry-After")
	after := time.Duration(0)
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		after = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		after = at.Sub(now)
	}
	return min(max(after, 0), retryMax)
}

// wordOf says how a request failed without saying what was found on the way: a
// port that is closed and one that says nothing look alike, and no address of
// this network is named.
func wordOf(err error) error {
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, errAddress):
		return errAddress
	case errors.As(err, &dns):
		return errors.New("the name of the endpoint was not found")
	case errors.As(err, &cert):
		return errors.New("the certificate of the endpoint is not valid")
	}
	return errors.New("the endpoint could not be reached, or did not answer in time")
}
