package predecessor

import (
	"crypto/md5"
	"fmt"
	"slices"
	"testing"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// TestPlan: what becomes of each field of a row, and which rows are no files.
func TestPlan(t *testing.T) {
	sum := md5.Sum([]byte("x"))
	good := row{uid: 77, bucket: "image", stored: "77.png", name: "a%20b.png", md5: fmt.Sprintf("%x", sum), kind: "image/png", status: uploaded}
	for name, c := range map[string]struct {
		change func(*row)
		name   string
		kind   string
		sum    bool
		tells  []Outcome
	}{
		"as it is":                 {func(*row) {}, "a b.png", "image/png", true, nil},
		"a name in an address":     {func(r *row) { r.name = "%E5%9B%BE.png" }, "图.png", "image/png", true, nil},
		"a name with a %":          {func(r *row) { r.name = "100%.png" }, "100%.png", "image/png", true, nil},
		"two letters that are one": {func(r *row) { r.name = "cafe%CC%81" }, "caf\u00e9", "image/png", true, []Outcome{Renamed}},
		"no name":                  {func(r *row) { r.name = "" }, "77.png", "image/png", true, []Outcome{Renamed}},
		"bytes that are none":      {func(r *row) { r.name = "%ff.png" }, "_.png", "image/png", true, []Outcome{Renamed}},
		"large digits":             {func(r *row) { r.md5 = fmt.Sprintf(" %X\n", sum) }, "a b.png", "image/png", true, nil},
		"no MD5":                   {func(r *row) { r.md5 = "" }, "a b.png", "image/png", false, []Outcome{Unsummed}},
		"half an MD5":              {func(r *row) { r.md5 = r.md5[:16] }, "a b.png", "image/png", false, []Outcome{Unsummed}},
		"no media type":            {func(r *row) { r.kind = "" }, "a b.png", "image/png", true, nil},
		"one that is none":         {func(r *row) { r.kind, r.stored = "x", "77.unknown7" }, "a b.png", "", true, nil},
		"other rows":               {func(r *row) { r.others = 2 }, "a b.png", "image/png", true, nil},
		"rows that differ":         {func(r *row) { r.others, r.differ = 2, true }, "a b.png", "image/png", true, []Outcome{Doubled}},
		"all its parts":            {func(r *row) { r.multi, r.partNum, r.parts = true, 2, []piece{{Number: 1}, {Number: 2}} }, "a b.png", "image/png", true, nil},
		"numbers from 0":           {func(r *row) { r.multi, r.partNum, r.parts = true, 2, []piece{{Number: 0}, {Number: 1}} }, "a b.png", "image/png", true, nil},
		"some of its parts":        {func(r *row) { r.multi, r.partNum, r.parts, r.md5 = true, 3, []piece{{Number: 1}, {Number: 2}}, "" }, "a b.png", "image/png", false, []Outcome{Failed}},
		"a part twice":             {func(r *row) { r.multi, r.partNum, r.parts = true, 2, []piece{{Number: 2}, {Number: 2}} }, "a b.png", "image/png", true, []Outcome{Failed}},
		"a uid of 0":               {func(r *row) { r.uid = 0 }, "a%20b.png", "image/png", false, []Outcome{Failed}},
		"a negative uid":           {func(r *row) { r.uid = -7 }, "a%20b.png", "image/png", false, []Outcome{Failed}},
		"too great a uid":          {func(r *row) { r.uid = meta.LastInheritable + 1 }, "a%20b.png", "image/png", false, []Outcome{Failed}},
		"the greatest uid":         {func(r *row) { r.uid = meta.LastInheritable }, "a b.png", "image/png", true, nil},
	} {
		it := &item{row: good}
		c.change(&it.row)
		it.plan("apps", false)
		kind := ""
		if it.file.MediaType != nil {
			kind = *it.file.MediaType
		}
		var tells []Outcome
		for _, row := range it.tell {
			tells = append(tells, row.Outcome)
		}
		if it.file.Name != c.name || kind != c.kind || (it.file.MD5 != nil) != c.sum || !slices.Equal(tells, c.tells) {
			t.Errorf("%s: %q %q %v %v", name, it.file.Name, kind, it.file.MD5, it.tell)
		}
		if it.ended != slices.Contains(c.tells, Failed) || it.file.Owner != "apps" || it.file.UID != protocol.UID(it.uid) || it.file.From != fmt.Sprintf("osproxy:%d", it.uid) {
			t.Errorf("%s: %+v", name, it.file)
		}
	}
}
