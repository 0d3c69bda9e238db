package holder

import "context"

type handedKey struct{}

// Handed is ctx of a request that another node chose this one for: it is answered
// here, and nobody is chosen again.
func Handed(ctx context.Context) context.Context {
	return context.WithValue(ctx, handedKey{}, true)
}

// WasHanded reports whether ctx is that of such a request.
func WasHanded(ctx context.Context) bool {
	handed, _ := ctx.Value(handedKey{}).(bool)
	return handed
}
