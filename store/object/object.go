// Package object holds what all object stores have in common, whoever sells
// them: how they are reached, bodies of an exact length, the names of objects,
// what their failures mean, checksums that can be joined, and the joining of
// objects on the storage's own side.
//
// Each backend is its vendor's calls around it.
package object
