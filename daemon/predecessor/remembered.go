package predecessor

import "sync"

// remembered is what was found out once.
type remembered[K comparable, V any] struct {
	mu sync.Mutex
	of map[K]V
}

func (m *remembered[K, V]) get(k K) (v V, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok = m.of[k]
	return v, ok
}

func (m *remembered[K, V]) put(k K, v V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.of == nil {
		m.of = map[K]V{}
	}
	m.of[k] = v
}
