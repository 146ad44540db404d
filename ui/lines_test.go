package ui

import (
	"context"
	"io"
	"os"
	"testing"
	"time"
)

func TestAWaitForInputEndsWithItsContext(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	defer write.Close()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { _, err := io.ReadAll(interruptible(ctx, read)); ended <- err }()
	if _, err := write.WriteString("x"); err != nil {
		t.Fatal(err)
	}
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the read goes on")
	}
}
