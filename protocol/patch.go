package protocol

import (
	"encoding/json"
	"maps"
)

// PatchFile changes a File (PATCH /v1/files/{uid}, WIRE 8): a JSON merge patch
// (RFC 7396) of what may change. Apply carries it out.
type PatchFile struct {
	Name      Change[string] `json:"name,omitzero"`
	MediaType Change[string] `json:"media_type,omitzero"`
	// Meta is itself a merge patch: a null takes its key away.
	Meta      Change[map[string]*string] `json:"meta,omitzero"`
	ExpiresAt Change[Time]               `json:"expires_at,omitzero"`
}

// Change is a member of a merge patch. The zero value is an absent member,
// which leaves the field as it is; a member given with a nil Value is null,
// which empties the field.
type Change[T any] struct {
	Given bool
	Value *T
}

// ChangeTo is a member that sets the field to v.
func ChangeTo[T any](v T) Change[T] { return Change[T]{Given: true, Value: &v} }

// MarshalJSON is the value or null.
func (c Change[T]) MarshalJSON() ([]byte, error) { return json.Marshal(c.Value) }

// UnmarshalJSON is called for a member that is there, also for null.
func (c *Change[T]) UnmarshalJSON(b []byte) error {
	*c = Change[T]{Given: true}
	return json.Unmarshal(b, &c.Value)
}

// Apply is f changed by p; f itself stays as it is. What a File cannot have is
// the error of CheckName (also for a name that is taken away), CheckMediaType
// or CheckMeta.
func (p PatchFile) Apply(f File) (File, error) {
	if p.Name.Given {
		if p.Name.Value == nil {
			return File{}, Errorf(KindBadName, "a file's name cannot be taken away; nothing was changed")
		}
		if err := CheckName(*p.Name.Value); err != nil {
			return File{}, err
		}
		f.Name = *p.Name.Value
	}
	if p.MediaType.Given {
		if t := p.MediaType.Value; t != nil {
			if err := CheckMediaType(*t); err != nil {
				return File{}, err
			}
		}
		f.MediaType = p.MediaType.Value
	}
	if p.Meta.Given {
		f.Meta = mergeMeta(f.Meta, p.Meta.Value)
		if err := CheckMeta(f.Meta); err != nil {
			return File{}, err
		}
	}
	if p.ExpiresAt.Given {
		f.ExpiresAt = p.ExpiresAt.Value
	}
	return f, nil
}

// mergeMeta is meta changed by a merge patch; nil takes all of it away.
func mergeMeta(meta map[string]string, patch *map[string]*string) map[string]string {
	if patch == nil {
		return nil
	}
	merged := make(map[string]string, len(meta)+len(*patch))
	maps.Copy(merged, meta)
	for k, v := range *patch {
		if v == nil {
			delete(merged, k)
		} else {
			merged[k] = *v
		}
	}
	return merged
}
