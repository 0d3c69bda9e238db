package api

import (
	"crypto/rand"
	"io"
	"slices"
	"strings"

	"github.com/osproxy/osproxy/daemon/cluster/peer"
)

// handedForm is the file of a form that may have to go to another node: in a form
// made anew, since of the one that came the beginning was read, or all of it.
type handedForm struct {
	v0File
	// begun says that some of the file was read.
	begun bool
}

// Read is io.Reader.
func (f *handedForm) Read(p []byte) (int, error) {
	f.begun = true
	return f.v0File.Read(p)
}

// handsOnForm keeps the file that use takes until it is known whether it stays
// here.
func (c *call) handsOnForm(use func(v0File) error) func(v0File) error {
	if c.srv.cfg.Peers == nil || c.door.peers {
		return use
	}
	return func(f v0File) error {
		c.form = &handedForm{v0File: f}
		f.Reader = c.form
		return use(f)
	}
}

// handOn makes the form the body of r.
func (f *handedForm) handOn(r *peer.Request) {
	boundary := rand.Text()
	head := "--" + boundary + "\r\nContent-Disposition: form-data; name=\"" + v0Field + "\"; filename=\"" + v0Field + "\"\r\n\r\n"
	tail := "\r\n--" + boundary + "--\r\n"
	r.Body = io.MultiReader(strings.NewReader(head), f.v0File, strings.NewReader(tail))
	r.Length = int64(len(head)) + f.size + int64(len(tail))
	r.Fields = append(slices.DeleteFunc(r.Fields, func(f peer.Field) bool { return f.Name == "Content-Type" }),
		peer.Field{Name: "Content-Type", Value: "multipart/form-data; boundary=" + boundary})
}
