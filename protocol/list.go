package protocol

import "encoding/json"

// The lists of an answer are never null: one without elements is [] (a nil
// slice would be null, and every reader would need to expect both).

// MarshalJSON makes nil Parts an empty list.
func (u Upload) MarshalJSON() ([]byte, error) {
	type plain Upload
	u.Parts = list(u.Parts)
	return json.Marshal(plain(u))
}

// MarshalJSON makes nil Uploads an empty list.
func (l UploadList) MarshalJSON() ([]byte, error) {
	type plain UploadList
	l.Uploads = list(l.Uploads)
	return json.Marshal(plain(l))
}

// MarshalJSON makes nil Files an empty list.
func (l FileList) MarshalJSON() ([]byte, error) {
	type plain FileList
	l.Files = list(l.Files)
	return json.Marshal(plain(l))
}

// MarshalJSON makes nil Items an empty list.
func (p Probe) MarshalJSON() ([]byte, error) {
	type plain Probe
	p.Items = list(p.Items)
	return json.Marshal(plain(p))
}

// MarshalJSON makes nil Items an empty list.
func (p Probed) MarshalJSON() ([]byte, error) {
	type plain Probed
	p.Items = list(p.Items)
	return json.Marshal(plain(p))
}

// MarshalJSON makes nil Ranges an empty list.
func (c Challenge) MarshalJSON() ([]byte, error) {
	type plain Challenge
	c.Ranges = list(c.Ranges)
	return json.Marshal(plain(c))
}

// MarshalJSON makes nil API and Features empty lists.
func (c Capabilities) MarshalJSON() ([]byte, error) {
	type plain Capabilities
	c.API, c.Features = list(c.API), list(c.Features)
	return json.Marshal(plain(c))
}

// list is s, or an empty slice for nil.
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
