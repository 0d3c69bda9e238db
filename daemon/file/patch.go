package file

import (
	"context"
	"encoding/json"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/names"
	"github.com/osproxy/osproxy/protocol"
)

// Patch is a JSON merge patch of a File (RFC 7396, WIRE 8): what is absent
// stays, null clears. ParsePatch makes one; the zero value changes nothing.
type Patch struct {
	name      *string
	mediaType **string
	expiresAt **time.Time
	// clearMeta begins from no meta; meta then sets keys, or removes those
	// whose value is nil.
	clearMeta bool
	meta      map[string]*string
}

// ParsePatch reads the body of a PATCH and checks what can be checked without
// the File. KindUnknownField: a field that does not exist or cannot be
// changed. KindBadName, KindBadRequest: a value it cannot have; name cannot be
// cleared.
func ParsePatch(body []byte) (Patch, error) {
	var raw struct {
		Name      json.RawMessage `json:"name"`
		MediaType json.RawMessage `json:"media_type"`
		Meta      json.RawMessage `json:"meta"`
		ExpiresAt json.RawMessage `json:"expires_at"`
	}
	if err := protocol.DecodeRequest(body, &raw); err != nil {
		return Patch{}, err
	}
	var p Patch
	for _, parse := range []func() error{
		func() error { return p.parseName(raw.Name) },
		func() error { return p.parseMediaType(raw.MediaType) },
		func() error { return p.parseMeta(raw.Meta) },
		func() error { return p.parseExpiresAt(raw.ExpiresAt) },
	} {
		if err := parse(); err != nil {
			return Patch{}, err
		}
	}
	return p, nil
}

// member reads the value of a field: given is false for an absent one, and v
// nil for null.
func member[T any](field string, raw json.RawMessage) (v *T, given bool, err error) {
	if raw == nil {
		return nil, false, nil
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, false, protocol.Errorf(protocol.KindBadRequest, "the field %q has a value it cannot have: %.80s", field, raw)
	}
	return v, true, nil
}

func (p *Patch) parseName(raw json.RawMessage) error {
	name, given, err := member[string]("name", raw)
	switch {
	case err != nil || !given:
		return err
	case name == nil:
		return protocol.Errorf(protocol.KindBadRequest, "a File always has a name; it was not changed")
	}
	p.name = name
	return names.Check(*name)
}

func (p *Patch) parseMediaType(raw json.RawMessage) error {
	mediaType, given, err := member[string]("media_type", raw)
	if err != nil || !given {
		return err
	}
	p.mediaType = &mediaType
	if mediaType == nil {
		return nil
	}
	return protocol.CheckMediaType(*mediaType)
}

func (p *Patch) parseMeta(raw json.RawMessage) error {
	changes, given, err := member[map[string]*string]("meta", raw)
	switch {
	case err != nil || !given:
		return err
	case changes == nil:
		p.clearMeta = true
		return nil
	}
	p.meta = *changes
	set := map[string]string{}
	for k, v := range p.meta {
		if v != nil {
			set[k] = *v
		}
	}
	return protocol.CheckMeta(set)
}

func (p *Patch) parseExpiresAt(raw json.RawMessage) error {
	at, given, err := member[protocol.Time]("expires_at", raw)
	if err != nil || !given {
		return err
	}
	var t *time.Time
	if at != nil {
		t = &at.Time
	}
	p.expiresAt = &t
	return nil
}

// Patch changes the File uid and returns it as it is then. KindBadRequest: an
// expires_at that is not in the future, or meta that exceeds its limits
// together with what is already there; nothing is changed then.
func (s *Service) Patch(ctx context.Context, owner protocol.Owner, uid protocol.UID, p Patch) (protocol.File, error) {
	if p.expiresAt != nil && *p.expiresAt != nil && !(*p.expiresAt).After(s.cfg.Clock()) {
		return protocol.File{}, &protocol.Error{Kind: protocol.KindBadRequest, Message: "expires_at is not in the future; nothing was changed",
			Hint: "To end a File now, delete it."}
	}
	change := meta.FilePatch{Name: p.name, MediaType: p.mediaType, ExpiresAt: p.expiresAt, Labels: p.meta}
	if p.clearMeta {
		change.Meta = new(map[string]string)
	}
	return s.cfg.Meta.PatchFile(ctx, owner, uid, change)
}
