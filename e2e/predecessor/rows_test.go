package predecessor

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// elsewhere are tests of other packages that show rows, as "folder.Test": of what
// no stranger to a daemon can bring about, or more of what is here. They run with
// go test ./... unless a tag is named.
func elsewhere() map[string][]string {
	return map[string][]string{
		"A07": {"daemon.TestClaimRepeated", "daemon.TestEveryRefusalIsTheSame", "daemon.TestHalfOfTheBytes"},
		"A16": {"daemon/api.TestCORS", "daemon/api.TestCORSPreflights"}, // origins that are let in
		"A18": {"daemon/api.TestPanic"},                                 // a handler that panics
		"U09": {"store/local.TestPowerCut", "store/local.TestPowerCutNoticesEachSync", // every prefix of every write, and the control that a missing sync is noticed
			"daemon/upload.TestPowerCut", "e2e/process.TestDeathAtEveryNamedStep"}, // tag servers
		"A22": {"daemon/meta.TestCertificates", // tag postgres
			"store/object.TestCertificatesThatNobodyVouchesFor"},
		"A24": {"daemon/api.TestFailedProofsAreLimited", "daemon/api.TestQuotaRace"},
		"U15": {"daemon.TestAbandonedUploadsEnd", "daemon.TestAbandonedChunksEnd"}, // what began, and then was silent
		"U13": {"daemon/upload.TestLastRecordedWins", "daemon/upload.TestStraggler", // nothing has a time to live; who is late writes where nobody reads
			"e2e/process.TestPostgresStoppedDaemonIsFenced"}, // SIGSTOP; tag postgres
		"U20": {"daemon/meta.TestUIDsRiseWhateverTheClockDoes", "daemon/meta.TestWithoutReservationNoUID", "e2e/cluster.TestClocksThatAreWrong"},
		"D04": {"store/object.TestDownloadGivesExactlyTheSize", "e2e/process.TestStoreFaults"},            // slices of a body; tag servers
		"D05": {"e2e/process.TestMemoryIsFlatOverSlowDownloads", "daemon/file.TestReadingAheadIsBounded"}, // 200 slow readers; tag servers
		"D06": {"e2e/process.TestMemoryIsFlatOverSlowDownloads"},
		"D08": {"daemon/api.TestRangesAsServeContent"},
		"D10": {"daemon.TestComposeUnderAReader"},
		"D19": {"daemon/api.TestReady", "e2e/process.TestPostgresAway", "e2e/process.TestObjectStoreThatIsAway"}, // each dependency away
		// Of several nodes; e2e/cluster has the tag servers.
		"D07": {"e2e/cluster.TestSlowDownloadsThroughAPeer", "daemon/api.TestMemoryThroughAPeer"},
		"D13": {"e2e/cluster.TestFilesOnDisks", "e2e/cluster.TestV0OnDisks", "daemon/api.TestReadsThroughAPeer"},
		"D14": {"e2e/cluster.TestFilesOnDisks", "e2e/cluster.TestPartsSpreadOverNodes"},
		"C01": {"e2e/cluster.TestNodeWithoutNetwork"},
		"C02": {"e2e/cluster.TestNodesOfOneAddress", "e2e/cluster.TestTwoNodesOfOneFolder", "e2e/cluster.TestTwoNodesOfOneNumber"},
		"C03": {"daemon/meta.TestWorkersAreLeased"}, // tag postgres
		"C04": {"daemon/meta.TestUIDsRiseWhateverTheClockDoes", "daemon/meta.TestWithoutReservationNoUID", "e2e/cluster.TestClocksThatAreWrong"},
		"C05": {"daemon/meta.TestKeepSchema", "daemon/meta.TestKeepSchemaOfPostgres"},
		"C06": {"e2e/cluster.TestStaleDirectory", "daemon/api.TestOneHop"},
		"C07": {"e2e/cluster.TestOwnerKilled", "daemon/cluster.TestADeadNodeDelaysNobody"},
		"C08": {"daemon/api.TestMemoryThroughAPeer", "daemon/api.TestBodiesThroughAPeer"},
		"C09": {"daemon/cluster.TestAStreamThatComesGoesOn"},
		"C10": {"e2e/cluster.TestEarlyAnswersOfTheOwner", "e2e/cluster.TestNodesOfOneAddress", "daemon/api.TestEarlyAnswersThroughAPeer"},
		"C11": {"daemon/cluster/peer.TestWhatDoesNotProveToBeThePeer", "daemon/cluster/peer.TestALargeHeaderIsRefused"},
		"C12": {"e2e/cluster.TestFilesOnDisks", "daemon/cluster/peer.TestNoProxy"},
		"C13": {"e2e/cluster.TestClocksThatAreWrong", "e2e/cluster.TestStoppedPastItsLease"},
		"C14": {"daemon/api.TestReady", "e2e/process.TestPostgresAway", "e2e/process.TestObjectStoreThatIsAway"},
		"C15": {"daemon/api.TestOnlyPeersComeInByTheSide", "daemon/api.TestPeersOverTLS", "daemon/cluster/peer.TestEachSignedThingIsBound"},
		"D20": {"daemon/file.TestStoreThatFailsIsNoDamage", "e2e/process.TestStoreAway", "store/cos.TestGetIsExact"},
		"S02": {"store/local.TestPutFailsWhole"},
		"S03": {"store/local.TestNothingEscapes"},
		"S04": {"store/s3.TestGetAnswers", "store/s3.TestHeadsThatFail", "store/s3.TestConformance", "store/local.TestConformanceOnDisk"},
		"S05": {"daemon/meta.TestKeepSchema", "daemon/meta.TestKeepSchemaOfPostgres"}, // the second: tag postgres
		"S06": {"daemon/meta.TestProcessesMakeOneDatabase", "daemon/meta.TestProcessesMakeOnePostgres"},
		"S09": {"e2e/image.TestImage", "e2e/image.TestDockerfileLint"}, // run by make test-image
		"S08": {"daemon/api.TestSlowClients", "daemon/api.TestMinimumRate", "daemon/api.TestHalfClosedInHeader"},
	}
}

// never are rows that cannot apply, and why.
func never() map[string]string {
	return map[string]string{
		"C16": "it is about code that nothing called",
		"S07": "the configuration is read once, at the start; there is nothing to reload",
	}
}

// ids are all rows of the sections that this package is about.
func ids() (all []string) {
	for _, section := range []struct {
		letter string
		rows   int
	}{{"A", 25}, {"U", 21}, {"D", 20}, {"S", 13}, {"C", 16}} {
		for n := 1; n <= section.rows; n++ {
			all = append(all, fmt.Sprintf("%s%02d", section.letter, n))
		}
	}
	return all
}

// TestEveryRowIsNamed: each row has a test here that is named after it and says
// what was wrong, or tests elsewhere that are in the tree, or a reason.
func TestEveryRowIsNamed(t *testing.T) {
	here := tests(t, ".")
	row := regexp.MustCompile(`^Test([AUDSJC]\d\d)[A-Z]`)
	named := map[string]bool{}
	for name, doc := range here {
		m := row.FindStringSubmatch(name)
		if m == nil {
			continue
		}
		named[m[1]] = true
		if doc == "" {
			t.Errorf("%s does not say what was wrong", name)
		}
	}
	for _, id := range ids() {
		_, there := elsewhere()[id]
		_, no := never()[id]
		if shown := named[id] || there; shown == no {
			t.Errorf("row %s: shown %v, and cannot apply %v", id, shown, no)
		}
	}
	in := map[string]map[string]string{}
	for id, list := range elsewhere() {
		for _, at := range list {
			folder, name, _ := strings.Cut(at, ".")
			if in[folder] == nil {
				in[folder] = tests(t, filepath.Join(root, folder))
			}
			if _, ok := in[folder][name]; !ok {
				t.Errorf("row %s is shown by %s, which is not there", id, at)
			}
		}
	}
}

// tests are the tests of a folder, whatever their tags, with their comments.
func tests(t *testing.T, folder string) map[string]string {
	t.Helper()
	list, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, entry := range list {
		if !strings.HasSuffix(entry.Name(), "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(folder, entry.Name()), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && strings.HasPrefix(fn.Name.Name, "Test") {
				all[fn.Name.Name] = fn.Doc.Text()
			}
		}
	}
	return all
}
