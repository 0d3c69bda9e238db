// Package recent remembers a bounded number of values, those put last.
package recent

// Values keeps up to a number of values. When the younger half is full it
// becomes the older one, and what was the older is forgotten, so that the bound
// costs no bookkeeping on each use. It is not safe for concurrent use.
type Values[K comparable, V any] struct {
	max        int
	young, old map[K]V
}

// New keeps up to limit values, and at least half as many once it has had them.
func New[K comparable, V any](limit int) *Values[K, V] {
	return &Values[K, V]{max: limit, young: map[K]V{}}
}

// Get gives the value put last under k, while it is remembered.
func (r *Values[K, V]) Get(k K) (v V, ok bool) {
	if v, ok = r.young[k]; !ok {
		v, ok = r.old[k]
	}
	return v, ok
}

// Put remembers v under k.
func (r *Values[K, V]) Put(k K, v V) {
	if len(r.young) >= r.max/2 {
		r.old, r.young = r.young, make(map[K]V, r.max/2)
	}
	r.young[k] = v
}

// Len is how many values are remembered; one that was put again counts twice
// for a while.
func (r *Values[K, V]) Len() int { return len(r.young) + len(r.old) }
