package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/osproxy/osproxy/daemon/cluster/peer"
	"github.com/osproxy/osproxy/daemon/holder"
	"github.com/osproxy/osproxy/protocol"
)

// routePeerStores is asked by peers alone, at pathPeerStores: each node knows how its
// own disks are.
const routePeerStores protocol.RouteName = "peer_stores"

const (
	pathPeerStores = "/peer/stores"
	// storesWait is how long another node has to say how its disks are, which waits
	// for them; maxStores bounds what is read of that.
	storesWait = 12 * time.Second
	maxStores  = 1 << 20
)

func (c *call) listStores() error {
	list, err := c.srv.cfg.Stores.ListAll(c.ctx, c.othersStores())
	if err != nil {
		return err
	}
	c.writeJSON(http.StatusOK, list)
	return nil
}

// ownStores is what a peer is told.
func (c *call) ownStores() error {
	list, err := c.srv.cfg.Stores.List(c.ctx)
	if err != nil {
		return err
	}
	c.writeJSON(http.StatusOK, list)
	return nil
}

// othersStores are those that the other nodes say they have, of each that answers.
func (c *call) othersStores() (all []protocol.Store) {
	if c.srv.cfg.Peers == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(c.ctx, storesWait)
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, other := range c.srv.cfg.Peers.Others() {
		wg.Go(func() {
			list, err := c.storesOf(ctx, other)
			if err != nil {
				c.srv.log.LogAttrs(ctx, slog.LevelWarn, "a node did not say how its stores are", slog.String("node", string(other.Node)), slog.Any("error", err))
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, list...)
		})
	}
	wg.Wait()
	return all
}

// storesOf asks one node.
func (c *call) storesOf(ctx context.Context, other *holder.Elsewhere) (_ []protocol.Store, err error) {
	answer, err := c.srv.cfg.Peers.Do(ctx, other, peer.Request{Method: http.MethodGet, Path: pathPeerStores})
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxStores))
	if wrong := answer.Body.Close(); err == nil {
		err = wrong
	}
	if err == nil && answer.Status != http.StatusOK {
		err = fmt.Errorf("it answered with status %d", answer.Status)
	}
	if err != nil {
		return nil, err
	}
	var list protocol.StoreList
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("read its stores: %w", err)
	}
	return list.Stores, nil
}
