package store

import (
	"errors"
	"fmt"
	"time"
)

// shutAgain is when who was kept away from a storage may come again.
const shutAgain = 5 * time.Second

var errShut = errors.New("it could not be reached yet to see whose it is, and nothing is asked of it before")

// Shut keeps all but Reach, Check and Claim away from the storage, until Admit: it could
// not be reached to read its mark, so that nobody knows yet whose it is. Each call
// fails at once, as one of a storage that is busy. It is for object stores: the
// files of others are opened by their paths, past the Store.
func (s *Store) Shut(why error) { s.shut.Store(&why) }

// Admit ends Shut.
func (s *Store) Admit() { s.shut.Store(nil) }

// Away says why the store is shut, nil where it is not.
func (s *Store) Away() error {
	if why := s.shut.Load(); why != nil {
		return *why
	}
	return nil
}

// admitted is nil where calls may reach the storage. Its error is no answer of
// the storage's, whatever made it shut.
func (s *Store) admitted() error {
	why := s.Away()
	if why == nil {
		return nil
	}
	return &BusyError{After: shutAgain, Err: fmt.Errorf("%w: %s", errShut, why.Error())}
}
