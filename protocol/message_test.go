package protocol

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// message is a message with every field, and with none, as it stands on the
// wire. What the zero value of a list gives is [], of any other field without
// a value null (WIRE 1).
type message struct {
	full     any
	json     string
	zeroJSON string
}

func to[T any](v T) *T { return &v }

func messages() []message {
	at := TimeOf(time.Date(2026, 11, 22, 10, 0, 0, int(5*time.Millisecond), time.UTC))
	digest, sum := Digest{31: 1}, XXH3{15: 2}
	meta := map[string]string{"k": "v"}
	part := Part{Number: 1, Offset: 0, Length: 3, XXH3: sum}
	file := File{UID: 7, Owner: OwnerLocal, Name: "a/b", Size: 3, Digest: &digest, SHA256: to("s"), MD5: to("m"), ETag: `"e"`,
		MediaType: to("text/plain"), Meta: meta, CreatedAt: at, CommittedAt: at, ExpiresAt: &at}
	upload := UploadSummary{UID: 7, State: UploadCommitted, Name: "a/b", Size: to[int64](3), PartSize: MinPartSize, MediaType: to("text/plain"),
		Meta: meta, CreatedAt: at, AbandonedAt: at, Maybe: true, File: &file}
	token := Token{"i", "o", Scopes{ScopeLinkCreate}, to("n"), at, &at, &at, &at}
	job := Job{5, JobScrub, JobDead, to(Owner("o")), json.RawMessage(`{"file":"7"}`), to("file/7"), PriorityIdle, to("n1"), 2, 3, at, at, &at, &at, true,
		&JobProgress{1, to[int64](2), "files", "n", 3}, to("broken"), to[int64](60)}

	const (
		timeJSON = `"2026-11-22T10:00:00.005Z"`
		zeroTime = `"0001-01-01T00:00:00.000Z"`
		hexD     = `"0000000000000000000000000000000000000000000000000000000000000001"`
		hexX     = `"00000000000000000000000000000002"`
		zeroX    = `"00000000000000000000000000000000"`
		partJSON = `{"number":1,"offset":0,"length":3,"xxh3":` + hexX + `}`
		fileJSON = `{"uid":"7","owner":"local","name":"a/b","size":3,"digest":` + hexD + `,"sha256":"s","md5":"m","etag":"\"e\"",` +
			`"media_type":"text/plain","meta":{"k":"v"},"created_at":` + timeJSON + `,"committed_at":` + timeJSON + `,"expires_at":` + timeJSON + `}`
		head = `{"uid":"7","state":"committed","name":"a/b","size":3,"part_size":8388608,"media_type":"text/plain","meta":{"k":"v"},` +
			`"created_at":` + timeJSON + `,"abandoned_at":` + timeJSON + `,"maybe":true`
		zeroHead = `{"uid":"0","state":"","name":"","size":null,"part_size":0,"media_type":null,"meta":null,` +
			`"created_at":` + zeroTime + `,"abandoned_at":` + zeroTime + `,"maybe":false`
		tokenJSON = `{"id":"i","owner":"o","scopes":["link:create"],"note":"n","created_at":` + timeJSON + `,"used_at":` + timeJSON +
			`,"expires_at":` + timeJSON + `,"revoked_at":` + timeJSON + `}`
		zeroToken    = `"id":"","owner":"","scopes":[],"note":null,"created_at":` + zeroTime + `,"used_at":null,"expires_at":null,"revoked_at":null`
		progressJSON = `{"done":1,"total":2,"unit":"files","note":"n","left":3}`
		jobJSON      = `{"id":"5","kind":"scrub","state":"dead","owner":"o","args":{"file":"7"},"subject":"file/7","priority":"idle","node":"n1",` +
			`"attempts":2,"max_attempts":3,"created_at":` + timeJSON + `,"run_at":` + timeJSON + `,"started_at":` + timeJSON + `,"finished_at":` + timeJSON +
			`,"cancelling":true,"progress":` + progressJSON + `,"error":"broken","every_seconds":60}`
		zeroJob = `{"id":"0","kind":"","state":"","owner":null,"args":null,"subject":null,"priority":"normal","node":null,"attempts":0,"max_attempts":0,` +
			`"created_at":` + zeroTime + `,"run_at":` + zeroTime + `,"started_at":null,"finished_at":null,"cancelling":false,"progress":null,"error":null,"every_seconds":null}`
	)
	return []message{
		{
			Part{1, 0, 3, sum}, partJSON,
			`{"number":0,"offset":0,"length":0,"xxh3":` + zeroX + `}`,
		},
		{
			Upload{UID: 7, State: UploadCommitted, Name: "a/b", Size: to[int64](3), PartSize: MinPartSize, MediaType: to("text/plain"),
				Meta: meta, CreatedAt: at, AbandonedAt: at, Maybe: true, Parts: []Part{part}, File: &file},
			head + `,"parts":[` + partJSON + `],"file":` + fileJSON + `}`,
			zeroHead + `,"parts":[],"file":null}`,
		},
		{upload, head + `,"file":` + fileJSON + `}`, zeroHead + `,"file":null}`},
		{
			file, fileJSON,
			`{"uid":"0","owner":"","name":"","size":0,"digest":null,"sha256":null,"md5":null,"etag":"","media_type":null,"meta":null,` +
				`"created_at":` + zeroTime + `,"committed_at":` + zeroTime + `,"expires_at":null}`,
		},
		{
			BeginUpload{"a/b", to[int64](3), to[int64](4), &Fingerprint{15: 2}, to("text/plain"), meta, &at, true},
			`{"name":"a/b","size":3,"size_hint":4,"fingerprint":` + hexX + `,"media_type":"text/plain","meta":{"k":"v"},"expires_at":` + timeJSON + `,"resume":true}`,
			`{"name":"","size":null,"size_hint":null,"fingerprint":null,"media_type":null,"meta":null,"expires_at":null,"resume":false}`,
		},
		{
			Probe{[]ProbeItem{{3, Fingerprint{15: 2}}}},
			`{"items":[{"size":3,"fingerprint":` + hexX + `}]}`, `{"items":[]}`,
		},
		{ProbeItem{3, Fingerprint{15: 2}}, `{"size":3,"fingerprint":` + hexX + `}`, `{"size":0,"fingerprint":` + zeroX + `}`},
		{Probed{[]ProbedItem{{true}, {false}}}, `{"items":[{"maybe":true},{"maybe":false}]}`, `{"items":[]}`},
		{ProbedItem{true}, `{"maybe":true}`, `{"maybe":false}`},
		{
			CommitUpload{to[int64](3), &sum, &digest},
			`{"size":3,"parts_xxh3":` + hexX + `,"digest":` + hexD + `}`,
			`{"size":null,"parts_xxh3":null,"digest":null}`,
		},
		{
			Claim{&digest, to("n"), to("p")},
			`{"digest":` + hexD + `,"nonce":"n","proof":"p"}`,
			`{"digest":null,"nonce":null,"proof":null}`,
		},
		{
			Challenge{"n", [][2]int64{{0, 3}}, at},
			`{"nonce":"n","ranges":[[0,3]],"expires_at":` + timeJSON + `}`,
			`{"nonce":"","ranges":[],"expires_at":` + zeroTime + `}`,
		},
		{
			UploadList{[]UploadSummary{upload}, to("c")},
			`{"uploads":[` + head + `,"file":` + fileJSON + `}],"next":"c"}`,
			`{"uploads":[],"next":null}`,
		},
		{FileList{[]File{file}, to("c")}, `{"files":[` + fileJSON + `],"next":"c"}`, `{"files":[],"next":null}`},
		{
			Capabilities{"0123", "1.0", []string{"v1"}, BlockSize, MinPartSize, MaxParts, OneShotMax, MaxSize, []string{"claim"}},
			`{"server_id":"0123","version":"1.0","api":["v1"],"block_size":4194304,"part_size":8388608,"max_parts":10000,` +
				`"one_shot_max":1048576,"max_size":42949672960000,"features":["claim"]}`,
			`{"server_id":"","version":"","api":[],"block_size":0,"part_size":0,"max_parts":0,"one_shot_max":0,"max_size":0,"features":[]}`,
		},
		{token, tokenJSON, `{` + zeroToken + `}`},
		{
			CreateToken{"o", Scopes{ScopeFileRead, ScopeAdmin}, to("n"), &at},
			`{"owner":"o","scopes":["file:read","admin"],"note":"n","expires_at":` + timeJSON + `}`,
			`{"owner":"","scopes":[],"note":null,"expires_at":null}`,
		},
		{CreatedToken{"osp_x", token}, `{"token":"osp_x",` + tokenJSON[1:], `{"token":"",` + zeroToken + `}`},
		{TokenList{[]Token{token}}, `{"tokens":[` + tokenJSON + `]}`, `{"tokens":[]}`},
		{job, jobJSON, zeroJob},
		{JobProgress{1, to[int64](2), "files", "n", 3}, progressJSON, `{"done":0,"total":null,"unit":"","note":"","left":0}`},
		{
			CreateJob{JobScrub, json.RawMessage(`{"file":"7"}`), to(PriorityHigh)},
			`{"kind":"scrub","args":{"file":"7"},"priority":"high"}`,
			`{"kind":"","args":null,"priority":null}`,
		},
		{JobList{[]Job{job}, to("c")}, `{"jobs":[` + jobJSON + `],"next":"c"}`, `{"jobs":[],"next":null}`},
		{
			Problem{"about:blank", "T", 409, "D", KindPartsMissing, to("H"), "r", true, [][2]PartNumber{{1, 2}}, []Part{part}},
			`{"type":"about:blank","title":"T","status":409,"detail":"D","code":"parts_missing","hint":"H","request_id":"r","retryable":true,` +
				`"missing":[[1,2]],"parts":[` + partJSON + `]}`,
			`{"type":"","title":"","status":0,"detail":"","code":"","hint":null,"request_id":"","retryable":false}`,
		},
	}
}

func TestMessages(t *testing.T) {
	for _, m := range messages() {
		typ := reflect.TypeOf(m.full)
		for _, v := range []struct {
			value any
			want  string
		}{{m.full, m.json}, {reflect.Zero(typ).Interface(), m.zeroJSON}} {
			if got, err := json.Marshal(v.value); string(got) != v.want || err != nil {
				t.Errorf("%s:\n got %s, %v\nwant %s", typ, got, err, v.want)
			}
		}
		back := reflect.New(typ)
		if err := json.Unmarshal([]byte(m.json), back.Interface()); err != nil || !reflect.DeepEqual(back.Elem().Interface(), m.full) {
			t.Errorf("%s came back as %+v, %v", typ, back.Elem(), err)
		}
	}
}

// A message inside another, by pointer or through an Encoder, keeps its form.
func TestUploadByPointer(t *testing.T) {
	var buf bytes.Buffer
	if err := json.NewEncoder(&buf).Encode(struct{ U *Upload }{&Upload{}}); err != nil || !strings.Contains(buf.String(), `"parts":[]`) {
		t.Errorf("%s, %v", buf.String(), err)
	}
}

func TestEveryMessageIsTested(t *testing.T) {
	var tested []string
	for _, m := range messages() {
		tested = append(tested, reflect.TypeOf(m.full).Name())
	}
	for _, name := range []string{"message.go", "protocol.go", "token.go", "job.go"} {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if s, ok := spec.Type.(*ast.StructType); ok && hasTag(s) && !slices.Contains(tested, spec.Name.Name) {
				t.Errorf("the message %s has no test", spec.Name.Name)
			}
			return true
		})
	}
}

func hasTag(s *ast.StructType) bool {
	return slices.ContainsFunc(s.Fields.List, func(f *ast.Field) bool { return f.Tag != nil })
}
