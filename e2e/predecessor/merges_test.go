package predecessor

import (
	"net/http"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

// A merge published what the client claimed of size and MD5, before it was looked at.
func TestJ01ClaimsAreCheckedBeforeAnythingIsVisible(t *testing.T) {
	owner := shared.as(t, alice)
	u := owner.begin("j01", 3)
	owner.want(owner.part(u.UID, 1, []byte("abc")), http.StatusOK)
	commit := "/v1/uploads/" + u.UID.String() + "/commit"
	owner.refused(owner.post(commit, map[string]any{"digest": strings.Repeat("0", 64)}), protocol.KindDigestDiffers)
	owner.refused(owner.post(commit, map[string]any{"size": 2}), protocol.KindPartsDiffer)
	owner.refused(owner.get("/v1/files/"+u.UID.String()), protocol.KindNotFound)
	owner.refused(owner.get(contentOf(u.UID)), protocol.KindNotFound)
	for _, f := range into[protocol.FileList](owner, owner.get("/v1/files?name=j01"), http.StatusOK).Files {
		t.Errorf("listed: %+v", f)
	}
}

// Two merges of one upload cut each other's output.
func TestJ02CommitsAtOnceAreOne(t *testing.T) {
	owner := shared.as(t, alice)
	content := harness.Content(2, 200_000)
	u := owner.begin("j02", len(content))
	owner.want(owner.part(u.UID, 1, content), http.StatusOK)
	for _, ans := range atOnce(8, func(int) harness.Answer { return owner.commit(u.UID) }) {
		if f := into[protocol.File](owner, ans, http.StatusOK); f.UID != u.UID {
			t.Errorf("committed as %+v", f)
		}
	}
	owner.holds(contentOf(u.UID), content)
}

// A merge of no parts was answered 500.
func TestJ08CommitWithoutParts(t *testing.T) {
	owner := shared.as(t, alice)
	owner.refused(owner.commit(owner.begin("j08", 3).UID), protocol.KindPartsMissing)
	empty := owner.begin("j08", 0)
	owner.want(owner.commit(empty.UID), http.StatusOK)
	owner.holds(contentOf(empty.UID), nil)
}

// A merge compared how many parts there were, and not which.
func TestJ09GapsAreMissed(t *testing.T) {
	owner := shared.as(t, alice)
	unsized := into[protocol.Upload](owner, owner.post("/v1/uploads", map[string]any{"name": "j09"}), http.StatusCreated)
	part := harness.Content(9, unsized.PartSize)
	for _, n := range []int{1, 3} {
		owner.want(owner.part(unsized.UID, n, part), http.StatusOK)
	}
	commit := "/v1/uploads/" + unsized.UID.String() + "/commit"
	ans := owner.post(commit, map[string]any{"size": 3 * unsized.PartSize})
	if owner.refused(ans, protocol.KindPartsMissing); !strings.Contains(string(ans.Body), `"missing":[[2,2]]`) {
		t.Errorf("answered %s", ans.Body)
	}
	owner.refused(owner.post(commit, map[string]any{"size": 2 * unsized.PartSize}), protocol.KindPartsDiffer)
}

// Nothing could be listed, and nothing deleted; equal contents had one fate.
func TestJ15FilesAreListedAndDeleted(t *testing.T) {
	owner := shared.as(t, alice)
	one, two := owner.put("j15/one", []byte("equal")), owner.put("j15/two", []byte("equal"))
	list := into[protocol.FileList](owner, owner.get("/v1/files?prefix=j15/"), http.StatusOK)
	if len(list.Files) != 2 || list.Files[0].UID != two.UID {
		t.Errorf("listed %+v", list)
	}
	owner.want(owner.do(http.MethodDelete, "/v1/files/"+one.UID.String(), nil), http.StatusNoContent)
	owner.refused(owner.get(contentOf(one.UID)), protocol.KindNotFound)
	owner.holds(contentOf(two.UID), []byte("equal"))
	if list := into[protocol.FileList](owner, owner.get("/v1/files?prefix=j15/"), http.StatusOK); len(list.Files) != 1 {
		t.Errorf("listed %+v", list)
	}
}
