// Package schema holds the JSON Schemas (draft 2020-12) of what osp prints with
// --json and of what the daemon answers. They are published: a field may be
// added to one, and none is ever taken away, renamed or given another meaning.
package schema

import "embed"

// The .json files of this folder. An embed.FS cannot be changed.
//
//go:embed *.json
var files embed.FS

// Names are the names of all schemas, such as result.json, in order.
func Names() []string {
	entries, err := files.ReadDir(".")
	if err != nil {
		panic(err) // it is part of the program
	}
	names := make([]string, len(entries))
	for i, entry := range entries {
		names[i] = entry.Name()
	}
	return names
}

// Text is the schema of that name. A name that there is none of is a mistake in
// the program, and a panic.
func Text(name string) []byte {
	text, err := files.ReadFile(name)
	if err != nil {
		panic(err)
	}
	return text
}
