package openapi

import "github.com/osproxy/osproxy/protocol"

// operation is what is written of a route by hand.
type operation struct {
	tag, summary, about string
	// query are parameters of the query that are another thing here than in
	// parameters.go says of their names.
	query map[string]parameter
	// id is what {id} is in the path.
	id parameter
	// headers are the fields of a request that it heeds, of requestHeaders.
	headers []string
	// takes is the schema of a JSON body, which may be left out where it
	// mayBeEmpty.
	takes      string
	mayBeEmpty bool
	// body is a JSON body that has no schema of its own, in the place of takes.
	body    object
	answers []answer
	// with are scopes that a token has to have besides one of the route's.
	with []protocol.Scope
	// fails are the kinds it refuses with, besides those that follow from what
	// the route is (refusals).
	fails []protocol.Kind
}

// answer is one that is no error.
type answer struct {
	status int
	about  string
	// schema is of its JSON, nil where it has none; media are other types.
	schema object
	media  []string
	// headers are fields it always has, may those it has where they say something;
	// of responseHeaders.
	headers, may []string
}

// parameter is one of the query or the path.
type parameter struct {
	about    string
	schema   object
	required bool
}

const (
	tagFiles    = "files"
	tagUploads  = "uploads"
	tagLinks    = "links"
	tagJobs     = "jobs"
	tagWebhooks = "webhooks"
	tagAdmin    = "admin"
	tagSystem   = "system"
)

// operations are those of all routes of protocol's table.
func operations() map[protocol.RouteName]operation {
	all := map[protocol.RouteName]operation{}
	for _, some := range []map[protocol.RouteName]operation{
		fileOperations(), uploadOperations(), linkOperations(), jobOperations(), webhookOperations(), adminOperations(), systemOperations(),
	} {
		for name, o := range some {
			all[name] = o
		}
	}
	return all
}

func ok(about string, s object) answer      { return answer{status: 200, about: about, schema: s} }
func created(about string, s object) answer { return answer{status: 201, about: about, schema: s} }

// nothing is an answer without a body.
func nothing(about string) answer { return answer{status: 204, about: about} }

// at has the answer say where the thing is.
func (a answer) at() answer {
	a.headers = append(a.headers, "Location")
	return a
}
