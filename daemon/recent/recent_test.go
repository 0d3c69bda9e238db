package recent

import "testing"

func TestValues(t *testing.T) {
	const limit = 100
	v := New[int, int](limit)
	for i := range 10 * limit {
		v.Put(i, -i)
		for j := max(0, i-limit/2+1); j <= i; j++ {
			if got, ok := v.Get(j); !ok || got != -j {
				t.Fatalf("after %d: %d is remembered as %d, %v", i, j, got, ok)
			}
		}
		if v.Len() > limit {
			t.Fatalf("after %d: %d values are remembered", i, v.Len())
		}
	}
	if _, ok := v.Get(0); ok {
		t.Error("the first is remembered for ever")
	}
	v.Put(3, 1)
	v.Put(3, 2)
	if got, _ := v.Get(3); got != 2 {
		t.Errorf("what was put again is %d", got)
	}
}
