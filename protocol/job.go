package protocol

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// JobID names a job: decimal text on the wire, a string in JSON, counted from 1.
type JobID int64

// ParseJobID reads the one spelling a JobID has; it is that of a UID.
func ParseJobID(s string) (JobID, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 || s[0] == '0' || s[0] == '+' {
		return 0, &Error{Kind: KindBadRequest, Message: fmt.Sprintf("%.40q is not the id of a job", s),
			Hint: "An id is a number without leading zeros, as `osp admin jobs list` prints it."}
	}
	return JobID(n), nil
}

// String is the decimal spelling.
func (id JobID) String() string { return strconv.FormatInt(int64(id), 10) }

// MarshalText makes a JobID a string in JSON.
func (id JobID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText accepts what ParseJobID accepts.
func (id *JobID) UnmarshalText(b []byte) (err error) {
	*id, err = ParseJobID(string(b))
	return err
}

// JobKind is what a job does. Nodes run the kinds they know and leave the
// others to newer ones, so that kinds are open, unlike all else here.
type JobKind string

// The kinds there are.
const (
	// JobSweep removes what nothing refers to any more.
	JobSweep JobKind = "sweep"
	// JobExpire ends files and uploads whose time is over.
	JobExpire JobKind = "expire"
	// JobDigest computes what is to be known of contents besides their digest, and
	// that where it is not known.
	JobDigest JobKind = "digest"
	// JobCompose joins the objects that a content lies in into one.
	JobCompose JobKind = "compose"
	// JobScrub reads contents and compares them with their records.
	JobScrub JobKind = "scrub"
	// JobEvent has a consumer handle an event that it failed at.
	JobEvent JobKind = "event"
	// JobImport makes files of objects that were there before ospd knew of them.
	JobImport JobKind = "import"
	// JobNotify sends a webhook what waits for it.
	JobNotify JobKind = "notify"
	// JobMigrate moves what lies in one store to another.
	JobMigrate JobKind = "migrate"
)

// JobKinds are the kinds that this version knows.
func JobKinds() []JobKind {
	return []JobKind{JobCompose, JobDigest, JobEvent, JobExpire, JobImport, JobMigrate, JobNotify, JobScrub, JobSweep}
}

// JobState is where a job stands.
type JobState string

// The states of a job. The last three are ends, from which a dead or cancelled
// job comes back only when somebody asks for it.
const (
	JobReady     JobState = "ready"
	JobRunning   JobState = "running"
	JobDone      JobState = "done"
	JobDead      JobState = "dead"
	JobCancelled JobState = "cancelled"
)

// Ended reports whether nothing happens to the job by itself any more.
func (s JobState) Ended() bool { return s == JobDone || s == JobDead || s == JobCancelled }

// JobPriority orders the jobs of one kind that are due.
type JobPriority int

// The priorities there are.
const (
	// PriorityIdle is for what nobody waits for.
	PriorityIdle   JobPriority = -1
	PriorityNormal JobPriority = 0
	// PriorityHigh is for what somebody waits for.
	PriorityHigh JobPriority = 1
)

// String is the spelling on the wire.
func (p JobPriority) String() string {
	switch p {
	case PriorityIdle:
		return "idle"
	case PriorityNormal:
		return "normal"
	case PriorityHigh:
		return "high"
	}
	return strconv.Itoa(int(p))
}

// MarshalText is String.
func (p JobPriority) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText accepts what String prints.
func (p *JobPriority) UnmarshalText(b []byte) error {
	for _, known := range [...]JobPriority{PriorityIdle, PriorityNormal, PriorityHigh} {
		if known.String() == string(b) {
			*p = known
			return nil
		}
	}
	return Errorf(KindBadRequest, "%.40q is not a priority: idle, normal or high", b)
}

// JobProgress is how far a job is, as its handler said last.
type JobProgress struct {
	Done int64 `json:"done"`
	// Total is nil while unknown.
	Total *int64 `json:"total"`
	// Unit is what is counted: "bytes", "files".
	Unit string `json:"unit"`
	// Note is a word about it for people, "" for none.
	Note string `json:"note"`
	// Left is how many of what it was about it could not do, and left where they
	// are: damaged contents of a migration.
	Left int64 `json:"left"`
}

// Job is durable background work in the daemon.
type Job struct {
	ID    JobID    `json:"id"`
	Kind  JobKind  `json:"kind"`
	State JobState `json:"state"`
	// Owner is whose job it is, nil for the daemon's own.
	Owner *Owner `json:"owner"`
	// Args are as the kind has them.
	Args json.RawMessage `json:"args"`
	// Subject names what the job is about, nil where any number of them may
	// wait: of a kind and a subject one job at most waits and one runs.
	Subject  *string     `json:"subject"`
	Priority JobPriority `json:"priority"`
	// Node is the one that has to run it, nil for any. Only who may see all jobs
	// is told.
	Node *string `json:"node"`
	// Attempts is how often it was begun; what ended well for the daemon, by a
	// drain say, is not counted.
	Attempts    int  `json:"attempts"`
	MaxAttempts int  `json:"max_attempts"`
	CreatedAt   Time `json:"created_at"`
	// RunAt is when it was, or is, due.
	RunAt Time `json:"run_at"`
	// StartedAt is when the last attempt began, nil before the first.
	StartedAt *Time `json:"started_at"`
	// FinishedAt is nil until the job ended.
	FinishedAt *Time `json:"finished_at"`
	// Cancelling: somebody cancelled the job, whose handler is ending.
	Cancelling bool         `json:"cancelling"`
	Progress   *JobProgress `json:"progress"`
	// Error says why the last attempt failed, nil where none did.
	Error *string `json:"error"`
	// EverySeconds is how long after its end the next job like it is due, nil
	// for one that comes once.
	EverySeconds *int64 `json:"every_seconds"`
}

// CreateJob asks for a job (POST /v1/jobs). Only Kind is required. The answer is
// 201 with the Job, or 200 with one that is about the same and waits already.
type CreateJob struct {
	Kind JobKind `json:"kind"`
	// Args are an object as the kind has them; see docs/jobs.md.
	Args     json.RawMessage `json:"args"`
	Priority *JobPriority    `json:"priority"`
}

// JobList is the answer of GET /v1/jobs[?limit=&cursor=&state=&kind=], newest
// first.
type JobList struct {
	Jobs []Job `json:"jobs"`
	// Next is the cursor of the next page, nil on the last.
	Next *string `json:"next"`
}

// MarshalJSON makes nil Jobs an empty list.
func (l JobList) MarshalJSON() ([]byte, error) {
	type plain JobList
	l.Jobs = list(l.Jobs)
	return json.Marshal(plain(l))
}

// jobStates are all states, as CheckJobState knows them.
var jobStates = [...]JobState{JobReady, JobRunning, JobDone, JobDead, JobCancelled}

// JobStates returns every state there is, in order. The caller must not change
// it.
func JobStates() []JobState { return jobStates[:] }

// CheckJobState refuses what is no state: KindBadRequest.
func CheckJobState(s JobState) error {
	var words []string
	for _, known := range jobStates {
		if s == known {
			return nil
		}
		words = append(words, string(known))
	}
	e := Errorf(KindBadRequest, "%.40q is no state of a job", string(s))
	e.Hint = "States are " + strings.Join(words, ", ") + "."
	return e
}
