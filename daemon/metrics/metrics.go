// Package metrics is what ospd counts of itself, for Prometheus. Each kind of
// thing is counted where it happens, through the methods here; labels come
// from fixed tables (routes, kinds of error, operations of a store), so that
// no caller can make their number grow.
package metrics

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
)

// Metrics are the collectors. Methods are safe for concurrent use.
type Metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	inFlight prometheus.Gauge
	errors   *prometheus.CounterVec
	auth     *prometheus.CounterVec
	received prometheus.Counter
	sent     prometheus.Counter
	uploads  *prometheus.CounterVec
	saved    prometheus.Counter
	corrupt  prometheus.Counter
	storeOps *prometheus.HistogramVec
	retries  *prometheus.CounterVec
	jobs     *prometheus.HistogramVec
	webhooks *prometheus.CounterVec
	peers    peers
}

// New makes the collectors and registers them. It panics where one of them is
// registered already: that is a mistake in the wiring.
func New(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ospd_http_requests_total",
			Help: "Requests answered, by method, route and status."}, []string{"method", "route", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "ospd_http_request_duration_seconds",
			Help:    "From the header of a request to the last byte of its answer, by route.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 10)}, []string{"route"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{Name: "ospd_http_requests_in_flight",
			Help: "Requests being served now."}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ospd_errors_total",
			Help: "Requests answered with an error, or cut, by the code of the error."}, []string{"code"}),
		auth: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ospd_auth_failures_total",
			Help: "Requests that were not let in: without a token, with one that is not valid, or without the scope."}, []string{"reason"}),
		received: prometheus.NewCounter(prometheus.CounterOpts{Name: "ospd_upload_bytes_total",
			Help: "Bytes received in bodies of requests."}),
		sent: prometheus.NewCounter(prometheus.CounterOpts{Name: "ospd_download_bytes_total",
			Help: "Bytes sent in bodies of answers."}),
		uploads: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ospd_uploads_total",
			Help: "What became of uploads: begun, committed, instant, aborted, or put in one request."}, []string{"outcome"}),
		saved: prometheus.NewCounter(prometheus.CounterOpts{Name: "ospd_instant_saved_bytes_total",
			Help: "Bytes of files that did not have to be sent, since their content was here."}),
		corrupt: prometheus.NewCounter(prometheus.CounterOpts{Name: "ospd_corrupt_blocks_total",
			Help: "Blocks found damaged when they were read. Any is worth an alarm."}),
		storeOps: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "ospd_store_operation_duration_seconds",
			Help:    "Operations of stores, by store, operation and result.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 4, 10)}, []string{"store", "op", "result"}),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ospd_store_retries_total",
			Help: "Tries of operations of stores after the first, by store and operation; \"read\" is the rest of a body that broke."}, []string{"store", "op"}),
		jobs: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "ospd_job_attempt_duration_seconds",
			Help:    "Attempts at jobs, by kind and how they ended: done, failed, hopeless, snoozed or cancelled.",
			Buckets: prometheus.ExponentialBuckets(0.001, 8, 8)}, []string{"kind", "result"}),
		webhooks: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ospd_webhook_messages_total",
			Help: "Messages sent to webhooks, by what became of them: delivered, failed (it is sent again) or dead."}, []string{"outcome"}),
	}
	m.peers = newPeers(reg)
	reg.MustRegister(m.requests, m.duration, m.inFlight, m.errors, m.auth, m.received, m.sent, m.uploads, m.saved, m.corrupt, m.storeOps, m.retries, m.jobs, m.webhooks)
	return m
}

// InFlight adds delta to the requests being served.
func (m *Metrics) InFlight(delta int) { m.inFlight.Add(float64(delta)) }

// Request counts one answered request.
func (m *Metrics) Request(method, route string, status int, took time.Duration) {
	m.requests.WithLabelValues(method, route, strconv.Itoa(status)).Inc()
	m.duration.WithLabelValues(route).Observe(took.Seconds())
}

// Failed counts one request that ended with an error.
func (m *Metrics) Failed(kind protocol.Kind) { m.errors.WithLabelValues(string(kind)).Inc() }

// AuthFailed counts one request that was not let in: "missing", "refused" or
// "scope".
func (m *Metrics) AuthFailed(reason string) { m.auth.WithLabelValues(reason).Inc() }

// Received counts n bytes of requests.
func (m *Metrics) Received(n int64) { m.received.Add(float64(n)) }

// Sent counts n bytes of answers.
func (m *Metrics) Sent(n int64) { m.sent.Add(float64(n)) }

// Upload counts what became of an upload: "begun", "committed", "instant",
// "aborted" or "put". It fits upload.Config.Observe.
func (m *Metrics) Upload(outcome string) { m.uploads.WithLabelValues(outcome).Inc() }

// Saved counts n bytes that an instant upload did not send. It fits
// upload.Config.Saved.
func (m *Metrics) Saved(n int64) { m.saved.Add(float64(n)) }

// Corrupt counts one damaged block.
func (m *Metrics) Corrupt() { m.corrupt.Inc() }

// Store gives what counts the operations of the store of that name.
func (m *Metrics) Store(name string) store.Options {
	return store.Options{
		Observe: func(op string, err error, took time.Duration) {
			result := "ok"
			if err != nil {
				result = "error"
			}
			m.storeOps.WithLabelValues(name, op, result).Observe(took.Seconds())
		},
		Retried: func(op string, _ error) { m.retries.WithLabelValues(name, op).Inc() },
	}
}

// Job notes one attempt at a job.
func (m *Metrics) Job(kind protocol.JobKind, result string, took time.Duration) {
	m.jobs.WithLabelValues(string(kind), result).Observe(took.Seconds())
}

// Webhook counts what became of a message: "delivered", "failed" or "dead". It
// fits webhook.Config.Observe.
func (m *Metrics) Webhook(outcome string) { m.webhooks.WithLabelValues(outcome).Inc() }
