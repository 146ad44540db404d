package instance_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"testing"

	"hallmark/fixtures"
	"hallmark/station"
	"hallmark/station/audit"
	"hallmark/station/instance"
	"hallmark/station/workdir"
)

// entries gives the entries of a type, in order.
func entries(t *testing.T, dir workdir.Dir, kind string) (found []audit.Entry) {
	t.Helper()
	reader := fixtures.Must(instance.OpenReader(t.Context(), dir))(t)
	defer reader.Close()
	key := fixtures.Must(reader.VerifierKey(t.Context()))(t)
	_, err := reader.VerifyEach(t.Context(), key, func(e audit.Entry) error {
		if e.Type == kind {
			found = append(found, e)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// The entry of a start has the digest of each file that decides what is signed.
func TestTheEntryOfAStartNamesTheFilesThatDecideWhatIsSigned(t *testing.T) {
	dir := fixtures.NewDirectory(t)
	start := func() map[string]string {
		opened := fixtures.Must(instance.Open(t.Context(), dir, instance.Options{}))(t)
		if err := opened.Close(); err != nil {
			t.Fatal(err)
		}
		all := entries(t, dir, "log.startup")
		return all[len(all)-1].Details
	}
	files := map[string]string{"configuration_sha256": dir.Config(), "profile_sha256": dir.Profile(), "profile_cose_sha256": dir.COSEProfile(), "badges_sha256": dir.Badges()}
	digest := func(path string) string {
		content, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			return ""
		} else if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%x", sha256.Sum256(content))
	}
	before := start()
	for name, path := range files {
		if before[name] != digest(path) {
			t.Errorf("%s is %q, want %q", name, before[name], digest(path))
		}
	}
	if before["configuration_sha256"] == "" || before["profile_sha256"] == "" || before["version"] != station.ThisBuild().Version {
		t.Errorf("got %v", before)
	}
	text := fixtures.Must(os.ReadFile(dir.Config()))(t)
	if err := os.WriteFile(dir.Config(), append(text, "# changed\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	if after := start(); after["configuration_sha256"] != digest(dir.Config()) || after["configuration_sha256"] == before["configuration_sha256"] {
		t.Errorf("after a change: %v", after)
	}
}
