package instance_test

import (
	"crypto/x509"
	"sync"
	"testing"

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
