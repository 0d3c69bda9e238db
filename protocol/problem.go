package protocol

// Problem is the answer that tells a caller of e (WIRE 9). It holds what is
// written for the reader, and never the cause. A kind that does not cross the
// wire is answered as KindInternal.
func (e *Error) Problem(requestID string) Problem {
	row := e.Kind.Row()
	if row.Status == 0 {
		row = KindInternal.Row()
	}
	p := Problem{
		Type:      "about:blank",
		Title:     row.Title,
		Status:    row.Status,
		Detail:    e.Message,
		Code:      row.Kind,
		RequestID: requestID,
		Retryable: row.Retryable,
	}
	if p.Detail == "" {
		p.Detail = row.Title
	}
	if e.Hint != "" {
		p.Hint = &e.Hint
	}
	switch row.Kind {
	case KindPartsMissing:
		p.Missing = append([][2]PartNumber{}, e.Missing...)
	case KindPartsDiffer:
		p.Parts = append([]Part{}, e.Parts...)
	}
	return p
}

// Err is the error that an answer tells of. A code this version does not know
// is kept and counts as KindInternal; no code at all, or one that only a client
// can arrive at (no daemon interrupts a command), becomes KindInternal.
func (p Problem) Err() *Error {
	e := &Error{
		Kind:      p.Code,
		Message:   p.Detail,
		RequestID: p.RequestID,
		Missing:   p.Missing,
		Parts:     p.Parts,
	}
	if e.Kind == "" || e.Kind.Row().Status == 0 {
		e.Kind = KindInternal
	}
	if p.Hint != nil {
		e.Hint = *p.Hint
	}
	return e
}
