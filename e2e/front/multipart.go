package front

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

func (f *Front) initiate(w http.ResponseWriter, c *call) error {
	body, err := f.document(c.Context(), ask{method: c.Method, key: c.key, query: c.query(), header: f.header(c)})
	if err != nil {
		return err
	}
	begun := struct {
		ID string `xml:"UploadId"`
	}{}
	if err := xml.Unmarshal(body, &begun); err != nil {
		return fmt.Errorf("read the S3 server's answer: %w", err)
	}
	f.uploads.add(begun.ID, c.key, f.Now())
	return write(w, body)
}

// number is the number of the part a call is about.
func (f *Front) number(c *call) (int, error) {
	n, err := strconv.Atoi(c.URL.Query().Get("partNumber"))
	if err != nil || n < 1 || n > f.Vendor.Limits().MaxParts {
		return 0, Refuse(http.StatusBadRequest, "InvalidArgument", "part number %q", c.URL.Query().Get("partNumber"))
	}
	return n, nil
}

func (f *Front) uploadPart(w http.ResponseWriter, c *call) error {
	n, err := f.number(c)
	if err != nil {
		return err
	}
	if c.ContentLength > f.Vendor.Limits().MaxPart {
		return Refuse(http.StatusBadRequest, "EntityTooLarge", "the part has %d bytes", c.ContentLength)
	}
	body, err := f.spool(c.Body)
	if err != nil {
		return err
	}
	resp, err := f.do(c.Context(), ask{c.Method, c.key, c.query(), f.header(c), body.reader(), body.size})
	if err != nil {
		return errors.Join(err, body.drop())
	}
	p := part{etag: resp.Header.Get("Etag"), size: body.size, body: body}
	if err := f.uploads.set(c.query().Get("uploadId"), n, p); err != nil {
		return errors.Join(err, resp.Body.Close())
	}
	f.setSum(w.Header(), body.sum)
	return f.answer(w, resp)
}

func (f *Front) copyPart(w http.ResponseWriter, c *call) error {
	n, err := f.number(c)
	if err != nil {
		return err
	}
	p, err := f.copied(c)
	if err != nil {
		return err
	}
	if err := f.running(); err != nil {
		return f.late(w, c, err)
	}
	h := f.header(c)
	h.Set("X-Amz-Copy-Source", f.copySource(c.source))
	body, err := f.document(c.Context(), ask{method: c.Method, key: c.key, query: c.query(), header: h})
	if err != nil {
		return f.late(w, c, err)
	}
	done := struct{ ETag string }{}
	if err := xml.Unmarshal(body, &done); err != nil {
		return fmt.Errorf("read the S3 server's answer: %w", err)
	}
	p.etag = done.ETag
	if err := f.uploads.set(c.query().Get("uploadId"), n, p); err != nil {
		return err
	}
	return write(w, body)
}

// copied describes the part that a copy makes, and refuses ranges that are not
// wholly in the source.
func (f *Front) copied(c *call) (part, error) {
	resp, err := f.do(c.Context(), ask{method: http.MethodHead, key: c.source})
	if err != nil {
		return part{}, err
	}
	p := part{source: c.source, pin: resp.Header.Get("Etag"), size: resp.ContentLength}
	if err := resp.Body.Close(); err != nil {
		return part{}, err
	}
	if r := c.Header.Get(f.Vendor.Prefix() + "copy-source-range"); r != "" {
		from, to, err := bounds(r)
		if err != nil {
			return part{}, err
		}
		if to >= p.size {
			return part{}, f.Vendor.Translate(&Error{http.StatusRequestedRangeNotSatisfiable, "InvalidRange", "the source ends before " + r})
		}
		p.offset, p.size = from, to-from+1
		if p.size < f.Vendor.Limits().MinRange {
			return part{}, Refuse(http.StatusBadRequest, "InvalidArgument", "the range %s is too short to be copied", r)
		}
	}
	if p.size > f.Vendor.Limits().MaxPart {
		return part{}, Refuse(http.StatusBadRequest, "EntityTooLarge", "the part has %d bytes", p.size)
	}
	return p, nil
}

func bounds(r string) (from, to int64, err error) {
	a, b, ok := strings.Cut(strings.TrimPrefix(r, "bytes="), "-")
	from, errA := strconv.ParseInt(a, 10, 64)
	to, errB := strconv.ParseInt(b, 10, 64)
	if !ok || errA != nil || errB != nil || from < 0 || from > to || !strings.HasPrefix(r, "bytes=") {
		return 0, 0, Refuse(http.StatusBadRequest, "InvalidArgument", "the range %q", r)
	}
	return from, to, nil
}

// abort refuses what was not begun here; MinIO says of it that it is done.
func (f *Front) abort(w http.ResponseWriter, c *call) error {
	if id := c.query().Get("uploadId"); !f.uploads.has(id) {
		return Refuse(http.StatusNotFound, "NoSuchUpload", "there is no upload %q", id)
	}
	if err := f.abandon(c.Context(), c.key, c.query()); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (f *Front) abandon(ctx context.Context, key string, query url.Values) error {
	resp, err := f.do(ctx, ask{method: http.MethodDelete, key: key, query: query})
	if err != nil {
		return err
	}
	return errors.Join(resp.Body.Close(), f.uploads.remove(query.Get("uploadId")))
}
