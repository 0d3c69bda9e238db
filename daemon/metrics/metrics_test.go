package metrics_test

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/osproxy/osproxy/daemon/metrics"
	"github.com/osproxy/osproxy/protocol"
)

// TestEachMethodMovesItsCollector uses every method once and looks at what a
// scrape would read: names are part of dashboards, and so of the interface.
func TestEachMethodMovesItsCollector(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	m := metrics.New(reg)
	m.InFlight(2)
	m.InFlight(-1)
	m.Request("GET", "get_file", 200, time.Second)
	m.Failed(protocol.KindNotFound)
	m.AuthFailed("refused")
	m.Received(7)
	m.Sent(9)
	m.Upload("begun")
	m.Saved(11)
	m.Corrupt()
	m.Store("disk").Observe("put", nil, time.Second)
	m.Store("disk").Observe("put", errors.New("full"), time.Second)
	m.Store("far").Retried("get", errors.New("broken"))

	m.PeerHanded("answered")
	m.PeerServed("ok")
	m.PeerServed("failed")
	m.PeerRefused("lease")
	m.PeerChanged("down")
	m.PeerBytes(3, 4)
	m.PeerInFlight("handed", 2)
	m.PeerInFlight("served", -1)
	m.PeerCertificateEnds(time.Unix(5, 0))

	want := map[string]float64{
		"ospd_peer_requests_handed_total": 1, "ospd_peer_requests_served_total": 2, "ospd_peer_refusals_total": 1, "ospd_peer_changes_total": 1,
		"ospd_peer_bytes_total": 7, "ospd_peer_requests_in_flight": 1,
		"ospd_peer_certificate_not_after_seconds": 5,
		"ospd_http_requests_in_flight":            1, "ospd_http_requests_total": 1, "ospd_http_request_duration_seconds": 1,
		"ospd_errors_total": 1, "ospd_auth_failures_total": 1, "ospd_upload_bytes_total": 7, "ospd_download_bytes_total": 9, "ospd_uploads_total": 1,
		"ospd_instant_saved_bytes_total": 11,
		"ospd_corrupt_blocks_total":      1, "ospd_store_operation_duration_seconds": 2, "ospd_store_retries_total": 1,
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, s := range f.GetMetric() {
			switch {
			case s.GetCounter() != nil:
				got[f.GetName()] += s.GetCounter().GetValue()
			case s.GetGauge() != nil:
				got[f.GetName()] += s.GetGauge().GetValue()
			default:
				got[f.GetName()] += float64(s.GetHistogram().GetSampleCount())
			}
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("a scrape reads %v, want %v (names %v)", got, want, slices.Sorted(maps.Keys(got)))
	}
}
