package transfer

import (
	"bytes"
	"encoding/json"
	"testing"
)

// FuzzTransferFile: what is read of a transfer file can be worked with, and is
// saved as it was read.
func FuzzTransferFile(f *testing.F) {
	const id = ID("01JD0000000000000000000000")
	f.Fuzz(func(t *testing.T, text []byte) {
		tr, err := readRecord(id, bytes.NewReader(text))
		if err != nil {
			return
		}
		if tr.ID != id || tr.UID == 0 || tr.Path == "" || tr.Size < 0 || tr.Command() == "" {
			t.Errorf("%q is read as %+v", text, tr)
		}
		saved, err := json.Marshal(tr)
		if err != nil {
			t.Fatalf("%q cannot be saved: %v", text, err)
		}
		again, err := readRecord(id, bytes.NewReader(saved))
		resaved, merr := json.Marshal(again)
		if err != nil || merr != nil || !bytes.Equal(saved, resaved) {
			t.Errorf("%q is saved as %s and then %s (%v, %v)", text, saved, resaved, err, merr)
		}
	})
}
