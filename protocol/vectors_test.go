package protocol

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"
)

// content is text followed by zeros zero bytes.
type content struct {
	Text  string
	Zeros int
}

func (c content) bytes() []byte { return append([]byte(c.Text), make([]byte, c.Zeros)...) }

type vector struct {
	Content content
	Want    string
}

// vectors is testdata/vectors.json: what any implementation of the wire agrees
// on.
type vectors struct {
	Digest, XXH3, Fingerprint []vector
	PartsXXH3                 []struct {
		Parts []content
		Want  string
	} `json:"parts_xxh3"`
	Proof []struct {
		Nonce   string
		UID     UID
		Content content
		Ranges  [][2]int64
		Want    string
	}
}

func readVectors(t *testing.T) vectors {
	t.Helper()
	data, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Digest) != 4 || len(v.XXH3) != 2 || len(v.Fingerprint) != 4 || len(v.PartsXXH3) != 1 || len(v.Proof) != 1 {
		t.Fatalf("the vectors of WIRE 2, 3 and 7 are not all there: %+v", v)
	}
	return v
}

func hashPart(p []byte) (XXH3, []Block) {
	h := NewPartHasher()
	h.Write(p)
	return h.Sum()
}

func TestDigestVectors(t *testing.T) {
	for _, v := range readVectors(t).Digest {
		data := v.Content.bytes()
		_, blocks := hashPart(data)
		if got := DigestOf(blocks).String(); got != v.Want {
			t.Errorf("DigestOf %+v: %s, want %s", v.Content, got, v.Want)
		}
		got, n, err := HashContent(bytes.NewReader(data))
		if err != nil || got.String() != v.Want || n != int64(len(data)) {
			t.Errorf("HashContent %+v: %s, %d bytes, %v, want %s", v.Content, got, n, err, v.Want)
		}
	}
}

func TestXXH3Vectors(t *testing.T) {
	for _, v := range readVectors(t).XXH3 {
		if got := SumXXH3(v.Content.bytes()).String(); got != v.Want {
			t.Errorf("XXH3 of %+v: %s, want %s", v.Content, got, v.Want)
		}
	}
}

func TestFingerprintVectors(t *testing.T) {
	for _, v := range readVectors(t).Fingerprint {
		data := v.Content.bytes()
		size := int64(len(data))
		_, blocks := hashPart(data)
		if got := FingerprintOf(size, blocks).String(); got != v.Want {
			t.Errorf("FingerprintOf %+v: %s, want %s", v.Content, got, v.Want)
		}
		got, err := FingerprintReader(bytes.NewReader(data), size)
		if err != nil || got.String() != v.Want {
			t.Errorf("FingerprintReader %+v: %s, %v, want %s", v.Content, got, err, v.Want)
		}
	}
}

func TestPartsXXH3Vectors(t *testing.T) {
	for _, v := range readVectors(t).PartsXXH3 {
		var sums []XXH3
		for _, p := range v.Parts {
			sum, _ := hashPart(p.bytes())
			sums = append(sums, sum)
		}
		if got := PartsXXH3(sums).String(); got != v.Want {
			t.Errorf("PartsXXH3 of %+v: %s, want %s", v.Parts, got, v.Want)
		}
	}
}

func TestProofVectors(t *testing.T) {
	for _, v := range readVectors(t).Proof {
		nonce, err := ParseNonce(v.Nonce)
		if err != nil {
			t.Fatal(err)
		}
		data := v.Content.bytes()
		_, blocks := hashPart(data)
		got, err := Proof(nonce, v.UID, int64(len(data)), DigestOf(blocks), v.Ranges, bytes.NewReader(data))
		if err != nil || hex.EncodeToString(got[:]) != v.Want {
			t.Errorf("proof: %x, %v, want %s", got, err, v.Want)
		}
	}
}
