package front

import "net/http"

// Versioning is how the bucket has it.
type Versioning struct {
	// Status is "Enabled" or "Suspended"; "" where it never was on.
	Status string
	// Hidden has the account not be allowed to read it.
	Hidden bool
}

// SetVersioning says how the bucket has it from now on. Where it is or was on,
// objects that are not to be overwritten are, as the vendors document it; the
// versions before are not kept here.
func (f *Front) SetVersioning(v Versioning) { f.versioning.Store(&v) }

// versioned reports whether versioning is or was on.
func (f *Front) versioned() bool {
	v := f.versioning.Load()
	return v != nil && v.Status != ""
}

// getVersioning answers with the document of the vendors, in which nothing is
// where versioning never was on.
func (f *Front) getVersioning(w http.ResponseWriter) error {
	v := f.versioning.Load()
	switch {
	case v != nil && v.Hidden:
		return Refuse(http.StatusForbidden, "AccessDenied", "The account may not read the versioning of the bucket.")
	case v == nil || v.Status == "":
		return write(w, []byte("<VersioningConfiguration></VersioningConfiguration>"))
	}
	return write(w, []byte("<VersioningConfiguration><Status>"+v.Status+"</Status></VersioningConfiguration>"))
}
