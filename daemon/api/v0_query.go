package api

import (
	"net/url"
	"slices"
	"strings"

	"github.com/osproxy/osproxy/protocol"
)

// parseV0Query reads the known parameters of a query. Clients of v0 take the
// query of a link apart, put it together in another order, and send it behind
// the one that was there, so that a value is there twice; and some do not escape
// what they do not use. So the rest is passed over unread, and a value counts
// once. Two values of one name are an error: which one was meant?
func parseV0Query(raw string, known []string) (map[string]string, error) {
	query := map[string]string{}
	for pair := range strings.SplitSeq(raw, "&") {
		escapedName, escaped, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(escapedName)
		if err != nil || !slices.Contains(known, name) {
			continue
		}
		value, err := url.QueryUnescape(escaped)
		if err != nil {
			return nil, protocol.Errorf(protocol.KindBadRequest, "the value of %s cannot be read: a percent sign is not escaped; nothing was done", name)
		}
		if before, ok := query[name]; ok && before != value {
			return nil, protocol.Errorf(protocol.KindBadRequest, "the query has two values of %s; nothing was done", name)
		}
		query[name] = value
	}
	return query, nil
}
