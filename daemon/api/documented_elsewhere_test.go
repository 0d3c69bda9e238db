package api

import (
	"context"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/cluster/peer"
	"github.com/osproxy/osproxy/daemon/holder"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
	"github.com/osproxy/osproxy/daemon/upload"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
)

// gone is a cluster whose other nodes are all down.
type gone struct{ Peers }

// Do is Peers.
func (gone) Do(context.Context, *holder.Elsewhere, peer.Request) (*peer.Answer, error) {
	return nil, &protocol.Error{Kind: protocol.KindOwnerDown, Message: "the node that has what this needs is down", RetryAfter: time.Second}
}

// Others is Peers.
func (gone) Others() []*holder.Elsewhere { return []*holder.Elsewhere{{Node: "other"}} }

// besideGone is a node whose peers are all down. After move all that there was
// lies with one of them, and what is new would be put there.
func besideGone(t *testing.T) (o *ospd, move func(*ospd)) {
	t.Helper()
	var moved atomic.Bool
	choose := func(int64) meta.NodeID {
		if moved.Load() {
			return "other"
		}
		return ""
	}
	root := t.TempDir()
	db := metatest.OpenDB(t, meta.Config{Path: metaPath(filepath.Join(root, "blobs")), Logger: slog.New(slog.DiscardHandler)})
	closeLater(t, db)
	o = startOspdOn(t, db, root, "disk", func(b store.Backend) store.Backend { return b },
		func(c *upload.Config) { c.Node, c.Choose = "here", choose },
		func(c *Config) { c.Peers = gone{} })
	return o, func(o *ospd) {
		moved.Store(true)
		metatest.Harm(t, metaPath(o.blobs), `UPDATE uploads SET node = 'other'`)
		metatest.Harm(t, metaPath(o.blobs), `UPDATE blobs SET store = 'disk@other'`)
	}
}

// ownerDown: what a request needs lies with another node, which is down.
func ownerDown(t *testing.T, s *seen) {
	o, move := besideGone(t)
	walkOn(t, s, o, move)

	o, move = besideGone(t)
	_, get := aLinkToGet(o)
	_, put := aLinkToPut(o)
	uid, _ := aClaimableUpload(o)
	claim := "/v1/uploads/" + uid.String() + "/claim"
	ch := into[protocol.Challenge](t, o.do(http.MethodPost, claim, `{"digest": "`+digestOf("abc").String()+`"}`), http.StatusOK)
	move(o)
	do := s.doing(o)
	do(http.StatusServiceUnavailable, http.MethodPost, claim, secondRound(t, uid, ch))
	do(http.StatusServiceUnavailable, http.MethodPost, "/v1/jobs", `{"kind": "migrate", "args": {"from": "disk@other", "to": "disk"}}`)
	do(http.StatusServiceUnavailable, http.MethodGet, "/l/"+get, "")
	do(http.StatusServiceUnavailable, http.MethodPut, "/l/"+put, "abc")
}
