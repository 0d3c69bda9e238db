package meta

import "testing"

func TestSQLiteRebind(t *testing.T) {
	for text, want := range map[string]string{
		`SELECT 1 FROM a WHERE b = ?`:                                                                `SELECT 1 FROM a WHERE b = ?`,
		`SELECT 1 FROM a WHERE b = ? FOR UPDATE`:                                                     `SELECT 1 FROM a WHERE b = ?`,
		`SELECT 1 FROM a LIMIT ? FOR UPDATE SKIP LOCKED`:                                             `SELECT 1 FROM a LIMIT ?`,
		`UPDATE a SET b = ? WHERE c IN (SELECT c FROM a LIMIT ? FOR UPDATE SKIP LOCKED) RETURNING c`: `UPDATE a SET b = ? WHERE c IN (SELECT c FROM a LIMIT ?) RETURNING c`,
	} {
		if got := sqliteRebind(text); got != want {
			t.Errorf("%s\nbecame %s\n  want %s", text, got, want)
		}
	}
}
