package meta_test

import (
	"path/filepath"
	"testing"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
	"github.com/osproxy/osproxy/protocol"
)

// TestSetQuotas: what is left out of the next configuration holds no longer,
// and one bad limit changes none.
func TestSetQuotas(t *testing.T) {
	limit := func(n int64) *int64 { return &n }
	db := metatest.OpenDB(t, meta.Config{Path: filepath.Join(t.TempDir(), "meta.db"), DefaultQuota: meta.Quota{Files: limit(9)}})
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	must := func(owner protocol.Owner, files, uploads int64) {
		t.Helper()
		q, err := db.Quota(t.Context(), owner)
		value := func(v *int64) int64 {
			if v == nil {
				return -1
			}
			return *v
		}
		if err != nil || value(q.Files) != files || value(q.Uploads) != uploads || q.Bytes != nil {
			t.Errorf("%s may have %+v, %v", owner, q, err)
		}
	}
	for _, step := range []struct {
		limits map[protocol.Owner]meta.Quota
		fails  bool
		a, b   [2]int64
	}{
		{nil, false, [2]int64{9, -1}, [2]int64{9, -1}},
		{map[protocol.Owner]meta.Quota{"a": {Uploads: limit(1)}}, false, [2]int64{-1, 1}, [2]int64{9, -1}},
		{map[protocol.Owner]meta.Quota{"b": {Files: limit(0)}}, false, [2]int64{9, -1}, [2]int64{0, -1}},
		{map[protocol.Owner]meta.Quota{"a": {Files: limit(5)}, "b": {Bytes: limit(-1)}}, true, [2]int64{9, -1}, [2]int64{0, -1}},
		{map[protocol.Owner]meta.Quota{}, false, [2]int64{9, -1}, [2]int64{9, -1}},
	} {
		err := db.SetQuotas(t.Context(), step.limits)
		if (protocol.KindOf(err) == protocol.KindBadRequest) != step.fails || !step.fails && err != nil {
			t.Errorf("%+v: %v", step.limits, err)
		}
		must("a", step.a[0], step.a[1])
		must("b", step.b[0], step.b[1])
	}
}
