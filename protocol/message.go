package protocol

import "encoding/json"

// BeginUpload asks for a new upload (POST /v1/uploads). Only Name is required.
type BeginUpload struct {
	Name string `json:"name"`
	// Size is nil when the length is not known before the end.
	Size *int64 `json:"size"`
	// SizeHint chooses the part size when Size is nil.
	SizeHint    *int64       `json:"size_hint"`
	Fingerprint *Fingerprint `json:"fingerprint"`
	MediaType   *string      `json:"media_type"`
	Meta        Meta         `json:"meta"`
	ExpiresAt   *Time        `json:"expires_at"`
	// Resume asks for an open upload of the same name, size and fingerprint
	// that nobody is sending to, if there is one (answer 200 instead of 201).
	Resume bool `json:"resume"`
}

// Meta is the metadata in a request. Its values are texts: null, of which
// encoding/json would make an empty one, is KindBadRequest.
type Meta map[string]string

// UnmarshalJSON reads an object of texts, or null for none.
func (m *Meta) UnmarshalJSON(b []byte) error {
	var values map[string]*string
	if err := json.Unmarshal(b, &values); err != nil {
		return err
	}
	*m = nil
	for key, value := range values {
		if value == nil {
			return Errorf(KindBadRequest, "the value of meta.%.80q is null, not a text", key)
		}
		if *m == nil {
			*m = Meta{}
		}
		(*m)[key] = *value
	}
	if values != nil && *m == nil {
		*m = Meta{}
	}
	return nil
}

// Probe asks what begins of uploads would say of maybe, without beginning any
// (POST /v1/uploads/probe). Nothing changes by it. A daemon that has the route
// says so with FeatureProbe.
type Probe struct {
	// Items are at most MaxProbeItems: KindTooLarge.
	Items []ProbeItem `json:"items"`
}

// ProbeItem is a content that the daemon may have. Both fields are required.
type ProbeItem struct {
	Size        int64       `json:"size"`
	Fingerprint Fingerprint `json:"fingerprint"`
}

// UnmarshalJSON is as strict as DecodeRequest is with a whole body.
func (i *ProbeItem) UnmarshalJSON(b []byte) error {
	var given struct {
		Size        *int64       `json:"size"`
		Fingerprint *Fingerprint `json:"fingerprint"`
	}
	if err := DecodeRequest(b, &given); err != nil {
		return &Error{Kind: KindOf(err), Message: "an item of the probe is wrong: " + err.Error()}
	}
	if given.Size == nil || given.Fingerprint == nil {
		return Errorf(KindBadRequest, "an item of the probe has no size, or no fingerprint")
	}
	i.Size, i.Fingerprint = *given.Size, *given.Fingerprint
	return nil
}

// Probed is the answer to a Probe: each item's at its place.
type Probed struct {
	Items []ProbedItem `json:"items"`
}

// ProbedItem says whether a begin of that size and fingerprint would answer
// maybe. That is true of nothing but the moment of asking.
type ProbedItem struct {
	Maybe bool `json:"maybe"`
}

// CommitUpload turns an upload into a File (POST /v1/uploads/{uid}/commit).
// Every field may be absent, except Size when the upload began without one.
// What is given is compared with what is recorded.
type CommitUpload struct {
	Size      *int64  `json:"size"`
	PartsXXH3 *XXH3   `json:"parts_xxh3"`
	Digest    *Digest `json:"digest"`
}

// Claim is both rounds of POST /v1/uploads/{uid}/claim: first Digest alone,
// then Nonce and Proof.
type Claim struct {
	Digest *Digest `json:"digest"`
	Nonce  *string `json:"nonce"`
	Proof  *string `json:"proof"`
}

// Challenge is the answer to the first round of a claim.
type Challenge struct {
	Nonce string `json:"nonce"`
	// Ranges are [offset, length] pairs in the order the proof takes them.
	Ranges    [][2]int64 `json:"ranges"`
	ExpiresAt Time       `json:"expires_at"`
}

// UploadList is a page of GET /v1/uploads.
type UploadList struct {
	Uploads []UploadSummary `json:"uploads"`
	Next    *string         `json:"next"`
}

// UploadSummary is an Upload as listings show it: without parts.
type UploadSummary struct {
	UID         UID               `json:"uid"`
	State       UploadState       `json:"state"`
	Name        string            `json:"name"`
	Size        *int64            `json:"size"`
	PartSize    int64             `json:"part_size"`
	MediaType   *string           `json:"media_type"`
	Meta        map[string]string `json:"meta"`
	CreatedAt   Time              `json:"created_at"`
	AbandonedAt Time              `json:"abandoned_at"`
	Maybe       bool              `json:"maybe"`
	File        *File             `json:"file"`
}

// FileList is a page of GET /v1/files.
type FileList struct {
	Files []File  `json:"files"`
	Next  *string `json:"next"`
}

// Capabilities is what a client may expect of a daemon (GET /v1/capabilities).
type Capabilities struct {
	// ServerID is 32 hex digits made at first start; osp keys its transfers by it.
	ServerID   string   `json:"server_id"`
	Version    string   `json:"version"`
	API        []string `json:"api"`
	BlockSize  int64    `json:"block_size"`
	PartSize   int64    `json:"part_size"`
	MaxParts   int      `json:"max_parts"`
	OneShotMax int64    `json:"one_shot_max"`
	MaxSize    int64    `json:"max_size"`
	// Features are words of the Feature constants; others are to be ignored.
	Features []string `json:"features"`
}

// What a daemon may say among its features.
const (
	// FeatureInstant: a begin may answer maybe, and claims are heard.
	FeatureInstant = "instant"
	// FeatureProbe: POST /v1/uploads/probe is there.
	FeatureProbe = "probe"
	// FeatureTokens: requests need a token, but for those of public routes.
	FeatureTokens = "tokens"
)

// Problem is the body of every error answer: application/problem+json (RFC
// 9457) with the members of WIRE 9.
type Problem struct {
	Type      string  `json:"type"`
	Title     string  `json:"title"`
	Status    int     `json:"status"`
	Detail    string  `json:"detail"`
	Code      Kind    `json:"code"`
	Hint      *string `json:"hint"`
	RequestID string  `json:"request_id"`
	Retryable bool    `json:"retryable"`
	// Missing are the absent part numbers as inclusive ranges, with
	// KindPartsMissing only; nil, it is not a member.
	Missing [][2]PartNumber `json:"missing,omitzero"`
	// Parts are those the daemon holds, with KindPartsDiffer only; nil, it
	// is not a member.
	Parts []Part `json:"parts,omitzero"`
}
