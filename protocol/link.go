package protocol

import "encoding/json"

// LinkAction is the one thing that a link allows.
type LinkAction string

// The actions of links.
const (
	// LinkGet reads one File's bytes.
	LinkGet LinkAction = "get"
	// LinkPut puts one File, in one request or in parts.
	LinkPut LinkAction = "put"
)

// Dispositions of a link that gets: what a browser is to do with the bytes.
const (
	DispositionAttachment = "attachment"
	DispositionInline     = "inline"
)

// MaxLinks is how many links are signed by one request.
const MaxLinks = 1000

// NewLink asks for one link. Everything in it is signed: who has the link can
// change none of it.
type NewLink struct {
	// Action is LinkGet or LinkPut.
	Action LinkAction `json:"action"`
	// UID is the File to get. A link that puts has a new one, which the answer
	// says.
	UID *UID `json:"uid"`
	// ExpiresAt is when the link ends. Null is ExpiresIn from now on.
	ExpiresAt *Time `json:"expires_at"`
	// ExpiresIn is how many seconds the link is good for, 900 where neither is
	// given.
	ExpiresIn *int64 `json:"expires_in"`
	// NotBefore is when the link begins to be good, null at once.
	NotBefore *Time `json:"not_before"`
	// Name is, for a put, the name of the File (required), and for a get what it
	// is saved as: the last segment of the File's name where null.
	Name *string `json:"name"`
	// Disposition is for a get: attachment, as where null, or inline, which is
	// heeded for media types that are safe to show.
	Disposition *string `json:"disposition"`
	// MediaType is, for a put, that of the File: that which the sender says where
	// null. For a get, what the answer says: the File's where null.
	MediaType *string `json:"media_type"`
	// MaxSize is for a put: the most bytes that may be sent, the daemon's limit
	// where null.
	MaxSize *int64 `json:"max_size"`
}

// CreateLinks signs links (POST /v1/links), at most MaxLinks: all of them or, on
// any error, none. The answer is 200 with a LinkList, in order.
type CreateLinks struct {
	Links []NewLink `json:"links"`
}

// Link is a signed link.
type Link struct {
	// URL is the address to give away: of the daemon as others reach it.
	URL string `json:"url"`
	// Token is what the address ends in. It also goes as "Authorization: Link
	// <token>" to the routes of uploads, for a link that puts.
	Token     string     `json:"token"`
	Action    LinkAction `json:"action"`
	UID       UID        `json:"uid"`
	ExpiresAt Time       `json:"expires_at"`
}

// LinkList is the answer of POST /v1/links.
type LinkList struct {
	Links []Link `json:"links"`
}

// MarshalJSON makes nil Links an empty list.
func (l LinkList) MarshalJSON() ([]byte, error) {
	type plain LinkList
	l.Links = list(l.Links)
	return json.Marshal(plain(l))
}

// UnmarshalJSON is as strict inside the list as outside of it.
func (l *NewLink) UnmarshalJSON(data []byte) error {
	type plain NewLink
	return DecodeRequest(data, (*plain)(l))
}
