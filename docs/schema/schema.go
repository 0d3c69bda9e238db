// Package schema holds the JSON Schemas (draft 2020-12) of what osp prints with
// --json and, in the folder api, of what else the daemon takes and answers. They
// are published: a field may be added to one, and none is ever taken away,
// renamed or given another meaning.
package schema

import (
	"embed"
	"path"
	"strings"
)

// The .json files of this folder and of api. An embed.FS cannot be changed.
//
//go:embed *.json api/*.json
var files embed.FS

// Names are the names of the schemas of what osp prints, such as result.json, in
// order.
func Names() []string { return in(".") }

// APINames are the names of those that only the API has, such as api/part.json,
// in order.
func APINames() []string { return in("api") }

func in(folder string) []string {
	entries, err := files.ReadDir(folder)
	if err != nil {
		panic(err) // it is part of the program
	}
	var names []string
	for _, entry := range entries {
		if strings.HasSuffix(entry.Name(), ".json") {
			names = append(names, path.Join(folder, entry.Name()))
		}
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
