package faultproxy

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// errFault ends what a fault breaks off.
var errFault = errors.New("broken off by the test")

// answer does what happens to an answer.
func answer(resp *http.Response) error {
	f, _ := resp.Request.Context().Value(faultOf{}).(Fault)
	half := resp.ContentLength / 2
	switch f {
	case LostReply:
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		return errFault
	case Withheld:
		<-resp.Request.Context().Done()
		_ = resp.Body.Close()
		return errFault
	case ResetMidDownload, Truncated:
		resp.Body = &broken{ReadCloser: resp.Body, left: half}
	case WrongDownload:
		resp.Body = &flipped{ReadCloser: resp.Body, at: half}
	case SlowFirstByte:
		time.Sleep(slow)
	case Trickle:
		resp.Body = &trickling{ReadCloser: resp.Body, piece: pieceOf(resp.ContentLength)}
	}
	return nil
}

// broken fails after some bytes.
type broken struct {
	io.ReadCloser
	left int64
}

func (b *broken) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errFault
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// flipped has one byte wrong.
type flipped struct {
	io.ReadCloser
	at int64
}

func (f *flipped) Read(p []byte) (int, error) {
	n, err := f.ReadCloser.Read(p)
	if f.at >= 0 && f.at < int64(n) {
		p[f.at] ^= 0xff
	}
	f.at -= int64(n)
	return n, err
}

// trickling comes in little pieces.
type trickling struct {
	io.ReadCloser
	piece int
}

// pieceOf has bodies of any length take the same time.
func pieceOf(length int64) int {
	if length < 0 {
		return 64 << 10
	}
	return int(length/20 + 1)
}

func (t *trickling) Read(p []byte) (int, error) {
	time.Sleep(between)
	return t.ReadCloser.Read(p[:min(len(p), t.piece)])
}
