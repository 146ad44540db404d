package registry

import (
	"testing"

	"github.com/mattn/go-sqlite3"
)

// SQLite prepares a statement again when the value of a parameter can change its plan, and that takes longer than
// the statement. The authorizer is asked whenever a statement is prepared.
func TestAWarmWriterPreparesNoStatementAgain(t *testing.T) {
	b := newTestRegistry(t)
	b.enrol(b.run())
	var asked []string
	b.authorize(func(_ int, what, detail, _ string) int {
		asked = append(asked, what+" "+detail)
		return sqlite3.SQLITE_OK
	})
	b.enrol(b.run()) // a new authorizer makes SQLite prepare each statement once more
	asked = nil
	b.enrol(b.run())
	if len(asked) > 0 {
		t.Errorf("the third Run prepared statements again, which ask for %q", asked)
	}
}

// authorize installs an authorizer on the connection that writes. Nobody writes meanwhile.
func (b *testRegistry) authorize(callback func(int, string, string, string) int) {
	b.t.Helper()
	b.must(b.writer.conn.Raw(func(conn any) error {
		conn.(*sqlite3.SQLiteConn).RegisterAuthorizer(callback)
		return nil
	}))
}
