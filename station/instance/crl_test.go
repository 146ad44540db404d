package instance_test

import (
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"os"
	"sync"
	"testing"
	"time"

	"hallmark/fixtures"
	"hallmark/station/instance"
)

// Two lists never have the same number, and the file is the list with the greatest number: a verifier would
// otherwise refuse a certificate with one list, and accept it with a newer one.
func TestListsThatAreAskedForAtTheSameTimeHaveNumbersOfTheirOwn(t *testing.T) {
	dir := fixtures.NewDirectory(t)
	opened := fixtures.Must(instance.Open(t.Context(), dir, instance.Options{}))(t)
	defer func() {
		if err := opened.Close(); err != nil {
			t.Error(err)
		}
	}()
	numbers := make([]int64, 8)
	var work sync.WaitGroup
	for i := range numbers {
		work.Go(func() {
			made, err := opened.IssueCRL(t.Context(), 7, "ann")
			if err != nil {
				t.Error(err)
			}
			numbers[i] = made.Number
		})
	}
	work.Wait()
	used, greatest := map[int64]bool{}, int64(0)
	for _, number := range numbers {
		if used[number] {
			t.Errorf("two lists have the number %d", number)
		}
		used[number], greatest = true, max(greatest, number)
	}
	list := fixtures.Must(x509.ParseRevocationList(read(t, dir.CRL())))(t)
	if list.Number.Int64() != greatest {
		t.Errorf("the file is list %d, and the newest list is %d", list.Number, greatest)
	}
}

// After an operator accepted an older registry the log is shorter than it was. A verifier that has the list of before would refuse a
// list with a smaller number.
func TestAListFollowsTheListInTheFileAlsoIfTheLogIsShorter(t *testing.T) {
	dir := fixtures.NewDirectory(t)
	opened := fixtures.Must(instance.Open(t.Context(), dir, instance.Options{}))(t)
	defer func() {
		if err := opened.Close(); err != nil {
			t.Error(err)
		}
	}()
	signer := fixtures.Must(opened.IssuingSigner(t.Context()))(t)
	now := time.Now()
	before := fixtures.Must(x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(1000), ThisUpdate: now, NextUpdate: now.Add(time.Hour)}, opened.Issuing, signer))(t)
	for _, file := range []struct {
		content []byte
		want    int64
	}{{before, 1001}, {[]byte("no list"), opened.Registry.AuditSize() + 2}} { // the first list makes two entries
		if err := os.WriteFile(dir.CRL(), file.content, 0o600); err != nil {
			t.Fatal(err)
		}
		if made, err := opened.IssueCRL(t.Context(), 7, "ann"); err != nil || made.Number != file.want {
			t.Errorf("the list has number %d, want %d; %v", made.Number, file.want, err)
		}
	}
}
